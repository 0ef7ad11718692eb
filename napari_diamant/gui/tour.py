"""The main job on the sample images, walked by itself in the real window."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication, QDoubleSpinBox, QPushButton
from scipy import ndimage

from napari_diamant.config import TrainConfig
from napari_diamant.errors import UserError
from napari_diamant.gui.launch import open_window
from napari_diamant.gui.predictor import load_maps
from napari_diamant.gui.presenter import can_predict
from napari_diamant.gui.widget import DiamantWidget
from napari_diamant.io import read_labels, sample_folder, write_labels, write_maps
from napari_diamant.metrics import dice
from napari_diamant.types import JSON, AttentionMaps, Progress, Report

WINDOW_SIZE = (1500, 940)
PATIENCE_SECONDS = 180.0
"""Longest wait for one answer; the fit gets this on top of its own budget."""

CROP = 128
"""Side of the crops of the tour's fit, in pixels: the sample images are small, and small crops are quick."""

PAUSE_SECONDS = 0.005
EPOCHS_TO_SHOW = 2
"""Points on the curves before the picture of a running fit is taken."""

LEAST_STROKE = 24
"""Wrong specks of fewer pixels are left as they are, as a person with a brush would."""


@dataclass(frozen=True)
class Tour:
    """What the tour walks over.

    Attributes
    ----------
    out
        Folder for what it leaves; its ``project`` is made anew.
    corrected
        Number of sample images that are corrected; the one after them is only ever predicted.
    minutes
        Budget of the fit.
    """

    out: Path
    corrected: int = 4
    minutes: float = 0.6

    @property
    def images(self) -> list[Path]:
        """The sample images of the tour, the untouched one last."""
        return sorted((sample_folder() / "tissue" / "images").glob("*.png"))[: self.corrected + 1]

    def truth(self, image: Path) -> NDArray[np.bool_]:
        """Give the exact mask of a sample image."""
        return read_labels(sample_folder() / "tissue" / "masks" / image.name) > 0


def open_tour(tour: Tour) -> tuple[Any, DiamantWidget]:
    """Open the window on the sample images, in a new project inside the output folder."""
    project = tour.out / "project"
    if (project / "project.db").exists():
        shutil.rmtree(project)
    tour.out.mkdir(parents=True, exist_ok=True)
    viewer = open_window(tour.images, project)
    viewer.window.resize(*WINDOW_SIZE)
    widgets = (dock.findChild(DiamantWidget) or dock for dock in viewer.window.dock_widgets.values())
    dock = next(widget for widget in widgets if isinstance(widget, DiamantWidget))
    recipe = TrainConfig(minutes=tour.minutes, crop=CROP)
    dock.controller.session.project.settings["train"] = recipe.model_dump(mode="json")
    return viewer, dock


def walk(tour: Tour, report: Report) -> JSON:
    """Do the main job once and leave what was seen.

    Parameters
    ----------
    tour
        Where and how far.
    report
        Hears each step.

    Returns
    -------
    dict
        ``dice_before`` and ``dice_after`` on the image that was never corrected, and the files written.

    Raises
    ------
    UserError
        When a step does not end.
    """
    viewer, dock = open_tour(tour)
    try:
        return _Walk(tour, viewer, dock, report).run()
    finally:
        viewer.close()


class _Walk:
    """One walk through the window; every step goes through the same layers and buttons as a user's."""

    def __init__(self, tour: Tour, viewer: Any, dock: DiamantWidget, report: Report) -> None:
        self.tour, self.viewer, self.dock, self.report = tour, viewer, dock, report
        self.controller = dock.controller
        self.files: dict[str, str] = {}
        self._done = 0
        self._maps: list[JSON] = []
        self._masks: list[JSON] = []
        self._faults: list[str] = []
        self.controller.predictor.maps_made.connect(self._maps.append)
        self.controller.predictor.mask_made.connect(self._masks.append)
        self.controller.predictor.failed.connect(self._faults.append)
        self.controller.job.failed.connect(self._faults.append)

    def run(self) -> JSON:
        """Walk, and give what came of it."""
        *to_correct, untouched = self.tour.images
        self._step("Waiting for the images and their attention heads")
        self._wait("every image is in the project", lambda: len(self._samples()) == len(self.tour.images))
        before = self._predicted(untouched, "before")
        self._keep_heads()
        for image in to_correct:
            self._step(f"Correcting all of {image.name} by strokes")
            self._open(image)
            self._correct(self.tour.truth(image))
            self._click("Mark as reviewed")
        fit = self._fine_tune(self.tour.minutes)
        after = self._predicted(untouched, "after")
        scores = self.tour.out / "scores.json"
        scores.write_text(json.dumps({"dice_before": before, "dice_after": after}) + "\n", encoding="utf-8")
        self.files["scores"] = str(scores)
        return {"dice_before": before, "dice_after": after, "fit": fit, "files": self.files}

    def _predicted(self, image: Path, when: str) -> float:
        """Open an image, keep its mask as the model in use makes it, and give the Dice."""
        self._step(f"Predicting {image.name}, which is never corrected")
        self._masks.clear()
        self._open(image)
        if can_predict(self.controller.session.project):
            self._wait("the mask is predicted", lambda: bool(self._masks))
        self._wait("the attention heads are layers", self._heads_shown)
        self._settle(0.5)
        labels = np.asarray(self._mask().data)
        path = self.tour.out / f"mask_{when}.ome.tif"
        write_labels(path, labels)
        self.files[f"mask_{when}"] = str(path)
        self._screenshot(f"window_{when}")
        return float(dice(labels > 0, self.tour.truth(image)))

    def _heads_shown(self) -> bool:
        heads = self.controller.session.heads
        return heads is not None and len(heads.layers) == len(heads)

    def _keep_heads(self) -> None:
        """Write the maps that the window shows."""
        values, scale = load_maps(self._maps[-1])
        height, width = self._mask().data.shape
        words = str(self._maps[-1]["backbone"])
        trained = bool(self._maps[-1]["trained"])
        path = self.tour.out / "heads.ome.tif"
        write_maps(path, AttentionMaps(values, scale, (height, width), words, "", trained, -1))
        self.files["heads"] = str(path)

    def _open(self, image: Path) -> None:
        sample = next(sample for sample in self._samples() if sample.name == image.stem)
        self.controller.open_sample(sample.id)
        self._settle()

    def _correct(self, truth: NDArray[np.bool_]) -> None:
        """Paint each wrong region in one stroke, as a brush would."""
        layer = self._mask()
        for label in (1, 0):
            wrong = (truth == bool(label)) & (np.asarray(layer.data) != label)
            regions, count = ndimage.label(wrong)
            for region in range(1, count + 1):
                where = np.nonzero(regions == region)
                if len(where[0]) >= LEAST_STROKE:
                    layer.data_setitem(where, label)
            self._settle()

    def _fine_tune(self, minutes: float) -> JSON:
        self._step("Fine-tuning on the corrections")
        results: list[JSON] = []
        epochs: list[JSON] = []
        self.controller.job.finished.connect(results.append)
        self.controller.job.progress.connect(lambda news: epochs.append(news) if "loss" in news else None)
        self.dock.fine_tune.findChild(QDoubleSpinBox).setValue(minutes)
        self._click("Fine-tune on my corrections")
        patience = PATIENCE_SECONDS + 60 * minutes
        learned = "the fit shows its curves"
        self._wait(learned, lambda: bool(results) or len(epochs) >= EPOCHS_TO_SHOW, patience)
        self._screenshot("window_learning")
        self._wait("the fit ends", lambda: bool(results), patience)
        return results[0]

    def _click(self, text: str) -> None:
        button = next(button for button in self.dock.findChildren(QPushButton) if button.text() == text)
        self._wait(f"the button {text!r} can be pressed", button.isEnabled)
        button.click()
        self._settle()

    def _screenshot(self, name: str) -> None:
        path = self.tour.out / f"{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        self.files[name] = str(path)

    def _samples(self) -> Any:
        return self.controller.session.project.samples()

    def _mask(self) -> Labels:
        mask = self.controller.session.mask
        if mask is None:
            raise UserError("The open image must have a mask layer, and has none. Report this as a defect.")
        return mask.layer

    def _step(self, message: str) -> None:
        self.report(Progress(message, self._done, self.tour.corrected + 4))
        self._done += 1

    def _settle(self, seconds: float = 0.2) -> None:
        end = monotonic() + seconds
        while monotonic() < end:
            QApplication.processEvents()
            sleep(PAUSE_SECONDS)

    def _wait(self, what: str, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Let the window work until something has happened; a fault on the way ends the walk."""
        end = monotonic() + seconds
        while not condition():
            if self._faults:
                raise UserError(self._faults[0])
            if monotonic() > end:
                raise UserError(
                    f"The tour waited {seconds:.0f} s until {what}, in vain. Run `napari-diamant doctor`."
                )
            QApplication.processEvents()
            sleep(PAUSE_SECONDS)
