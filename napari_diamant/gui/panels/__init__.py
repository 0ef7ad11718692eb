"""The panels of the dock: Qt widgets that show and ask, and know neither napari nor the project."""

from napari_diamant.gui.panels.fine_tune import FineTunePanel
from napari_diamant.gui.panels.heads import HeadsPanel
from napari_diamant.gui.panels.model import ModelChoice, ModelPanel
from napari_diamant.gui.panels.samples import SampleItem, SamplesPanel

__all__ = ["FineTunePanel", "HeadsPanel", "ModelChoice", "ModelPanel", "SampleItem", "SamplesPanel"]
