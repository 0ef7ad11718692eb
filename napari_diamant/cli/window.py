"""The verb that opens the window."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from napari_diamant.cli.options import Json
from napari_diamant.cli.output import output
from napari_diamant.errors import UserError

QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5")
INSTALL_WINDOW = 'pip install "napari-diamant[all]"'


def open_(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Images, or one project folder.", metavar="[IMAGE… | PROJECT]")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(help="Keep the images and corrections in this project.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Open the window."""
    require_window()
    with output(as_json) as to:
        from napari_diamant.gui.launch import open_window, run

        _held = open_window(paths or [], project)  # nothing else owns the window
        run()
        to.result({"verb": "open"})


def qt_binding() -> str | None:
    """Name the installed Qt binding, without importing it."""
    return next((name for name in QT_BINDINGS if find_spec(name) is not None), None)


def has_display() -> bool:
    """Tell whether a window can appear; Qt itself would abort the process where none can."""
    if sys.platform in ("darwin", "win32") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def require_window() -> None:
    """Refuse, with what to do, where no window can open.

    Raises
    ------
    UserError
        No Qt binding is installed, or there is no display.
    """
    if qt_binding() is None:
        raise UserError(f"The window needs a Qt binding and none is installed. Run: {INSTALL_WINDOW}")
    if not has_display():
        raise UserError(
            "The window needs a display and DISPLAY is not set. Work at a desktop, through ssh -X, or with"
            " xvfb-run; the other verbs need no display."
        )
