"""Live curves of a fit: the loss above, the held-out Dice below."""

from __future__ import annotations

import math

import pyqtgraph as pg
from qtpy.QtWidgets import QWidget

from napari_diamant.gui.panels.style import ACCENT, GOOD, WARNING, line_height
from napari_diamant.types import JSON

SERIES = {"loss": WARNING, "val_loss": ACCENT, "val_dice": GOOD}
"""Keys of a progress event that are drawn, with their colours."""


class Curves(pg.GraphicsLayoutWidget):
    """Two plots over the epochs, fed with the progress events of a fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setBackground(None)
        self.setFixedHeight(13 * line_height(self))
        self.ci.setContentsMargins(0, 0, 0, 0)
        loss = self._plot(0, "loss")
        dice = self._plot(1, "Dice")
        dice.setYRange(0, 1, padding=0.1)
        dice.setXLink(loss)
        dice.getAxis("left").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
        loss.hideAxis("bottom")
        self._points: dict[str, tuple[list[float], list[float]]] = {}
        self._lines = {
            key: (dice if key == "val_dice" else loss).plot(
                pen=pg.mkPen(colour, width=2), symbol="o", symbolSize=4, symbolBrush=colour, symbolPen=None
            )
            for key, colour in SERIES.items()
        }
        self.clear_points()

    def clear_points(self) -> None:
        """Begin a new fit."""
        self._points = {key: ([], []) for key in SERIES}
        for line in self._lines.values():
            line.setData([], [])

    def add(self, event: JSON) -> None:
        """Draw what a progress event brings; it may bring nothing."""
        for key, (epochs, values) in self._points.items():
            epoch, value = event.get("epoch"), event.get(key)
            if epoch is None or value is None or not math.isfinite(value):
                continue
            epochs.append(float(epoch))
            values.append(float(value))
            self._lines[key].setData(epochs, values)

    def _plot(self, number: int, name: str) -> pg.PlotItem:
        plot = self.addPlot(row=number, col=0)
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(False, False)
        plot.hideButtons()
        plot.showGrid(y=True, alpha=0.2)
        plot.getAxis("left").setWidth(4 * line_height(self))
        plot.setLabel("left", name)
        return plot
