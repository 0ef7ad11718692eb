"""The dock: panels under each other, and nothing that decides. What happens stands in `controller`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from napari.layers import Image, Labels
from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QFrame,
    QMenu,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_diamant.gui.controller import Controller
from napari_diamant.gui.drop import local_paths
from napari_diamant.gui.panels import FineTunePanel, HeadsPanel, ModelPanel, SamplesPanel
from napari_diamant.gui.panels.style import Panel, button, note
from napari_diamant.gui.reader import METADATA_KEY
from napari_diamant.gui.settings import read_settings
from napari_diamant.gui.shortcuts import bind_shortcuts, unbind_shortcuts

if TYPE_CHECKING:
    import napari

WIDTH = 340


class DiamantWidget(QWidget):
    """The dock of the plugin.

    Signals
    -------
    image_chosen : napari.layers.Image or None
    mask_chosen : napari.layers.Labels
        A mask to start from.
    paths_dropped : list of Path
    project_chosen, project_wanted : Path
        A project to open; a folder to make one in.

    Parameters
    ----------
    napari_viewer
        The viewer; napari gives it.
    project
        The project to open; the one in the user's data folder when None.
    """

    image_chosen = Signal(object)
    mask_chosen = Signal(object)
    paths_dropped = Signal(list)
    project_chosen = Signal(object)
    project_wanted = Signal(object)

    def __init__(self, napari_viewer: napari.viewer.Viewer, project: Path | None = None) -> None:
        super().__init__()
        settings = read_settings()
        self._viewer = napari_viewer
        self.setObjectName("diamant")
        self.setAcceptDrops(True)
        self.model = ModelPanel()
        self.heads = HeadsPanel()
        self.samples = SamplesPanel()
        self.fine_tune = FineTunePanel(minutes=settings.minutes)
        self._build()
        self.controller = Controller(napari_viewer, self, settings, project)
        self._chooser = QTimer(self)
        self._chooser.setSingleShot(True)
        self._chooser.setInterval(0)
        self._arrived: list[Image] = []
        self._chooser.timeout.connect(self._choose_arrived)
        self._watch_layers()
        bind_shortcuts(napari_viewer, self.controller)
        self.destroyed.connect(partial(_close, napari_viewer, self.controller))
        self.image_chosen.emit(self.chosen_image())

    def chosen_image(self) -> Image | None:
        """Give the image layer in the box, None when the viewer has none."""
        layer: Image | None = self._images.value
        return layer

    def show_image(self, layer: Image | None) -> None:
        """Show which image is open, without telling anyone."""
        self._refresh_images()
        if layer is not None and layer in self._images.choices:
            with self._images.changed.blocked():
                self._images.value = layer

    def set_project(self, folder: Path) -> None:
        """Show which project is open."""
        self._project.setText(folder.name)
        self._project.setToolTip(str(folder))

    def set_status(self, words: str) -> None:
        """Say in one line what goes on."""
        self._status.setText(words)
        self._status.setVisible(bool(words))

    def ask_open_project(self) -> None:
        """Let the user choose a project to open."""
        if folder := QFileDialog.getExistingDirectory(self, "Open a project folder"):
            self.project_chosen.emit(Path(folder))

    def ask_new_project(self) -> None:
        """Let the user choose an empty folder for a new project."""
        if folder := QFileDialog.getExistingDirectory(self, "Choose or make an empty folder for the project"):
            self.project_wanted.emit(Path(folder))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if local_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        paths = local_paths(event.mimeData())
        event.acceptProposedAction()
        QTimer.singleShot(0, lambda: self.paths_dropped.emit(paths))  # the source of the drag waits for this

    def event(self, event: QEvent) -> bool:
        """Close with the dock: napari takes the widget out of it and keeps it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut_down()
        return bool(super().event(event))

    def shut_down(self) -> None:
        """End the children, record what is open, let the viewer go; safe to call twice."""
        events = self._viewer.layers.events
        for signal in (events.inserted, events.removed, events.reordered):
            signal.disconnect(self._on_layers)
        _close(self._viewer, self.controller)

    def _build(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for panel in (self._image_panel(), self.model, self.heads):
            column.addWidget(panel)
        column.addWidget(self.samples, stretch=1)  # its list takes the room that is left
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(scroll, stretch=1)
        outer.addWidget(self.fine_tune)  # always in view: it is where every path leads
        self.setMinimumWidth(WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.samples.tools.addWidget(self._start_button())

    def _image_panel(self) -> Panel:
        panel = Panel("Image")
        self._images = ComboBox(choices=self._image_choices, nullable=True, name="image")
        self._images.changed.connect(self._on_chosen)
        self._images.native.setToolTip("The image layer to work on. Files can be dropped here, too.")
        menu_button = button("Project", "Where images, corrections and models are kept")
        menu = QMenu(menu_button)
        menu.addAction("Open project…", self.ask_open_project)
        menu.addAction("New project…", self.ask_new_project)
        menu_button.setMenu(menu)
        self._project = panel.remark
        self._project.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._status = note()
        self._status.hide()
        panel.header.addWidget(menu_button)
        panel.body.addWidget(self._images.native)
        panel.body.addWidget(self._status)
        return panel

    def _start_button(self) -> QWidget:
        start = button("From layer…", "Take any Labels layer of the same size as the mask to go on from")
        self._masks = QMenu(start)
        self._masks.aboutToShow.connect(self._list_masks)
        start.setMenu(self._masks)
        return start

    def _list_masks(self) -> None:
        self._masks.clear()
        for layer in self._viewer.layers:
            if isinstance(layer, Labels) and METADATA_KEY not in layer.metadata:
                self._masks.addAction(layer.name, partial(self.mask_chosen.emit, layer))
        if self._masks.isEmpty():
            self._masks.addAction("The viewer has no other Labels layer").setEnabled(False)

    def _image_choices(self, widget: Any = None) -> Sequence[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image) and not _is_head(layer)]

    def _refresh_images(self) -> None:
        with self._images.changed.blocked():
            self._images.reset_choices()

    def _watch_layers(self) -> None:
        events = self._viewer.layers.events
        for signal in (events.inserted, events.removed, events.reordered):
            signal.connect(self._on_layers)

    def _on_layers(self, event: Any) -> None:
        layer = getattr(event, "value", None)
        if event.type == "inserted" and isinstance(layer, Image) and not _is_head(layer):
            self._arrived.append(layer)
        self._chooser.start()

    def _choose_arrived(self) -> None:
        """Turn to the first of the image layers that have just come in."""
        arrived, self._arrived = [item for item in self._arrived if item in self._viewer.layers], []
        self._refresh_images()
        opened = self.controller.session.image
        if opened is not None:
            self.show_image(opened)
        if arrived and opened not in arrived:
            self.image_chosen.emit(arrived[0])

    def _on_chosen(self, layer: Image | None) -> None:
        self.image_chosen.emit(layer)


def _is_head(layer: Image) -> bool:
    return "head" in layer.metadata.get(METADATA_KEY, {})


def _close(viewer: Any, controller: Controller, *_: object) -> None:
    unbind_shortcuts(viewer)
    controller.close()
