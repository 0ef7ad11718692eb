"""A picture of one attention map."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_diamant.gui.panels.style import ACCENT
from napari_diamant.preprocess import scale_maps
from napari_diamant.types import Array


def map_images(maps: Array) -> list[QImage]:
    """Colour attention maps as napari's "inferno" does, each stretched from its 1st to its 99th percentile.

    Parameters
    ----------
    maps
        ``(head, rows, columns)``.
    """
    table = pg.colormap.get("inferno").getLookupTable(nPts=256, alpha=True).astype(np.uint8)
    levels = (scale_maps(maps, "percentile") * 255).astype(np.uint8)
    return [_image(table[level]) for level in levels]


def _image(colours: NDArray[np.uint8]) -> QImage:
    height, width = colours.shape[:2]
    # copied, because QImage would go on reading bytes that it does not own
    return QImage(colours.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()


class Thumbnail(QWidget):
    """A map in a square: dimmed while the model does not use it, ringed while it is a layer.

    Parameters
    ----------
    name
        Written into its corner.

    Attributes
    ----------
    clicked, double_clicked
        Signals of the mouse.
    """

    clicked = Signal()
    double_clicked = Signal()

    def __init__(self, name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._image = QImage()
        self._used = True
        self._ringed = False
        self._pressed = False
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def heightForWidth(self, width: int) -> int:
        """Ask for a square."""
        return width

    def show_map(self, image: QImage) -> None:
        """Show another map."""
        self._image = image
        self.update()

    def mark(self, used: bool, ringed: bool) -> None:
        """Say whether the model uses the head, and whether it is shown as a layer."""
        self._used, self._ringed = used, ringed
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the map as large as fits, in its own proportions."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 80))
        if self._image.isNull():
            return
        painter.setOpacity(1.0 if self._used else 0.25)
        scale = min(self.width() / self._image.width(), self.height() / self._image.height())
        width, height = self._image.width() * scale, self._image.height() * scale
        place = QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)
        painter.drawImage(place, self._image)
        painter.setOpacity(1.0)
        self._write_name(painter)
        if self._ringed:
            painter.setPen(QPen(QColor(ACCENT).lighter(125), 2))
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))

    def _write_name(self, painter: QPainter) -> None:
        text = painter.fontMetrics().boundingRect(self._name)
        plate = QRectF(0, 0, text.width() + 8, text.height())
        painter.fillRect(plate, QColor(0, 0, 0, 160))
        painter.setPen(QColor("white"))
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, self._name)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Remember that a click began here."""
        self._pressed = event.button() == Qt.MouseButton.LeftButton

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Tell a click; the release that ends a double click is none."""
        pressed, self._pressed = self._pressed, False
        if pressed and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Tell a double click with the left button."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.double_clicked.emit()
