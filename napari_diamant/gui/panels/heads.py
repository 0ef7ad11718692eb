"""The list of attention heads: which of them the model uses, and which are shown as layers."""

from __future__ import annotations

from collections.abc import Collection

from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QCheckBox, QGridLayout, QVBoxLayout, QWidget

from napari_diamant.gui.panels.signs import SignButton, draw_eye, draw_solo
from napari_diamant.gui.panels.style import Panel, banner, button, line_height, note, row
from napari_diamant.gui.panels.thumbnail import Thumbnail, map_images
from napari_diamant.types import Array

DEBOUNCE_MS = 150
UNTRAINED = (
    "Random, untrained weights: the maps show noise and darkness, not learned attention. "
    "Choose trained weights under Model."
)


class HeadTile(QWidget):
    """One head: its map, a check box, and buttons for "only this one" and "show as a layer".

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
        self.picture = Thumbnail()
        self.picture.setToolTip(f"Attention head {head}. Click: use it or not. Double click: only this head.")
        self.check = QCheckBox(str(head))
        self.check.setChecked(True)
        self.check.setToolTip(f"The model uses head {head}. Un-tick it to see the mask without it.")
        self.only = SignButton(draw_solo, f"Use only head {head}")
        self.eye = SignButton(draw_eye, f"Show head {head} as a layer on the image", checkable=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.picture)
        layout.addLayout(row(self.check, self.only, self.eye, stretch=0))
        self.check.toggled.connect(self._mark)
        self.eye.toggled.connect(self._mark)
        self.check.clicked.connect(self.used_changed)
        self.eye.clicked.connect(self.layer_toggled)
        self.only.clicked.connect(self.solo)
        self.picture.clicked.connect(self.check.click)
        self.picture.double_clicked.connect(self.solo)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the map square."""
        self.picture.setFixedHeight(self.width())

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
        self._words = note()
        self._all = button("All", "The model uses every head")
        self._none = button("None", "The model uses no head: it sees the image alone")
        self._invert = button("Invert", "Exchange the heads that are used and those that are not")
        self._all.clicked.connect(lambda: self._choose(range(len(self._tiles))))
        self._none.clicked.connect(lambda: self._choose(()))
        self._invert.clicked.connect(lambda: self._choose(set(range(len(self._tiles))) - set(self.heads())))
        self._grid = QGridLayout()
        self._grid.setSpacing(6)
        self.body.addWidget(self._banner)
        self.body.addWidget(self._words)
        self.body.addLayout(row(self._all, self._none, self._invert))
        self.body.addLayout(self._grid)
        self.clear()

    def clear(self, words: str = "Open an image to see what each attention head looks at.") -> None:
        """Show no maps, and say why."""
        self._set_count(0)
        self._banner.hide()
        self._words.setText(words)
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
        self._words.setText(words)
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
            tile.solo.connect(lambda number=number: self._choose((number,)))
            self._tiles.append(tile)
        self._told = self.heads()
        for choice in (self._all, self._none, self._invert):
            choice.setVisible(count > 0)
        self._arrange()

    def _arrange(self) -> None:
        columns = max(2, self.width() // max(1, 6 * line_height(self)))
        for number, tile in enumerate(self._tiles):
            self._grid.addWidget(tile, number // columns, number % columns)
        for column in range(self._grid.columnCount()):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def _choose(self, heads: Collection[int]) -> None:
        for number, tile in enumerate(self._tiles):
            tile.check.setChecked(number in heads)
        self._changed()

    def _changed(self) -> None:
        self._summarise()
        self._timer.start()

    def _summarise(self) -> None:
        used, count = len(self.heads()), len(self._tiles)
        self.remark.setText(f"{used} of {count} used" if count else "")

    def _tell(self) -> None:
        heads = self.heads()
        if heads != self._told:
            self._told = heads
            self.heads_changed.emit(heads)
