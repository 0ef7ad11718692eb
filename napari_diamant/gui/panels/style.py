"""The few looks that all panels share; everything else is left to the window's theme."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

ACCENT = "#4c6be0"
"""Colour of the next thing to press: white on it is readable in light and dark themes."""
WARNING = "#e3b617"
GOOD = "#4caf7a"

_PRIMARY = f"""
QPushButton {{ background: {ACCENT}; color: white; font-weight: 600; padding: 6px 10px; border-radius: 3px; }}
QPushButton:hover {{ background: #5f7cf0; }}
QPushButton:pressed {{ background: #3a55bd; }}
QPushButton:focus {{ border: 1px solid white; }}
QPushButton:disabled {{ background: rgba(128, 128, 128, 60); color: rgba(160, 160, 160, 200); border: 0; }}
"""
_PANEL = f"""
#panel {{ border-top: 1px solid rgba(128, 128, 128, 90); }}
QPushButton:focus, QToolButton:focus, QCheckBox:focus {{ border: 1px solid {ACCENT}; }}
"""


class Panel(QFrame):
    """A titled group of the dock: a rule, a `header` of title and `remark`, and the `body` below.

    Parameters
    ----------
    title
        What the group is about, in one or two words.
    """

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setStyleSheet(_PANEL)
        self.remark = QLabel()
        self.remark.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.body = QVBoxLayout()
        self.body.setSpacing(6)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(8, 6, 8, 8)
        outer.setSpacing(6)
        name = QLabel(title)
        name.setStyleSheet("font-weight: 700;")
        self.header = row(name, self.remark, stretch=1)
        outer.addLayout(self.header)
        outer.addLayout(self.body)


def row(*widgets: QWidget, stretch: int = -1) -> QHBoxLayout:
    """Lay widgets beside each other; the one numbered `stretch` takes the room that is left."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for number, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if number == stretch else 0)
    return layout


def note(text: str = "") -> QLabel:
    """Make a line of text that wraps and may be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setMinimumWidth(1)  # long words must not widen a narrow dock
    return label


def banner() -> QLabel:
    """Make the loud line that cannot be overlooked; hidden until it has something to say."""
    label = note()
    label.setStyleSheet(
        f"background: {WARNING}; color: black; font-weight: 600; padding: 6px; border-radius: 3px;"
    )
    label.hide()
    return label


def button(text: str, tip: str) -> QPushButton:
    """Make a plain button that says in its tooltip what will happen."""
    made = QPushButton(text)
    made.setToolTip(tip)
    return made


def small_button(text: str, tip: str) -> QPushButton:
    """Make a button low enough for the header of a panel."""
    made = button(text, tip)
    made.setStyleSheet("padding: 1px 4px;")
    made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    return made


def primary_button(text: str, tip: str) -> QPushButton:
    """Make the one button of a panel that stands out."""
    made = button(text, tip)
    made.setStyleSheet(_PRIMARY)
    return made


def line_height(widget: QWidget) -> int:
    """Give the height of a text line in pixels, the measure that follows the user's font size."""
    return int(widget.fontMetrics().height())
