"""Commands of the palette and the menus; each opens the dock when it is not open yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_diamant.gui.settings import PLUGIN

if TYPE_CHECKING:
    import napari

    from napari_diamant.gui.widget import DiamantWidget

WIDGET = "DIAMANT"


def dock(viewer: napari.viewer.Viewer) -> DiamantWidget:
    """Give the dock of a viewer, opened and visible."""
    docked, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    docked.show()
    docked.raise_()
    opened: DiamantWidget = widget
    return opened


def predict(viewer: napari.viewer.Viewer) -> None:
    """Predict the mask of the open image."""
    dock(viewer).controller.predict()


def fine_tune(viewer: napari.viewer.Viewer) -> None:
    """Fine-tune the model on the corrections."""
    dock(viewer).controller.fine_tune()


def cancel(viewer: napari.viewer.Viewer) -> None:
    """Cancel the fine-tuning."""
    dock(viewer).controller.cancel()


def toggle_reviewed(viewer: napari.viewer.Viewer) -> None:
    """Mark the open image as reviewed, or take that back."""
    dock(viewer).controller.toggle_reviewed()


def next_image(viewer: napari.viewer.Viewer) -> None:
    """Open the next image that is not reviewed."""
    dock(viewer).controller.next_image()


def toggle_heads(viewer: napari.viewer.Viewer) -> None:
    """Show or hide the attention heads."""
    dock(viewer).controller.toggle_heads()


def open_project(viewer: napari.viewer.Viewer) -> None:
    """Ask for a project and open it."""
    dock(viewer).ask_open_project()


def new_project(viewer: napari.viewer.Viewer) -> None:
    """Ask for an empty folder and make a project in it."""
    dock(viewer).ask_new_project()
