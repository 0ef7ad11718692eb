"""The panel that says what is in use: device, transformer, model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QMenu, QWidget

from napari_diamant.gui.panels.style import WARNING, Panel, button, note


@dataclass(frozen=True)
class ModelChoice:
    """A model that can be put to use.

    Attributes
    ----------
    id
        Its identity in the project.
    name
        For people.
    dice
        Held-out Dice, None when nothing was held out.
    words
        Where it comes from; the tooltip.
    """

    id: str
    name: str
    dice: float | None = None
    words: str = ""

    @property
    def label(self) -> str:
        """Name and score as the list shows them."""
        return self.name if self.dice is None else f"{self.name} · Dice {self.dice:.3f}"


class ModelPanel(Panel):
    """Device, weights and model in use, and the ways to change them.

    Attributes
    ----------
    model_chosen
        Signal with a model's id.
    backbone_chosen
        Signal with the name of a published transformer.
    weights_chosen
        Signal with the path of a weight file.
    """

    model_chosen = Signal(str)
    backbone_chosen = Signal(str)
    weights_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("In use", parent)
        self._device = note("starting…")
        self._backbone = note("starting…")
        self._models = QComboBox()
        self._models.setToolTip("Which model makes the mask; an earlier one can be put back to use here")
        self._models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._change = button(
            "Change weights…", "Choose the vision transformer that makes the attention maps"
        )
        self._menu = QMenu(self._change)
        self._change.setMenu(self._menu)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self._models)
        form.addRow("Attention", self._backbone)
        form.addRow("Device", self._device)
        self.body.addLayout(form)
        self.header.addWidget(self._change)
        self._models.activated.connect(self._choose)
        self.set_models([], "")
        self.set_backbones({})

    def set_device(self, words: str) -> None:
        """Say what computes."""
        self._device.setText(words)

    def set_activity(self, words: str) -> None:
        """Say what is being computed, beside the title; empty when nothing is."""
        self.remark.setText(words)

    def set_backbone(self, words: str, trained: bool) -> None:
        """Say which transformer makes the maps, in a warning colour when it is untrained."""
        self._backbone.setText(words)
        self._backbone.setStyleSheet("" if trained else f"color: {WARNING}; font-weight: 600;")

    def set_backbones(self, names: dict[str, str]) -> None:
        """Offer published transformers: name → words."""
        self._menu.clear()
        for name, words in names.items():
            self._menu.addAction(words, lambda name=name: self.backbone_chosen.emit(name))
        if names:
            self._menu.addSeparator()
        self._menu.addAction("From a file…", self._choose_file)

    def set_models(self, models: Sequence[ModelChoice], active: str) -> None:
        """List the models; `active` is the id of the one in use."""
        self._models.clear()
        for model in models:
            self._models.addItem(model.label, model.id)
            self._models.setItemData(
                self._models.count() - 1, model.words or model.label, Qt.ItemDataRole.ToolTipRole
            )
            if model.id == active:
                self._models.setCurrentIndex(self._models.count() - 1)
        if not models:
            self._models.addItem("none yet", "")
        self._models.setEnabled(bool(models))

    def _choose(self, index: int) -> None:
        self.model_chosen.emit(self._models.itemData(index))

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Weights of a vision transformer", "", "Weights (*.safetensors *.pth *.pt *.bin)"
        )
        if path:
            self.weights_chosen.emit(path)
