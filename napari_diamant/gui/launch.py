"""Opens the window for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import napari
from qtpy.QtCore import QTimer

from napari_diamant.errors import UserError
from napari_diamant.gui.commands import WIDGET
from napari_diamant.gui.drop import sort_paths
from napari_diamant.gui.settings import PLUGIN
from napari_diamant.gui.widget import DiamantWidget


def open_window(paths: Sequence[Path], project: Path | None = None) -> napari.Viewer:
    """Open a viewer with the dock and what was named.

    Parameters
    ----------
    paths
        Images, folders of images, volumes, or one project.
    project
        The project that takes the images, made when it is not there; the one in the user's data folder
        when None.

    Raises
    ------
    UserError
        When a path does not exist.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f"An image or a project must exist to be opened, got {path}. Check the name.")
    chosen = project or sort_paths(paths).project
    viewer = napari.Viewer(title="DIAMANT")
    widget = DiamantWidget(viewer, chosen)
    viewer.window.add_dock_widget(widget, name=f"{WIDGET} ({PLUGIN})", area="right")
    if images := [path for path in paths if path != chosen]:
        widget.controller.open_paths(images)
    else:
        widget.controller.next_image()
    QTimer.singleShot(0, viewer.reset_view)  # once the dock has taken its share of the window
    return viewer


def run() -> None:
    """Work until the window is closed."""
    napari.run()
