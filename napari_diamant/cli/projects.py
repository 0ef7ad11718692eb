"""The verbs that work on a project folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from napari_diamant.cli.files import expand, warn_of_random_weights
from napari_diamant.cli.options import FIT, Json, ProjectFolder, fields_of, takes
from napari_diamant.cli.output import output
from napari_diamant.cli.tables import sentence_of_fit, table
from napari_diamant.config import TrainConfig
from napari_diamant.errors import UserError
from napari_diamant.types import JSON, Progress

Paths = Annotated[list[Path], typer.Argument(help="Image files, or folders of them.", metavar="IMAGE…")]

SAMPLE_COLUMNS = {
    "id": "id",
    "reviewed": "reviewed",
    "strokes": "strokes",
    "minutes": "minutes",
    "predicted_by": "predicted by",
    "path": "file",
}
"""Key of a sample's state to its heading."""


def new(
    project: ProjectFolder,
    classes: Annotated[
        str, typer.Option(help="Names of the classes by label, background first.")
    ] = "background,foreground",
    as_json: Json = False,
) -> None:
    """Make an empty project."""
    names = tuple(name.strip() for name in classes.split(","))
    with output(as_json) as to:
        from napari_diamant.project import Project

        with Project.create(project, names) as made:
            to.result(
                {"verb": "project new", "project": made.folder, "classes": names}, f"made {made.folder}"
            )


def add(project: ProjectFolder, images: Paths, as_json: Json = False) -> None:
    """Add images.

    The files stay where they are and are never changed.
    """
    with output(as_json) as to:
        from napari_diamant.project import Project

        with Project.open(project) as opened:
            added, bad = [], []
            paths = expand(images)
            for number, path in enumerate(paths):
                to.report(Progress(f"adding {path.name}", number, len(paths)))
                try:
                    added += opened.add([path])
                except UserError as error:
                    bad.append({"image": path, "error": str(error)})
            if bad and len(paths) == 1:
                raise UserError(bad[0]["error"])
            for result in bad:
                to.warn(f"{result['image']}: {result['error']}")
            fields = {
                "verb": "project add",
                "samples": [asdict(sample) for sample in added],
                "errors": bad,
                "failed": len(bad),
            }
            to.result(fields, *(f"{sample.id}  {sample.path}" for sample in added))
    if bad:
        raise typer.Exit(1)


def relocate(
    project: ProjectFolder,
    folder: Annotated[Path, typer.Argument(help="Where to look, with all folders below.", metavar="FOLDER")],
    as_json: Json = False,
) -> None:
    """Find images that were moved.

    They are recognised by their content, under whatever name.
    """
    with output(as_json) as to:
        from napari_diamant.project import Project

        if not folder.is_dir():
            raise UserError(f"Images are looked for in a folder, got {folder}. Name one that exists.")
        with Project.open(project) as opened:
            found = [asdict(sample) for sample in opened.relocate(folder)]
            missing = [sample.path for sample in opened.samples() if not sample.path.exists()]
            fields = {"verb": "project relocate", "found": found, "missing": missing}
            shown = [f"{sample['id']}  {sample['path']}" for sample in found]
            to.result(fields, *shown, f"{len(found)} found, {len(missing)} still missing")
    if missing:
        raise typer.Exit(1)


def list_(project: ProjectFolder, as_json: Json = False) -> None:
    """List the images of a project with their state."""
    with output(as_json) as to:
        from napari_diamant.project import Project

        with Project.open(project) as opened:
            samples = opened.status()["samples"]
            to.result({"verb": "project list", "samples": samples}, table(samples, SAMPLE_COLUMNS))


def status(project: ProjectFolder, as_json: Json = False) -> None:
    """Say how far the work is."""
    with output(as_json) as to:
        from napari_diamant.project import Project

        with Project.open(project) as opened:
            fields = opened.status()
            to.result({"verb": "project status", **fields}, *_summary(fields))


def _summary(fields: JSON) -> list[str]:
    """Put a project's state into a few lines."""
    images = len(fields["samples"])
    return [
        f"{fields['folder']}: classes {', '.join(fields['classes'])}",
        f"{images} images, {fields['reviewed']} reviewed",
        f"{fields['strokes']} strokes in {fields['minutes']:.0f} minutes of work",
        f"{len(fields['models'])} models, {fields['active_model'] or 'none of its own'} in use",
    ]


def verify(project: ProjectFolder, as_json: Json = False) -> None:
    """Check everything against its hashes."""
    with output(as_json) as to:
        from napari_diamant.project import Project

        with Project.open(project) as opened:
            faults = opened.verify()
            shown = faults or ["The journal, the models and the originals are as they were written."]
            to.result({"verb": "project verify", "sound": not faults, "faults": faults}, *shown)
    if faults:
        raise typer.Exit(1)


def export(
    project: ProjectFolder,
    out: Annotated[Path, typer.Option(help="Folder for the masks, made when it is not there.")],
    kind: Annotated[
        Literal["ome-tiff", "png", "training"],
        typer.Option(help="`training` writes images/ and masks/ for `train`."),
    ] = "ome-tiff",
    as_json: Json = False,
) -> None:
    """Write the corrected masks.

    A table beside them says where their pixels come from.
    """
    with output(as_json) as to:
        from napari_diamant.project import Project

        with Project.open(project) as opened:
            written = opened.export(out, kind)
            to.result({"verb": "project export", "outputs": written}, *(str(path) for path in written))


@takes(*FIT)
def fine_tune(
    project: ProjectFolder,
    restart: Annotated[bool, typer.Option("--restart", help="Drop a fit that was ended midway.")] = False,
    as_json: Json = False,
    **chosen: Any,
) -> None:
    """Fit a project's model to its corrections.

    Run again after a kill, it goes on where it was.
    """
    given = fields_of(TrainConfig, FIT, chosen)
    with output(as_json) as to:
        from napari_diamant.project import Project
        from napari_diamant.project.project import FINE_TUNE

        with Project.open(project) as opened:
            config = _over(opened.settings.config("train", FINE_TUNE), given)
            result = opened.fine_tune(config, report=to.report, restart=restart)
            warn_of_random_weights(to, [result])
            to.result({"verb": "fine-tune", **result}, sentence_of_fit(result))


def _over(kept: TrainConfig, given: dict[str, Any]) -> TrainConfig:
    """Put the options over the project's own recipe; a new budget replaces the old one whole."""
    base = kept.model_dump()
    if "epochs" in given or "minutes" in given:
        base |= {"epochs": None, "minutes": None}
    return TrainConfig.model_validate(base | given)
