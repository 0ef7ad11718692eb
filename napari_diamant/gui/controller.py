"""What happens when: between the panels, the open image, the engine and the fit. It draws nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, QTimer

from napari_diamant.config import STAND_IN
from napari_diamant.errors import UserError
from napari_diamant.gui.drop import Intake, sort_paths
from napari_diamant.gui.head_control import HeadControl
from napari_diamant.gui.jobs import FineTuneJob, option_words
from napari_diamant.gui.layers import painted_label
from napari_diamant.gui.panels.fine_tune import outcome_words
from napari_diamant.gui.predictor import Predictor, load_labels
from napari_diamant.gui.presenter import Presenter, can_predict
from napari_diamant.gui.session import Session, project_of
from napari_diamant.gui.settings import Settings, default_project, make_project, open_or_make
from napari_diamant.project import Project
from napari_diamant.types import JSON, Sample

if TYPE_CHECKING:
    from napari_diamant.gui.widget import DiamantWidget

RECONCILE_MS = 300
RETRY_MS = 5000
COMPUTING = "Computing attention…"


class Controller(QObject):
    """Everything the dock does.

    Parameters
    ----------
    viewer
        The napari viewer.
    view
        The dock, whose panels are asked and told.
    settings
        The plugin's preferences.
    project
        The project to open; the one in the user's data folder when None.
    """

    def __init__(
        self, viewer: Any, view: DiamantWidget, settings: Settings, project: Path | None = None
    ) -> None:
        super().__init__()
        self.viewer = viewer
        self.view = view
        self.settings = settings
        self.job = FineTuneJob(settings.command, self)
        self.intake = Intake(self)
        self.presenter = Presenter(view)
        self._closed = False
        self._reconcile = _timer(self, RECONCILE_MS, self._save)
        self.heads = HeadControl(view.heads, self)
        self._connect_view()
        self._connect_jobs()
        self.session, self.predictor = self._open(open_or_make(project or default_project(), settings))
        self.presenter.show_project(self.session)

    # The project

    def open_project(self, folder: Path) -> None:
        """Open another project and its first image that is not reviewed."""
        with reported():
            if folder.resolve() == self.session.project.folder.resolve():
                return
            self._use(Project.open(folder))
            self.next_image()

    def new_project(self, folder: Path, classes: Sequence[str] = ("background", "foreground")) -> None:
        """Make a project in an empty folder and go on with the image in view."""
        with reported():
            layer = self.view.chosen_image()
            self._use(make_project(folder, self.settings, classes))
            if layer is not None:
                self.open_image(layer)

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open what was dropped or named: images and folders of them, volumes, a project."""
        with reported():
            dropped = sort_paths(paths)
            if dropped.project is not None:
                self.open_project(dropped.project)
            for path in dropped.volumes:
                self.viewer.open(str(path), plugin="napari-diamant")
            if dropped.images:
                self.session.add(dropped.images[:1])
                self.intake.start(self.session.project, dropped.images[1:])

    # The image

    def open_image(self, layer: Image | None) -> None:
        """Work on an image layer of the viewer; a layer of another project opens that project first."""
        if layer is None or (layer is self.session.image and self.session.mask is not None):
            return
        with reported():
            folder = project_of(layer)
            if folder is not None and folder != self.session.project.folder.resolve():
                self._use(Project.open(folder))
            self.session.open_layer(layer)

    def open_sample(self, sample_id: int) -> None:
        """Work on an image of the project."""
        with reported():
            self.session.open_sample(sample_id)

    def next_image(self) -> None:
        """Go on to the next image that is not reviewed."""
        sample = self.session.next_sample()
        if sample is not None:
            self.open_sample(sample.id)

    def previous_image(self) -> None:
        """Go back to the image before this one."""
        ids = [sample.id for sample in self.session.project.samples()]
        if self.session.sample is not None and ids:
            self.open_sample(ids[ids.index(self.session.sample.id) - 1])

    # The mask

    def predict(self) -> None:
        """Predict the mask of the open image with the ticked heads, or say why that cannot be."""
        if self.session.sample is None:
            show_info("There is no image to predict. Drop one on the panel.")
        elif not can_predict(self.session.project):
            show_info("There is no model yet. Paint a few strokes of each class, then fine-tune.")
        else:
            self._predict_again()

    def undo(self) -> None:
        """Take back the last stroke on the open image."""
        if self.session.mask is not None:
            self.session.mask.undo()

    def redo(self) -> None:
        """Do the stroke taken back last once more."""
        if self.session.mask is not None:
            self.session.mask.redo()

    def toggle_reviewed(self) -> None:
        """Mark the open image as reviewed, or take that back."""
        if self.session.sample is not None:
            self.set_reviewed(not self.session.sample.reviewed)

    def set_reviewed(self, reviewed: bool) -> None:
        """Mark the open image as reviewed or not."""
        with reported():
            self.session.set_reviewed(reviewed)

    def start_from(self, layer: Labels) -> None:
        """Take a Labels layer as the mask to go on from."""
        with reported():
            self.session.start_from(layer)

    def toggle_heads(self) -> None:
        """Show the ticked heads as layers, or hide all of them when any is shown."""
        self.heads.toggle()

    # The fit

    def fine_tune(self, options: JSON | None = None) -> None:
        """Start a fit on the corrections; the window goes on answering."""
        options = {"minutes": self.settings.minutes} if options is None else options
        if self.job.running or not self.session.reconcile():
            return
        device = None if self.settings.device == "auto" else self.settings.device
        self.view.fine_tune.on_started()
        self.job.start(self.session.project.folder, option_words({**options, "device": device}))

    def cancel(self) -> None:
        """Kill the fit."""
        self.job.cancel()

    def close(self) -> None:
        """End the children and record what is open; the layers stay."""
        if self._closed:
            return
        self._closed = True
        self._reconcile.stop()
        self.heads.stop()
        self.intake.stop()
        self.job.close()
        self.predictor.close()
        self.session.close()

    def _connect_view(self) -> None:
        view = self.view
        view.image_chosen.connect(self.open_image)
        view.paths_dropped.connect(self.open_paths)
        view.project_chosen.connect(self.open_project)
        view.project_wanted.connect(self.new_project)
        view.mask_chosen.connect(self.start_from)
        view.heads.heads_changed.connect(lambda heads: self._predict_again())
        view.model.model_chosen.connect(self._activate)
        view.model.backbone_chosen.connect(lambda name: self.predictor.configure(name, None))
        view.model.weights_chosen.connect(lambda path: self.predictor.configure(STAND_IN, path))
        view.fine_tune.start_requested.connect(self.fine_tune)
        view.fine_tune.cancel_requested.connect(self.cancel)
        samples = view.samples
        samples.reviewed_toggled.connect(self.set_reviewed)
        samples.sample_chosen.connect(self.open_sample)
        samples.next_requested.connect(self.next_image)
        samples.previous_requested.connect(self.previous_image)
        samples.undo_requested.connect(self.undo)
        samples.redo_requested.connect(self.redo)
        samples.class_chosen.connect(self._paint_class)
        samples.class_added.connect(self._add_class)

    def _connect_jobs(self) -> None:
        panel = self.view.fine_tune
        self.job.progress.connect(panel.on_progress)
        self.job.finished.connect(self._on_fitted)
        self.job.failed.connect(panel.on_failed)
        self.job.failed.connect(show_error)
        self.job.cancelled.connect(panel.on_cancelled)
        self.intake.added.connect(self._on_added)
        self.intake.failed.connect(show_warning)
        self.intake.finished.connect(lambda: self.presenter.show_samples(self.session))

    def _open(self, project: Project) -> tuple[Session, Predictor]:
        session = Session(self.viewer, project)
        session.opened.connect(self._on_opened)
        session.edited.connect(self._on_edited)
        session.failed.connect(show_warning)
        session.stale.connect(lambda: self._reconcile.start())
        predictor = Predictor(project.folder, self.settings.command, self)
        predictor.ready.connect(self.presenter.show_ready)
        predictor.configured.connect(self._on_configured)
        predictor.maps_made.connect(self._on_maps)
        predictor.maps_failed.connect(self.heads.clear)
        predictor.mask_made.connect(self._on_mask)
        predictor.status.connect(self.view.set_status)
        predictor.failed.connect(show_error)
        predictor.process.start()
        return session, predictor

    def _use(self, project: Project) -> None:
        if self.job.running:
            project.close()
            raise UserError(
                "A fit is running for this project. Wait for it or cancel it, then open another project."
            )
        self.intake.stop()
        self.session.close_image()
        self.session.close()
        self.predictor.close()
        self.session, self.predictor = self._open(project)
        self.presenter.show_project(self.session)

    def _on_opened(self, sample: Sample | None) -> None:
        self.predictor.forget()
        self.heads.clear(COMPUTING if sample else "Open an image.")
        self.view.show_image(self.session.image)
        if sample is None or self.session.mask is None:
            self.presenter.show_samples(self.session)
            return
        for signal in (self.session.mask.layer.events.selected_label, self.session.mask.layer.events.mode):
            signal.connect(self._follow_class)
        self.presenter.note(self.session.project, sample)
        self.presenter.show_samples(self.session)
        self.presenter.show_classes(self.session)
        self.presenter.show_work(self.session)
        self.predictor.attend(sample.id)
        self._predict_again()

    def _on_edited(self, correction: object) -> None:
        self.presenter.show_work(self.session)

    def _on_added(self, sample: Sample) -> None:
        self.presenter.note(self.session.project, sample)

    def _on_configured(self) -> None:
        if self.session.sample is not None:
            self.heads.forget()
            self.heads.clear(COMPUTING)
            self.predictor.attend(self.session.sample.id)
            self._predict_again()

    def _on_maps(self, answer: JSON) -> None:
        self.heads.take(self.session, answer)

    def _on_mask(self, answer: JSON) -> None:
        self.session.show_prediction(load_labels(answer))
        self.view.set_status("")

    def _on_fitted(self, result: JSON) -> None:
        self.view.fine_tune.on_finished(result)
        self.presenter.show_models(self.session)
        self.presenter.show_classes(self.session)
        show_info(outcome_words(result))
        self._predict_again()

    def _activate(self, model_id: str) -> None:
        with reported():
            self.session.project.activate(model_id)
            self._predict_again()

    def _predict_again(self) -> None:
        """Ask for the mask of the open image, in silence where there is no model."""
        sample = self.session.sample
        if sample is None or not can_predict(self.session.project):
            return
        self.predictor.predict(sample.id, self.heads.chosen())

    def _paint_class(self, label: int) -> None:
        if self.session.mask is not None:
            layer = self.session.mask.layer
            self.viewer.layers.selection.active = layer
            layer.selected_label = label
            layer.mode = "paint"

    def _follow_class(self) -> None:
        if self.session.mask is not None:
            self.view.samples.classes.set_chosen(painted_label(self.session.mask.layer))

    def _add_class(self, name: str) -> None:
        with reported():
            self.session.add_class(name)
            self.presenter.show_classes(self.session)

    def _save(self) -> None:
        if not self.session.reconcile():
            QTimer.singleShot(RETRY_MS, self._reconcile.start)


@contextmanager
def reported() -> Iterator[None]:
    """Turn a fault that the user can understand into napari's notification."""
    try:
        yield
    except (UserError, OSError) as error:
        show_error(str(error))


def _timer(parent: QObject, milliseconds: int, slot: Any) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer
