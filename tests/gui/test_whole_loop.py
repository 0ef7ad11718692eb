"""The whole loop in the real window with the real children: drop, see, paint, learn, cancel, learn, compare.

Nothing here calls a method of the plugin to make something happen; they are only read. With
NAPARI_DIAMANT_PICTURES naming a folder, the test leaves a picture of the window after each step.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import imageio.v3 as iio
import numpy as np
import psutil
import pytest
from hands import LEFT, NO_KEYS, click, drop, press, said, stroke
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QLineEdit

from napari_diamant.config import TrainConfig
from napari_diamant.gui import controller, widget
from napari_diamant.gui.settings import Settings
from napari_diamant.gui.widget import DiamantWidget
from napari_diamant.io import read_image, read_labels
from napari_diamant.project import Project
from napari_diamant.types import IGNORED

pytestmark = pytest.mark.window

PATIENCE_MS = 120_000
"""Longest wait for an answer of a child: it has to load torch first, on a machine that may be busy."""

SIDE = 256
"""Pixels of the sample image that are used, along each axis: the corner has glands and what lies between."""

SMALL_STEPS = TrainConfig(minutes=1, steps_per_epoch=5, batch_size=4, crop=96)
"""The project's own recipe: epochs of a second on two cores. The panel's time budget goes over it."""

Mask = NDArray[np.uint8]


@pytest.fixture
def viewer(make_napari_viewer):
    made = make_napari_viewer(show=True)
    made.window.resize(1500, 940)
    return made


@pytest.fixture
def dock(viewer, monkeypatch, tmp_path) -> DiamantWidget:
    monkeypatch.setattr(widget, "read_settings", Settings)
    with Project.create(tmp_path / "project") as project:
        project.settings["train"] = SMALL_STEPS.model_dump(mode="json")
    monkeypatch.setattr(controller, "default_project", lambda: tmp_path / "project")
    return viewer.window.add_plugin_dock_widget("napari-diamant", "DIAMANT")[1]


@pytest.fixture
def picture(viewer) -> Callable[[str], None]:
    """Give a function that keeps a picture of the window where somebody wants to see it."""
    folder = os.environ.get("NAPARI_DIAMANT_PICTURES")

    def keep(name: str) -> None:
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            QTest.qWait(300)
            viewer.screenshot(str(Path(folder) / f"{name}.png"), canvas_only=False, flash=False)

    return keep


def mask(dock: DiamantWidget) -> Mask:
    return np.array(dock.controller.session.mask.layer.data)


def predicted(dock: DiamantWidget) -> Mask:
    return np.asarray(dock.controller.session.project.prediction(1).labels)


def overlay(dock: DiamantWidget) -> NDArray[np.int16]:
    return dock.controller.session.project.overlay(1)


def wide_runs(region: NDArray[np.bool_], length: int) -> list[tuple[int, int]]:
    """Give the middles of horizontal runs of so many pixels that lie, with a margin, inside a region."""
    from scipy.ndimage import binary_erosion

    inside = binary_erosion(region, np.ones((25, length)))
    rows, columns = np.nonzero(inside)
    chosen = np.linspace(0, len(rows) - 1, 3).astype(int)
    return [(int(rows[index]), int(columns[index])) for index in chosen]


def paint(dock: DiamantWidget, viewer: Any, label: int, truth: NDArray[np.bool_]) -> None:
    """Take the brush of a class and make three short strokes where the truth has it."""
    click(dock, str(label))
    for row, column in wide_runs(truth == bool(label), 41):
        stroke(viewer, (row, column - 12), (row, column + 12))


def tick(dock: DiamantWidget, qtbot: Any, head: int) -> None:
    """Press the tick box of a head and wait for the mask that answers it."""
    box = next(
        box for box in dock.heads.findChildren(QCheckBox) if box.accessibleName() == f"Use head {head}"
    )
    with qtbot.waitSignal(dock.controller.predictor.mask_made, timeout=PATIENCE_MS):
        QTest.mouseClick(box, LEFT, NO_KEYS, QPoint(8, box.height() // 2))


def set_minutes(dock: DiamantWidget, text: str) -> None:
    """Type a time budget."""
    box = dock.fine_tune.findChild(QDoubleSpinBox)
    line = box.findChild(QLineEdit)
    line.selectAll()
    QTest.keyClicks(line, text)
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert box.value() == float(text)


def cancel_midway(dock: DiamantWidget, qtbot: Any) -> None:
    """Start a fit, press Cancel once it learns, and look that everything it started is gone in a second."""
    job = dock.controller.job
    with qtbot.waitSignal(job.progress, timeout=PATIENCE_MS, check_params_cb=lambda news: "epoch" in news):
        click(dock, "Fine-tune")
    family = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    start = monotonic()
    with qtbot.waitSignal(job.cancelled, timeout=5000):
        click(dock, "Cancel")
    qtbot.waitUntil(lambda: not any(member.is_running() for member in family), timeout=5000)
    assert monotonic() - start < 1
    assert not job.running


def learn(dock: DiamantWidget, qtbot: Any) -> None:
    """Fine-tune until the end, and wait for the mask of the new model."""
    control = dock.controller
    with qtbot.waitSignals([control.job.finished, control.predictor.mask_made], timeout=2 * PATIENCE_MS):
        click(dock, "Fine-tune")


@pytest.fixture
def tissue(sample_folder, tmp_path) -> tuple[Path, NDArray[np.bool_]]:
    """Give a part of a sample image, as a file, and its exact mask."""
    whole = sorted((sample_folder / "tissue" / "images").glob("*.png"))[0]
    path = tmp_path / "tissue.png"
    iio.imwrite(path, read_image(whole).pixels[:SIDE, :SIDE])
    return path, read_labels(sample_folder / "tissue" / "masks" / whole.name)[:SIDE, :SIDE] > 0


def test_from_the_dropped_file_to_a_model_that_has_learned(dock, viewer, qtbot, tissue, picture):
    image, truth = tissue
    drop(dock, [image])
    qtbot.waitUntil(lambda: len(viewer.layers) == 8, timeout=PATIENCE_MS)  # image, six heads, mask
    assert len(dock.heads.heads()) == 6
    picture("1_dropped")

    for label in (0, 1):
        paint(dock, viewer, label, truth)
    strokes = overlay(dock)
    worked = strokes != IGNORED
    assert set(np.unique(strokes)) == {IGNORED, 0, 1}
    assert np.array_equal(strokes[worked], truth[worked])
    picture("2_painted")

    cancel_midway(dock, qtbot)
    assert not dock.controller.session.project.models()
    assert np.array_equal(overlay(dock), strokes)
    picture("3_cancelled")

    set_minutes(dock, "0.1")
    learn(dock, qtbot)
    picture("4_learned")
    assert any("Dice" in words for words in said())
    assert np.array_equal(mask(dock), np.where(worked, strokes, predicted(dock)))

    first = predicted(dock)
    assert first.any()
    tick(dock, qtbot, 3)
    second = predicted(dock)
    differ = first != second
    assert (differ & ~worked).any()
    assert np.array_equal(mask(dock), np.where(worked, strokes, second))
    picture("5_without_head_3")

    tick(dock, qtbot, 3)
    row, column = np.argwhere(differ & ~worked)[0]
    click(dock, "0" if first[row, column] else "1")
    stroke(viewer, (row, column), (row, column))
    assert mask(dock)[row, column] != first[row, column]
    tick(dock, qtbot, 3)
    assert overlay(dock)[row, column] != IGNORED
    press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(mask(dock), np.where(worked, strokes, second))
