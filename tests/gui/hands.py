"""What a user's hands do to the real window: drop, click, paint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QCursor, QDragEnterEvent, QDropEvent, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QOpenGLWidget, QPushButton, QWidget

LEFT = Qt.MouseButton.LeftButton
NO_KEYS = Qt.KeyboardModifier.NoModifier


def drop(target: QWidget, paths: Iterable[Path]) -> None:
    """Drag files onto a widget and let them go."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    enter = QDragEnterEvent(QPoint(20, 20), Qt.DropAction.CopyAction, mime, LEFT, NO_KEYS)
    QApplication.sendEvent(target, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(target, QDropEvent(QPointF(20, 20), Qt.DropAction.CopyAction, mime, LEFT, NO_KEYS))


def click(dock: QWidget, text: str) -> None:
    """Press the button whose text begins so, where the mouse can reach it."""
    button = next(b for b in dock.findChildren(QPushButton) if b.text().startswith(text))
    assert button.isVisible(), f"the button {text!r} cannot be seen"
    QTest.mouseClick(button, LEFT)


def canvas(viewer: Any) -> QWidget:
    """Give the widget that the picture is drawn on."""
    return viewer.window._qt_window.findChild(QOpenGLWidget)


def place(viewer: Any, row: float, column: float) -> QPoint:
    """Give where a pixel of the image lies on the canvas."""
    native = canvas(viewer)
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera  # since napari 0.9
    zoom, middle = camera.zoom, camera.center[-2:]
    x = native.width() / 2 + (column - middle[1]) * zoom
    y = native.height() / 2 + (row - middle[0]) * zoom
    return QPoint(round(x), round(y))


def stroke(viewer: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press, move in steps and release; rows and columns of the image."""
    native = canvas(viewer)
    _park_pointer(viewer)
    _move(native, place(viewer, *start), Qt.MouseButton.NoButton)
    QTest.mousePress(native, LEFT, NO_KEYS, place(viewer, *start))
    for share in (
        0.25,
        0.5,
        0.75,
        1.0,
        1.0,
    ):  # a hand comes to rest, and a move too soon after another is dropped
        point = [first + share * (last - first) for first, last in zip(start, end, strict=True)]
        _move(native, place(viewer, *point), LEFT)
        QTest.qWait(40)
    QTest.mouseRelease(native, LEFT, NO_KEYS, place(viewer, *end))
    QTest.qWait(20)


def _park_pointer(viewer: Any) -> None:
    """Put the screen's own pointer into a corner: over the canvas its late moves would join the strokes."""
    QCursor.setPos(viewer.window._qt_window.mapToGlobal(QPoint(1, 1)))
    QTest.qWait(30)


def _move(native: QWidget, point: QPoint, buttons: Qt.MouseButton) -> None:
    """Move over a widget without moving the screen's pointer, whose events arrive when they like."""
    where = QPointF(point)
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        where,
        QPointF(native.mapToGlobal(point)),
        Qt.MouseButton.NoButton,
        buttons,
        NO_KEYS,
    )
    QApplication.sendEvent(native, event)


def press(viewer: Any, key: Qt.Key, modifier: Qt.KeyboardModifier = NO_KEYS) -> None:
    """Press a key over the picture."""
    QTest.keyClick(canvas(viewer), key, modifier)


def said() -> list[str]:
    """Give napari's notifications so far."""
    return [str(record.message) for record in notification_manager.records]
