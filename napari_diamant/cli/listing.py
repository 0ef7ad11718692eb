"""The verb that lists transformers, architectures and models by the names that other verbs take."""

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
ARCHITECTURE_COLUMNS = {"name": "--arch", "parameters": "parameters"}
MODEL_COLUMNS = {
    "name": "--model",
    "origin": "from",
    "arch": "architecture",
    "heads": "heads",
    "parameters": "parameters",
    "active": "in use",
}


def models(
    project: Annotated[Path | None, typer.Option(help="List this project's models too.")] = None,
    as_json: Json = False,
) -> None:
    """List transformers, architectures and models."""
    with output(as_json) as to:
        from napari_diamant.project import Project, catalog

        backbones = [asdict(entry) for entry in catalog.list_backbones()]
        if project is None:
            entries = catalog.list_models()
        else:
            with Project.open(project) as opened:
                entries = catalog.list_models(opened)
        architectures = [asdict(entry) for entry in catalog.list_architectures()]
        rows = [asdict(entry) for entry in entries]
        fields = {"verb": "models", "backbones": backbones, "architectures": architectures, "models": rows}
        shown = [table(backbones, BACKBONE_COLUMNS), "", table(architectures, ARCHITECTURE_COLUMNS), ""]
        to.result(fields, *shown, table(rows, MODEL_COLUMNS) if rows else "No trained model yet.")
