"""The panel of the images: which is open, how far it is, how much work went in, which class is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QPushButton, QWidget

from napari_diamant.gui.panels.classes import ClassSelector
from napari_diamant.gui.panels.signs import SignButton, draw_previous, draw_redo, draw_undo, state_icon
from napari_diamant.gui.panels.style import Panel, button, line_height, note, row

LEAST_ROWS = 3
"""Lines of the list that are in view however low the window is; a higher window shows more."""

HOW_TO_PAINT = "Choose a class, then paint."

State = Literal["new", "corrected", "reviewed"]


@dataclass(frozen=True)
class SampleItem:
    """One image of the list.

    Attributes
    ----------
    id
        Its number in the project.
    name
        For people.
    state
        How far it is.
    """

    id: int
    name: str
    state: State = "new"


class SamplesPanel(Panel):
    """Images of the project, and the work on the one in view; `tools` is the line of the strokes.

    Signals
    -------
    reviewed_toggled : bool
    sample_chosen : int
        The sample's id.
    next_requested, previous_requested, undo_requested, redo_requested
    class_chosen : int
        The label to paint with.
    class_added : str
        Its name.
    """

    reviewed_toggled = Signal(bool)
    sample_chosen = Signal(int)
    next_requested = Signal()
    previous_requested = Signal()
    class_chosen = Signal(int)
    class_added = Signal(str)
    undo_requested = Signal()
    redo_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Correct", parent)
        self.classes = ClassSelector()
        self._undo = SignButton(draw_undo, "Take back the last stroke (Ctrl+Z)")
        self._redo = SignButton(draw_redo, "Do the stroke again (Ctrl+Shift+Z)")
        self._effort = note(HOW_TO_PAINT)
        self._previous = SignButton(draw_previous, "Open the image before this one")
        self._reviewed = QPushButton("Mark as reviewed")
        self._reviewed.setCheckable(True)
        self._reviewed.setToolTip(
            "The whole mask is right: the model may learn from all of it, not only from your strokes"
        )
        self._next = button("Next image ›", "Open the next image that is not reviewed")
        self._list = QListWidget()
        self._list.setToolTip("○ new   ◐ corrected   ✓ reviewed. Enter or click opens an image.")
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.body.addWidget(self.classes)
        self.tools = row(self._effort, self._undo, self._redo, stretch=0)
        self.body.addLayout(self.tools)
        self.body.addLayout(row(self._previous, self._reviewed, self._next, stretch=1))
        self.body.addWidget(self._list, stretch=100)
        self.body.addStretch(1)  # takes what a short list leaves
        self._connect()
        self.set_samples([], None)
        self.set_can_undo(False, False)

    def set_samples(self, samples: Sequence[SampleItem], current: int | None) -> None:
        """List the images; `current` is the id of the one in view."""
        self._list.clear()
        side = line_height(self)
        self._list.setIconSize(QSize(side, side))
        colour = self.palette().windowText().color()
        for sample in samples:
            item = QListWidgetItem(state_icon(sample.state, colour, side), sample.name)
            item.setData(Qt.ItemDataRole.UserRole, sample.id)
            item.setToolTip(f"{sample.name}: {sample.state}")
            self._list.addItem(item)
            if sample.id == current:
                self._list.setCurrentItem(item)
        done = sum(sample.state == "reviewed" for sample in samples)
        self.remark.setText(f"{done} of {len(samples)} reviewed" if samples else "")
        self._list.setVisible(bool(samples))
        self._list.setMinimumHeight(self._height_of(min(len(samples), LEAST_ROWS)))
        self._list.setMaximumHeight(self._height_of(len(samples)))
        now = next((sample for sample in samples if sample.id == current), None)
        self.set_reviewed(now is not None and now.state == "reviewed")
        for widget in (self._reviewed, self.classes):
            widget.setEnabled(now is not None)
        for widget in (self._previous, self._next):
            widget.setEnabled(len(samples) > 1)

    def set_reviewed(self, reviewed: bool) -> None:
        """Show whether the image in view is reviewed, without telling anyone."""
        self._reviewed.setChecked(reviewed)
        self._reviewed.setText("✓ Reviewed" if reviewed else "Mark as reviewed")

    def set_effort(self, strokes: int, seconds: float) -> None:
        """Say how much work went into the image in view."""
        minutes = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
        plural = "stroke" if strokes == 1 else "strokes"
        self._effort.setText(f"{strokes} {plural}, {minutes}" if strokes else HOW_TO_PAINT)

    def set_can_undo(self, undo: bool, redo: bool) -> None:
        """Enable the two arrows."""
        self._undo.setEnabled(undo)
        self._redo.setEnabled(redo)

    def _connect(self) -> None:
        self.classes.class_chosen.connect(self.class_chosen)
        self.classes.class_added.connect(self.class_added)
        self._undo.clicked.connect(self.undo_requested)
        self._redo.clicked.connect(self.redo_requested)
        self._previous.clicked.connect(self.previous_requested)
        self._next.clicked.connect(self.next_requested)
        self._reviewed.clicked.connect(self._toggle_reviewed)
        self._list.itemActivated.connect(self._choose)
        self._list.itemClicked.connect(self._choose)

    def _height_of(self, rows: int) -> int:
        self._list.ensurePolished()  # the height of a line is the theme's only now
        return int(rows * self._list.sizeHintForRow(0) + 2 * self._list.frameWidth() + 4)

    def _toggle_reviewed(self, reviewed: bool) -> None:
        self.set_reviewed(reviewed)
        self.reviewed_toggled.emit(reviewed)

    def _choose(self, item: QListWidgetItem) -> None:
        self.sample_chosen.emit(item.data(Qt.ItemDataRole.UserRole))
