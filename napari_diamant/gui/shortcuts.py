"""Keys of the viewer that work while the dock is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_diamant.gui.controller import Controller

KEYS: dict[str, str] = {
    "Shift-D": "predict",
    "Shift-H": "toggle_heads",
    "Shift-R": "toggle_reviewed",
    "Shift-N": "next_image",
    "Shift-B": "previous_image",
}
"""Key and the controller's method; none of them is a key of napari's own."""


def bind_shortcuts(viewer: Any, controller: Controller) -> None:
    """Bind the keys to a viewer."""
    for key, name in KEYS.items():
        viewer.bind_key(key, _caller(getattr(controller, name)), overwrite=True)


def unbind_shortcuts(viewer: Any) -> None:
    """Give the keys back."""
    for key in KEYS:
        viewer.bind_key(key, None, overwrite=True)


def _caller(action: Callable[[], None]) -> Callable[[Any], None]:
    def call(viewer: Any) -> None:
        action()

    return call
