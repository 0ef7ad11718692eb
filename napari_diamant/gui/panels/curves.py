"""Live curves of a fit: the loss on the left, the held-out Dice on the right."""

from __future__ import annotations

import math

import pyqtgraph as pg
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_diamant.gui.panels.style import ACCENT, GOOD, WARNING, line_height
from napari_diamant.types import JSON

SERIES = {"loss": WARNING, "val_loss": ACCENT, "val_dice": GOOD}
"""Keys of a progress event that are drawn, with their colours."""

LINES = 6
"""Height in lines of text, at most about 120 pixels with the key: the work above must stay in view."""

WHOLE_STEPS = (1, 2, 5)


class EpochAxis(pg.AxisItem):
    """An axis with ticks at whole numbers alone: there is no epoch 1.5."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self.enableAutoSIPrefix(False)

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        """Give the distance of the ticks, so that about four of them are seen."""
        least = max(1.0, (maxVal - minVal) / 4)
        power = 10 ** math.floor(math.log10(least))
        step = next((power * whole for whole in WHOLE_STEPS if power * whole >= least), 10 * power)
        return [(step, 0)]


class Curves(QWidget):
    """Two plots over the epochs with their key above, fed with the progress events of a fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        loss, left = _plot()
        dice, right = _plot()
        dice.setYRange(0, 1, padding=0.1)
        dice.getAxis("left").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(_under(_key(loss="loss", val_loss="held-out"), left))
        layout.addLayout(_under(_key(val_dice="held-out Dice"), right))
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


def _plot() -> tuple[pg.PlotItem, QWidget]:
    widget = pg.PlotWidget(background=None, axisItems={"bottom": EpochAxis()})
    widget.setFixedHeight(LINES * line_height(widget))
    plot = widget.getPlotItem()
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.showGrid(y=True, alpha=0.2)
    plot.setLimits(minXRange=1)
    plot.getAxis("left").enableAutoSIPrefix(False)  # "(x0.001)" is read by nobody
    plot.getAxis("left").setWidth(2.5 * line_height(widget))
    return plot, widget


def _key(**words: str) -> QLabel:
    parts = (f'<span style="color:{SERIES[key]}">●</span> {word}' for key, word in words.items())
    return QLabel("   ".join(parts))


def _under(key: QLabel, plot: QWidget) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(0)
    column.addWidget(key)
    column.addWidget(plot)
    return column
