"""The coloured buttons that choose the class to paint."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QInputDialog, QPushButton, QSizePolicy, QWidget

from napari_diamant.gui.panels.style import button, line_height

COLUMNS = 2


class ClassSelector(QWidget):
    """One button per class, with its colour, its number and its name; Alt+number chooses it.

    Attributes
    ----------
    class_chosen
        Signal with the label of the class to paint.
    class_added
        Signal with the name of a class that the user wants.
    """

    class_chosen = Signal(int)
    class_added = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3)
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self.class_chosen)
        self._add = button("+", "Add a class; possible until the first model is trained")
        self._add.setAccessibleName("Add a class")
        self._add.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        for column in range(COLUMNS):
            self._layout.setColumnStretch(column, 1)
        self._add.clicked.connect(self._ask)
        self._names: list[str] = []

    def set_classes(
        self, names: Sequence[str], colours: Sequence[str], chosen: int | None, extendable: bool
    ) -> None:
        """Show the classes.

        Parameters
        ----------
        names
            Background first; the position is the label.
        colours
            One per class, as Qt names colours: ``"#ff8800"``.
        chosen
            Label the brush paints, None for no brush in hand.
        extendable
            True while classes can be added: no model was trained yet.
        """
        for old in self._group.buttons():
            self._group.removeButton(old)
            old.deleteLater()
        for label, (name, colour) in enumerate(zip(names, colours, strict=True)):
            made = self._button(label, name, colour)
            self._group.addButton(made, label)
            self._layout.addWidget(made, label // COLUMNS, label % COLUMNS)
        self._names = list(names)
        self._layout.addWidget(self._add, 0, COLUMNS)
        self._add.setVisible(extendable)
        self.set_chosen(chosen)

    def set_chosen(self, label: int | None) -> None:
        """Show which class the brush paints, None for no brush in hand, without telling anyone."""
        made = None if label is None else self._group.button(label)
        if made is not None:
            made.setChecked(True)
        elif (former := self._group.checkedButton()) is not None:
            self._group.setExclusive(False)  # an exclusive group keeps one button pressed
            former.setChecked(False)
            self._group.setExclusive(True)

    def _button(self, label: int, name: str, colour: str) -> QPushButton:
        side = line_height(self)
        swatch = QPixmap(side, side)
        swatch.fill(QColor(colour))
        shortcut = f"Alt+{label}" if label < 10 else ""
        made = QPushButton(QIcon(swatch), f"{label}  {name}")
        made.setStyleSheet("text-align: left;")
        made.setCheckable(True)
        made.setShortcut(shortcut)
        made.setToolTip(f"Paint {name} (label {label})" + (f": {shortcut}" if shortcut else ""))
        made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        return made

    def _ask(self) -> None:
        name, agreed = QInputDialog.getText(self, "New class", "Name of the class")
        if agreed and name.strip() and name.strip() not in self._names:
            self.class_added.emit(name.strip())
