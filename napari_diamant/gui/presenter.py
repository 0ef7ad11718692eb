"""Shows a project and its open image in the panels; it asks for nothing and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_diamant.gui.layers import class_color, painted_label
from napari_diamant.gui.panels import ModelChoice, SampleItem
from napari_diamant.gui.panels.samples import State
from napari_diamant.gui.session import Session
from napari_diamant.project import Project, catalog
from napari_diamant.project.registry import ModelRecord
from napari_diamant.types import JSON, Sample

if TYPE_CHECKING:
    from napari_diamant.gui.widget import DiamantWidget

BACKGROUND = "#4d4d4d"
"""Colour of the background's button; in the mask it is transparent."""

NOTHING_TO_LEARN = "Paint a few strokes of each class first, or mark an image as reviewed."


class Presenter:
    """Keeps the panels equal to the session.

    Parameters
    ----------
    view
        The dock.
    """

    def __init__(self, view: DiamantWidget) -> None:
        self._view = view
        self._states: dict[int, State] = {}

    def show_project(self, session: Session) -> None:
        """Show another project."""
        self._states = {sample.id: _state(session.project, sample) for sample in session.project.samples()}
        self._view.set_project(session.project.folder)
        self._view.model.set_backbones(catalog.backbone_titles())
        self._view.heads.clear()
        self.show_samples(session)
        self.show_models(session)
        self.show_classes(session)

    def show_samples(self, session: Session) -> None:
        """List the images, and say whether there is something to learn from."""
        current = None if session.sample is None else session.sample.id
        items = [
            SampleItem(sample.id, sample.name, self._states.get(sample.id, "new"))
            for sample in session.project.samples()
        ]
        self._view.samples.set_samples(items, current)
        ready = any(state != "new" for state in self._states.values())
        self._view.fine_tune.set_ready(ready, "" if ready else NOTHING_TO_LEARN)

    def show_models(self, session: Session) -> None:
        """List the models, the newest first."""
        records = session.project.models()
        active = next((record.id for record in records if record.active), "")
        self._view.model.set_models([_choice(record) for record in reversed(records)], active)

    def show_classes(self, session: Session) -> None:
        """Show the classes; they can be added to until the first model knows them."""
        names = session.project.classes
        colors = [class_color(index) if index else BACKGROUND for index in range(len(names))]
        chosen = None if session.mask is None else painted_label(session.mask.layer)
        extendable = not session.project.models()
        self._view.samples.classes.set_classes(names, colors, chosen, extendable)

    def show_work(self, session: Session) -> None:
        """Show how much work went into the open image, and how far it is."""
        if (sample := session.sample) is None:
            return
        if self.note(session.project, sample):
            self.show_samples(session)
        effort = session.project.effort(sample.id)
        self._view.samples.set_effort(effort["strokes"], effort["minutes"] * 60)
        self._view.samples.set_can_undo(
            session.project.can_undo(sample.id), session.project.can_redo(sample.id)
        )

    def note(self, project: Project, sample: Sample) -> bool:
        """Look how far an image is; True when that is news."""
        state = _state(project, sample)
        news = self._states.get(sample.id) != state
        self._states[sample.id] = state
        return news

    def show_ready(self, event: JSON) -> None:
        """Show what the engine said of itself."""
        self._view.model.set_device(str(event.get("device", "")))
        self._view.model.set_backbone(str(event.get("weights", "")), bool(event.get("trained")))


def can_predict(project: Project) -> bool:
    """Tell whether there is a model, the project's own or one that comes with the program."""
    return project.active_model() is not None or catalog.shipped_for(project.classes) is not None


def _state(project: Project, sample: Sample) -> State:
    if sample.reviewed:
        return "reviewed"
    return "corrected" if project.can_undo(sample.id) else "new"


def _choice(record: ModelRecord) -> ModelChoice:
    count = len(record.card.learned_from)
    images = "1 image" if count == 1 else f"{count} images"
    words = f"{record.card.model.arch}, learned from {images}, {record.created[:16].replace('T', ' ')}"
    return ModelChoice(record.id, record.id, (record.after or {}).get("dice"), words)
