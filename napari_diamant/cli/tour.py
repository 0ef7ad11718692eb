"""The verb that shows the whole loop on the sample images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_diamant.cli.options import Json
from napari_diamant.cli.output import Output, output
from napari_diamant.cli.window import require_window
from napari_diamant.types import JSON


def tour(
    out: Annotated[Path, typer.Option(help="Folder for the tour's project and for what it leaves.")] = Path(
        "out"
    ),
    auto: Annotated[
        bool, typer.Option("--auto", help="Walk the loop without a user, leave pictures and masks, and end.")
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.1, help="Budget of the fit with --auto.")] = 0.6,
    as_json: Json = False,
) -> None:
    """Do the main job on the sample images.

    By hand in the window, or with --auto by itself: attend, predict, correct, fine-tune, predict again.
    """
    require_window()
    with output(as_json) as to:
        from napari_diamant.gui.tour import Tour, open_tour, walk

        chosen = Tour(out, minutes=minutes)
        if auto:
            _tell(to, walk(chosen, to.report))
        else:
            from napari_diamant.gui.launch import run

            _held = open_tour(chosen)  # nothing else owns the window
            run()
            to.result({"verb": "tour", "project": str(out / "project")})


def _tell(to: Output, seen: JSON) -> None:
    if not seen["fit"].get("trained", True):
        to.warn("The attention maps come from a vision transformer with RANDOM, untrained weights.")
    lines = [
        f"Dice on an image that was never corrected: {seen['dice_before']:.3f} before the corrections,"
        f" when there was no model yet, {seen['dice_after']:.3f} after the fine-tune.",
        *(f"{name:>16}  {path}" for name, path in seen["files"].items()),
    ]
    to.result({"verb": "tour", **seen}, *lines)
