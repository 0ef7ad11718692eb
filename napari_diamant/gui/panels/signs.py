"""Small signs drawn with the colours of the theme at hand, so that they need no files and no icon font."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import QToolButton, QWidget

from napari_diamant.gui.panels.style import ACCENT, GOOD, line_height

Draw = Callable[[QPainter, QRectF, QColor, bool], None]


class SignButton(QToolButton):
    """A small button that shows a drawn sign.

    Parameters
    ----------
    draw
        Draws the sign: painter, the square it fills, the text colour, whether the button is checked.
    tip
        What happens when it is pressed.
    checkable
        True for a switch.
    """

    def __init__(self, draw: Draw, tip: str, checkable: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._draw = draw
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.setCheckable(checkable)
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QSize:
        """Give a square that follows the font size."""
        side = line_height(self) + 6
        return QSize(side, side)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the sign over the button's own background."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.35)
        side = min(self.width(), self.height()) - 8
        square = QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)
        self._draw(painter, square, self.palette().buttonText().color(), self.isChecked())


def draw_eye(painter: QPainter, square: QRectF, colour: QColor, on: bool) -> None:
    """Draw an eye: filled and coloured when the layer is shown, struck through when it is not."""
    painter.setPen(QPen(QColor(ACCENT).lighter(125) if on else colour, max(1.2, square.width() / 12)))
    middle, lid = square.center(), square.height() * 0.62
    path = QPainterPath(QPointF(square.left(), middle.y()))
    path.quadTo(QPointF(middle.x(), middle.y() - lid), QPointF(square.right(), middle.y()))
    path.quadTo(QPointF(middle.x(), middle.y() + lid), QPointF(square.left(), middle.y()))
    painter.drawPath(path)
    if on:
        painter.setBrush(painter.pen().color())
        painter.drawEllipse(middle, square.width() / 6, square.width() / 6)
    else:
        painter.drawLine(square.bottomLeft(), square.topRight())


def draw_undo(painter: QPainter, square: QRectF, colour: QColor, on: bool) -> None:
    """Draw an arrow that turns back."""
    painter.setPen(QPen(colour, max(1.4, square.width() / 9)))
    arc = square.adjusted(
        square.width() * 0.12, square.height() * 0.25, -square.width() * 0.12, square.height() * 0.1
    )
    painter.drawArc(arc, -30 * 16, 190 * 16)
    tip = QPointF(arc.left() + arc.width() * 0.04, arc.center().y() - arc.height() * 0.16)
    painter.drawLine(tip, tip + QPointF(-square.width() * 0.06, -square.height() * 0.3))
    painter.drawLine(tip, tip + QPointF(square.width() * 0.3, -square.height() * 0.02))


def draw_redo(painter: QPainter, square: QRectF, colour: QColor, on: bool) -> None:
    """Draw an arrow that turns forward: `draw_undo` in a mirror."""
    painter.translate(2 * square.center().x(), 0)
    painter.scale(-1, 1)
    draw_undo(painter, square, colour, on)


def draw_previous(painter: QPainter, square: QRectF, colour: QColor, on: bool) -> None:
    """Draw an angle that points to the left."""
    painter.setPen(QPen(colour, max(1.4, square.width() / 9)))
    middle = square.center()
    reach = QPointF(square.width() * 0.2, square.height() * 0.35)
    tip = QPointF(middle.x() - reach.x(), middle.y())
    painter.drawPolyline([middle + QPointF(0, -reach.y()), tip, middle + QPointF(0, reach.y())])


def state_icon(state: str, colour: QColor, side: int) -> QIcon:
    """Draw the state of an image: an empty ring (new), a half-filled one (corrected), a tick (reviewed).

    Parameters
    ----------
    state
        ``"new"``, ``"corrected"`` or ``"reviewed"``.
    colour
        Of the text beside it.
    side
        In pixels.
    """
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    ring = QRectF(2, 2, side - 4, side - 4)
    if state == "reviewed":
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(GOOD))
        painter.drawEllipse(ring)
        painter.setPen(QPen(QColor("white"), max(1.5, side / 9)))
        painter.drawPolyline(
            [QPointF(side * x, side * y) for x, y in ((0.3, 0.52), (0.44, 0.67), (0.71, 0.36))]
        )
    else:
        painter.setPen(QPen(colour, 1.5))
        painter.drawEllipse(ring)
        if state == "corrected":
            painter.setBrush(colour)
            painter.drawPie(ring, 90 * 16, 180 * 16)
    painter.end()
    return QIcon(pixmap)
