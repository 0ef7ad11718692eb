"""A project: a folder in which nothing that a user has done is ever lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from napari_diamant.config import AttentionConfig, ModelCard, TrainConfig
from napari_diamant.errors import UserError
from napari_diamant.project import export, learning, report, verify
from napari_diamant.project.journal import Journal, check_box
from napari_diamant.project.predictions import Predictions
from napari_diamant.project.registry import ModelRecord, Registry
from napari_diamant.project.replay import compose
from napari_diamant.project.samples import Samples
from napari_diamant.project.settings import Settings, checked_classes
from napari_diamant.project.store import Store
from napari_diamant.project.warm import Warm
from napari_diamant.types import (
    JSON,
    Array,
    AttentionMaps,
    Correction,
    Image,
    Prediction,
    Report,
    Sample,
    silent,
)

if TYPE_CHECKING:
    from napari_diamant.engine.dataset import TrainingImage
    from napari_diamant.models.backbones import Backbone

CLASSES = ("background", "foreground")

FINE_TUNE = TrainConfig(minutes=5.0)
"""What a fine-tune does when the project has no setting ``"train"`` of its own."""


class Project:
    """Samples, corrections, predictions and models in one folder; every verb of the product stands here.

    Several processes may hold the same project: the window records strokes while a fit reads them and
    registers its model.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Project.create(Path(folder) / "glands") as project:
    ...     project.classes
    ('background', 'foreground')
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.folder = store.folder
        self.settings = Settings(store)
        self._samples = Samples(store)
        self._journal = Journal(store)
        self._registry = Registry(store)
        self._predictions = Predictions(store.folder / "predictions")
        self._kept_warm: Warm | None = None

    @classmethod
    def create(cls, folder: Path, classes: Sequence[str] = CLASSES) -> Self:
        """Make a project in a new or empty folder.

        Raises
        ------
        UserError
            When there is one already, the folder cannot be made, or the class names are not usable.
        """
        names = checked_classes(classes)
        project = cls(Store.create(Path(folder).expanduser().absolute()))
        project.settings["classes"] = list(names)
        return project

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open an existing project.

        Raises
        ------
        UserError
            When the folder is no project, damaged, read-only, or of a newer version.
        """
        return cls(Store.open(Path(folder).expanduser().absolute()))

    def close(self) -> None:
        """Close the project; nothing is left to be saved."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, background first. They can be renamed and added to, never taken away."""
        return tuple(self.settings.get("classes", CLASSES))

    @classes.setter
    def classes(self, names: Sequence[str]) -> None:
        checked = checked_classes(names)
        if len(checked) < len(self.classes):
            raise UserError(
                f"A project keeps its {len(self.classes)} classes, got {len(checked)}."
                " Rename them, or make a new project without them."
            )
        self.settings["classes"] = list(checked)

    # Samples

    def add(self, paths: Iterable[Path]) -> list[Sample]:
        """Take images, or folders of them, into the project.

        The originals stay where they are. The same content twice is one sample.
        """
        return self._samples.add(Path(path) for path in paths)

    def samples(self) -> list[Sample]:
        """Give every sample, in the order of their coming."""
        return self._samples.all()

    def sample(self, sample_id: int) -> Sample:
        """Give one sample."""
        return self._samples.get(sample_id)

    def find(self, content_hash: str) -> Sample | None:
        """Give the sample with this content, or None."""
        return self._samples.find(content_hash)

    def image(self, sample_id: int) -> Image:
        """Read a sample's image; UserError when the file is gone or its pixels are others."""
        return self._samples.image(self.sample(sample_id))

    def relocate(self, folder: Path) -> list[Sample]:
        """Look in a folder and below for originals that are gone; gives those found."""
        return self._samples.relocate(Path(folder))

    # Masks and corrections

    def prediction(self, sample_id: int) -> Prediction | None:
        """Give the newest prediction of a sample, or None."""
        return self._predictions.load(self.sample(sample_id))

    def save_prediction(self, sample_id: int, prediction: Prediction) -> Path:
        """Replace a sample's prediction, and give its file; corrections are not touched by it."""
        return self._predictions.save(self.sample(sample_id), prediction)

    def prediction_file(self, sample_id: int) -> Path:
        """Give the ``.npz`` file that holds, or would hold, a sample's prediction."""
        return self._predictions.path(self.sample(sample_id))

    def overlay(self, sample_id: int) -> NDArray[np.int16]:
        """Give the corrections of a sample, ``(Y, X)`` int16, `IGNORED` where the user has not worked."""
        return self._journal.state(self.sample(sample_id)).overlay.copy()

    def labels(self, sample_id: int) -> Array:
        """Give the mask on the screen: the corrections, elsewhere the prediction, elsewhere 0."""
        sample = self.sample(sample_id)
        shown = compose(self._journal.state(sample).overlay, self._predictions.labels(sample))
        return shown.astype(np.uint8 if len(self.classes) <= 256 else np.uint16)

    def record(
        self, sample_id: int, origin: tuple[int, int], after_overlay_box: Array, tool: str
    ) -> Correction:
        """Keep one finished stroke; it is on the disk when this returns.

        Parameters
        ----------
        sample_id
            The image.
        origin
            Row and column of the box's upper left pixel.
        after_overlay_box
            The overlay in the box after the stroke, ``(h, w)``: class indices, `IGNORED` where not corrected.
        tool
            What made it, see `Correction`.
        """
        sample = self.sample(sample_id)
        box = np.asarray(after_overlay_box)
        check_box(origin, box, sample, len(self.classes))
        at = (int(origin[0]), int(origin[1]))
        return self._journal.record(sample, at, box, tool, self._predictions.model(sample))

    def start_from(self, sample_id: int, labels: Array) -> Correction:
        """Take a mask from elsewhere as the starting point; it counts as corrected everywhere.

        In a project of two classes any value above 0 is foreground, so instance labels can be taken as well.

        Raises
        ------
        UserError
            When the mask has another size than the image, or labels that are no classes.
        """
        mask = np.asarray(labels)
        if mask.shape != (shape := self.sample(sample_id).shape):
            raise UserError(f"A mask must have its image's size, {shape}, got {mask.shape}. Pad or crop it.")
        if len(self.classes) == 2:
            mask = (mask > 0).astype(np.int16)
        return self.record(sample_id, (0, 0), mask, "start")

    def undo(self, sample_id: int) -> Correction | None:
        """Take back the last stroke, also one of an earlier day; None when there is none."""
        sample = self.sample(sample_id)
        return self._journal.step(sample, "undo", self._predictions.model(sample))

    def redo(self, sample_id: int) -> Correction | None:
        """Put back the stroke that was undone last; None when there is none."""
        sample = self.sample(sample_id)
        return self._journal.step(sample, "redo", self._predictions.model(sample))

    def can_undo(self, sample_id: int) -> bool:
        """Tell whether `undo` would do something."""
        return bool(self._journal.state(self.sample(sample_id)).undoable)

    def can_redo(self, sample_id: int) -> bool:
        """Tell whether `redo` would do something."""
        return bool(self._journal.state(self.sample(sample_id)).redoable)

    def set_reviewed(self, sample_id: int, reviewed: bool) -> Correction | None:
        """Keep the user's word that the whole mask is right, or withdraw it; None when that is so already.

        What is approved is the mask of this moment: all of it becomes part of the overlay, so that no later
        prediction changes it. Withdrawing gives back the pixels taken so. Both can be undone.
        """
        sample = self.sample(sample_id)
        predicted = self._predictions.labels(sample)
        return self._journal.review(sample, reviewed, predicted, self._predictions.model(sample))

    def effort(self, sample_id: int) -> JSON:
        """Give ``strokes`` and ``minutes`` of work on a sample; pauses beyond 2 minutes do not count."""
        return self._journal.effort(self.sample(sample_id))

    def predicted_by(self, sample_id: int) -> str | None:
        """Give the id of the model that made a sample's prediction, or None when there is no prediction."""
        return self._predictions.model(self.sample(sample_id))

    def journal_tip(self) -> tuple[int, str]:
        """Give the number of the newest journal row and its hash, which stands for all rows before it."""
        return self._journal.tip()

    # Models

    def models(self) -> list[ModelRecord]:
        """Give every model of the project, the oldest first."""
        return self._registry.all()

    def model(self, model_id: str) -> ModelRecord:
        """Give one model of the project."""
        return self._registry.get(model_id)

    def active_model(self) -> ModelRecord | None:
        """Give the project's own model in use, or None."""
        return self._registry.active()

    def activate(self, model_id: str) -> ModelRecord:
        """Let this model predict from now on."""
        return self._registry.activate(model_id)

    def register_model(
        self,
        path: Path,
        card: ModelCard,
        before: Mapping[str, float] | None = None,
        after: Mapping[str, float] | None = None,
    ) -> ModelRecord:
        """Copy a model that a fit has written into the project; `activate` puts it to use."""
        from napari_diamant.engine import checkpoint

        scores = [None if values is None else dict(values) for values in (before, after)]
        return self._registry.register(Path(path), card, checkpoint.identity(path), *scores)

    # What computes

    def attend(self, sample_id: int, report: Report = silent) -> AttentionMaps:
        """Give a sample's attention maps, computed once and kept."""
        sample = self.sample(sample_id)
        pixels = self.image(sample_id).pixels
        return self._warm().maps(sample.content_hash, pixels, self._attention(), report)

    def attention_file(self, sample_id: int) -> Path:
        """Give the ``.npz`` file in which `attend` keeps a sample's ``maps``."""
        return self._warm().maps_file(self.sample(sample_id).content_hash, self._attention())

    def predict(
        self,
        sample_id: int,
        heads: Iterable[int] | None = None,
        report: Report = silent,
        model: str | None = None,
    ) -> Prediction:
        """Predict a sample's mask and keep it; None stands for all heads, and for the active model."""
        chosen = None if heads is None else tuple(heads)
        return learning.predict(self, self._warm(), self.sample(sample_id), chosen, model, report)

    def training_images(self, report: Report = silent) -> list[TrainingImage]:
        """Gather what a fit would learn from."""
        return learning.training_images(self, self._warm(), self._attention(), report)

    def fine_tune(
        self, config: TrainConfig | None = None, report: Report = silent, restart: bool = False
    ) -> JSON:
        """Learn from the corrections; see `napari_diamant.project.learning.fine_tune`."""
        recipe = config or self.settings.config("train", FINE_TUNE)
        return learning.fine_tune(self, self._warm(recipe.device), recipe, restart, report)

    def backbone(self) -> Backbone:
        """Give the frozen transformer in use, loaded."""
        return self._warm().backbone(self._attention().backbone)

    def readiness(self) -> JSON:
        """Load the transformer and say in words what computes: ``device``, ``weights``, ``trained``."""
        backbone = self.backbone()
        return {"device": self._warm().words(), "weights": backbone.words, "trained": backbone.trained}

    # The whole

    def status(self) -> JSON:
        """Give what there is, for people and scripts."""
        return report.status(self)

    def verify(self) -> list[str]:
        """Check everything against its hashes; gives one sentence per fault, none when all is sound."""
        return verify.faults(self._store, self._samples, self._registry)

    def export(self, out: Path, kind: export.Kind = "ome-tiff") -> list[Path]:
        """Write every mask and where it comes from; see `napari_diamant.project.export`."""
        return export.export(self, Path(out), kind)

    def _attention(self) -> AttentionConfig:
        return learning.attention_config(self, learning.source(self))

    def _warm(self, device: str = "auto") -> Warm:
        named = str(self.settings.get("device", "auto")) if device == "auto" else device
        if self._kept_warm is None or self._kept_warm.device != named:
            self._kept_warm = Warm(named, self.folder / "attention")
        return self._kept_warm
