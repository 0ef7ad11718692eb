"""The verb that lists transformers and models by the names that other verbs take."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from napari_diamant.cli.options import Json
from napari_diamant.cli.output import output
from napari_diamant.cli.tables import table

BACKBONE_COLUMNS = {
    "name": "--backbone",
    "title": "vision transformer",
    "heads": "heads",
    "parameters": "parameters",
    "download_mb": "MB",
    "licence": "licence",
}
MODEL_COLUMNS = {"name": "--model", "arch": "architecture", "parameters": "parameters", "path": "file"}


def models(
    project: Annotated[Path | None, typer.Option(help="List this project's models too.")] = None,
    as_json: Json = False,
) -> None:
    """List transformers and models by name."""
    with output(as_json) as to:
        from napari_diamant.project import Project, catalog

        backbones = [asdict(entry) for entry in catalog.list_backbones()]
        if project is None:
            entries = catalog.list_models()
        else:
            with Project.open(project) as opened:
                entries = catalog.list_models(opened)
        rows = [asdict(entry) for entry in entries]
        fields = {"verb": "models", "backbones": backbones, "models": rows}
        to.result(fields, table(backbones, BACKBONE_COLUMNS), table(rows, MODEL_COLUMNS))
