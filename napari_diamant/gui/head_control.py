"""The heads of the open image: their tiles in the panel and their layers in the viewer, kept equal."""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer

from napari_diamant.gui.panels import HeadsPanel
from napari_diamant.gui.predictor import load_maps
from napari_diamant.gui.session import Session
from napari_diamant.types import JSON

LAYER_MS = 60
"""Pause between two head layers that are added ahead of need; the window answers in between."""


class HeadControl(QObject):
    """Binds the panel of the heads to a session.

    Parameters
    ----------
    panel
        The panel.
    parent
        Qt's owner.
    """

    def __init__(self, panel: HeadsPanel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._panel = panel
        self._session: Session | None = None
        self._ticked: list[int] | None = None
        self._count = 0
        self._timer = QTimer(self)
        self._timer.setInterval(LAYER_MS)
        self._timer.timeout.connect(self._add_layer)
        panel.layer_toggled.connect(self.show)

    def chosen(self) -> list[int] | None:
        """Give the ticked heads, None while that is all of them; the ticks of the image before hold on."""
        if self._session is not None:
            heads = self._panel.heads()
            self._ticked = None if len(heads) == self._count else heads
        return self._ticked

    def clear(self, words: str) -> None:
        """Show no heads, and say why."""
        self.chosen()
        self._timer.stop()
        self._session = None
        self._panel.clear(words)

    def forget(self) -> None:
        """Tick every head again: another transformer has other heads."""
        self._ticked, self._session = None, None

    def take(self, session: Session, answer: JSON) -> None:
        """Show the maps that the engine has made for the open image."""
        maps, scale = load_maps(answer)
        session.show_maps(maps, scale)
        self._panel.set_maps(maps, str(answer["backbone"]), bool(answer["trained"]))
        if self._ticked is not None:
            self._panel.set_heads(self._ticked)
        if session.heads is not None:
            self._session, self._count = session, len(maps)
            session.heads.visibility.connect(self._panel.set_layer_shown, unique=True)
            for head, layer in session.heads.layers.items():
                self._panel.set_layer_shown(head, bool(layer.visible))
            self._timer.start()

    def show(self, head: int, shown: bool) -> None:
        """Show or hide the layer of one head."""
        if self._session is not None and self._session.heads is not None:
            self._session.heads.show(head, shown)

    def toggle(self) -> None:
        """Show the ticked heads as layers, or hide all of them when any is shown."""
        if self._session is None or self._session.heads is None:
            return
        shown = [head for head, layer in self._session.heads.layers.items() if layer.visible]
        for head in shown or self._panel.heads():
            self._session.heads.show(head, not shown)

    def stop(self) -> None:
        """Add no more layers."""
        self._timer.stop()

    def _add_layer(self) -> None:
        if self._session is None or self._session.heads is None or not self._session.heads.add_next():
            self._timer.stop()
