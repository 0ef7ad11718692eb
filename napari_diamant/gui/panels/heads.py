"""The list of attention heads: which of them the model uses, and which are shown as layers."""

from __future__ import annotations

import math
from collections.abc import Collection

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QAction, QKeyEvent, QResizeEvent
from qtpy.QtWidgets import QCheckBox, QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_diamant.gui.panels.signs import SignButton, draw_eye
from napari_diamant.gui.panels.style import Panel, banner, note, row, small_button
from napari_diamant.gui.panels.thumbnail import Thumbnail, map_images
from napari_diamant.types import Array

DEBOUNCE_MS = 150
SPACING = 4
MAX_SIDE = 96
"""Widest thumbnail in pixels: a wide dock gets larger ones, and still keeps room for the work below."""

UNTRAINED = "Untrained: shows noise, not attention"
UNTRAINED_TIP = (
    "The transformer has random weights. Its maps follow noise and darkness and tell nothing about tissue. "
    "Choose trained ones with In use ▸ Change weights…"
)


class HeadTile(QWidget):
    """One head: its map, a check box, an eye for "show as a layer", and "only this one" in its menu.

    Attributes
    ----------
    used_changed, layer_toggled
        Signals with a bool: the user ticked it, the user wants it as a layer.
    solo
        Signal: only this head.
    """

    used_changed = Signal(bool)
    layer_toggled = Signal(bool)
    solo = Signal()

    def __init__(self, head: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture = Thumbnail(str(head))
        self.picture.setToolTip(
            f"Attention head {head}. Click: use it or not. Double click or S: only this head; again: all."
        )
        self.check = QCheckBox()
        self.check.setChecked(True)
        self.check.setAccessibleName(f"Use head {head}")
        self.check.setToolTip(f"The model uses head {head}. Un-tick it to see the mask without it.")
        self.only = self._solo_action(head)
        self.eye = SignButton(draw_eye, f"Show head {head} as a layer on the image", checkable=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.picture)
        layout.addLayout(row(self.check, self.eye, stretch=0))
        self.setMaximumWidth(MAX_SIDE)
        self.check.toggled.connect(self._mark)
        self.eye.toggled.connect(self._mark)
        self.check.clicked.connect(self.used_changed)
        self.eye.clicked.connect(self.layer_toggled)
        self.only.triggered.connect(lambda: self.solo.emit())
        self.picture.clicked.connect(self.check.click)
        self.picture.double_clicked.connect(self.solo)

    def _solo_action(self, head: int) -> QAction:
        """Offer "only this head" by right click, by the menu key and, while the tile has the focus, by S."""
        action = QAction(f"Use only head {head}, or all again\tS", self)
        self.addAction(action)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        return action

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Take S; every other key goes on to the panel."""
        if event.key() == Qt.Key.Key_S and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self.only.trigger()
        else:
            super().keyPressEvent(event)

    def _mark(self) -> None:
        self.picture.mark(self.check.isChecked(), self.eye.isChecked())


class HeadsPanel(Panel):
    """All heads of the image in view.

    Attributes
    ----------
    heads_changed
        Signal with the numbers of the heads that the model shall use, 150 ms after the last tick.
    layer_toggled
        Signal with a head's number and whether it shall be shown as a layer.
    """

    heads_changed = Signal(object)
    layer_toggled = Signal(int, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Attention heads", parent)
        self._tiles: list[HeadTile] = []
        self._told: list[int] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self._tell)
        self._banner = banner()
        self._banner.setToolTip(UNTRAINED_TIP)
        self._words = note()
        self.remark.setToolTip("Heads that the model uses")
        self._all = small_button("All", "The model uses every head")
        self._none = small_button("None", "The model uses no head: it sees the image alone")
        self._invert = small_button("Invert", "Exchange the heads that are used and those that are not")
        self._all.clicked.connect(lambda: self._choose(range(len(self._tiles))))
        self._none.clicked.connect(lambda: self._choose(()))
        self._invert.clicked.connect(lambda: self._choose(set(range(len(self._tiles))) - set(self.heads())))
        self._field = QWidget()
        # Ignored: the width decides how many tiles stand in a line, so the tiles must not decide the width.
        self._field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._grid = QGridLayout(self._field)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(SPACING)
        self._grid.setAlignment(Qt.AlignmentFlag.AlignLeft)
        for choice in (self._all, self._none, self._invert):
            self.header.addWidget(choice)
        self.body.addWidget(self._banner)
        self.body.addWidget(self._words)
        self.body.addWidget(self._field)
        self.clear()

    def clear(self, words: str = "Open an image to see its attention heads.") -> None:
        """Show no maps, and say why."""
        self._set_count(0)
        self._banner.hide()
        self._words.setText(words)
        self._words.show()
        self._summarise()

    def set_maps(self, maps: Array, words: str, trained: bool) -> None:
        """Show the maps of another image; ticks stay while the number of heads does.

        Parameters
        ----------
        maps
            ``(head, rows, columns)``.
        words
            Which transformer made them.
        trained
            False warns loudly.
        """
        self._set_count(len(maps))
        for tile, image in zip(self._tiles, map_images(maps), strict=True):
            tile.picture.show_map(image)
        self._words.hide()  # In use says it already
        self._field.setToolTip(words)
        self._banner.setText(UNTRAINED)
        self._banner.setVisible(not trained)
        self._summarise()

    def heads(self) -> list[int]:
        """Give the numbers of the ticked heads, ascending."""
        return [number for number, tile in enumerate(self._tiles) if tile.check.isChecked()]

    def set_heads(self, heads: Collection[int]) -> None:
        """Tick these heads without telling anyone."""
        for number, tile in enumerate(self._tiles):
            tile.check.setChecked(number in heads)
        self._timer.stop()
        self._told = self.heads()
        self._summarise()

    def set_layer_shown(self, head: int, shown: bool) -> None:
        """Follow a layer that came or went by other means, without telling anyone."""
        if head < len(self._tiles):
            self._tiles[head].eye.setChecked(shown)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put as many tiles side by side as there is room for."""
        super().resizeEvent(event)
        self._arrange()

    def _set_count(self, count: int) -> None:
        if count == len(self._tiles):
            return
        while self._tiles:
            self._tiles.pop().deleteLater()
        for number in range(count):
            tile = HeadTile(number, self)
            tile.used_changed.connect(self._changed)
            tile.layer_toggled.connect(lambda shown, number=number: self.layer_toggled.emit(number, shown))
            tile.solo.connect(lambda number=number: self._solo(number))
            self._tiles.append(tile)
        self._told = self.heads()
        self._arrange()

    def _arrange(self) -> None:
        if not self._tiles:
            return
        least = self._tiles[0].minimumSizeHint().width() + SPACING
        room = max(1, (self._field.width() + SPACING) // least)
        lines = math.ceil(len(self._tiles) / room)
        columns = math.ceil(len(self._tiles) / lines)  # as many in each line, rather than a rest in the last
        for number, tile in enumerate(self._tiles):
            self._grid.addWidget(tile, number // columns, number % columns)
        for column in range(self._grid.columnCount()):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def _solo(self, head: int) -> None:
        self._choose(range(len(self._tiles)) if self.heads() == [head] else (head,))

    def _choose(self, heads: Collection[int]) -> None:
        for number, tile in enumerate(self._tiles):
            tile.check.setChecked(number in heads)
        self._changed()

    def _changed(self) -> None:
        self._summarise()
        self._timer.start()

    def _summarise(self) -> None:
        used, count = len(self.heads()), len(self._tiles)
        self.remark.setText(f"{used} of {count}" if count else "")
        for widget in (self._all, self._none, self._invert, self._field):
            widget.setVisible(count > 0)

    def _tell(self) -> None:
        heads = self.heads()
        if heads != self._told:
            self._told = heads
            self.heads_changed.emit(heads)
