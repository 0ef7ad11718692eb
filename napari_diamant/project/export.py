"""Masks out of a project, for every other program, and a table that says where each comes from."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io import atomic, stem_of, suffix_of, write_labels
from napari_diamant.project import lessons
from napari_diamant.types import IGNORED, JSON, Array, Image, Sample

if TYPE_CHECKING:
    from napari_diamant.project.project import Project

Kind = Literal["ome-tiff", "png", "training"]


def export(project: Project, out: Path, kind: Kind) -> list[Path]:
    """Write the masks of a project, with ``provenance.csv`` and ``provenance.json`` beside them.

    Parameters
    ----------
    project
        The project.
    out
        Folder, made when missing.
    kind
        ``"ome-tiff"`` and ``"png"``: the mask of every image as it stands on the screen. ``"training"``:
        ``images/`` with copies of the originals and ``masks/`` with what a fit would learn from, `IGNORED`
        where a pixel does not count; images without corrections are left out.

    Returns
    -------
    list of Path
        The files written, the tables last.

    Raises
    ------
    UserError
        When the kind is unknown, or an original that must be copied is gone.
    """
    if kind not in get_args(Kind):
        raise UserError(f"The kind of an export must be one of {', '.join(get_args(Kind))}, got {kind!r}.")
    written: list[Path] = []
    rows: list[JSON] = []
    for sample, name in _named(project.samples()):
        files = _write(project, sample, name, out, kind)
        written.extend(files)
        if files:
            rows.append({"file": files[-1].relative_to(out).as_posix(), **_provenance(project, sample)})
    return [*written, *_tables(project, out, rows)]


def _write(project: Project, sample: Sample, name: str, out: Path, kind: Kind) -> list[Path]:
    if kind == "training":
        labels = lessons.labels_to_learn(project, sample)
        if labels is None:
            return []
        project.image(sample.id)  # refuses an original that is gone or has changed
        copy = out / "images" / f"{name}{suffix_of(sample.path)}"
        mask = out / "masks" / f"{name}.tif"
        _copy(sample.path, copy)
        _write_signed(mask, labels)
        return [copy, mask]
    labels = project.labels(sample.id)
    if kind == "png":
        mask = out / f"{name}.png"
        _write_png(mask, labels)
    else:
        mask = out / f"{name}.ome.tif"
        write_labels(mask, labels, _image_if_there(project, sample))
    return [mask]


def _named(samples: list[Sample]) -> list[tuple[Sample, str]]:
    # Images of different folders may share a name; their masks must not overwrite each other.
    names = [stem_of(sample.path) for sample in samples]
    counts = Counter(names)
    return [
        (sample, name if counts[name] == 1 else f"{name}-{sample.id}")
        for sample, name in zip(samples, names, strict=True)
    ]


def _image_if_there(project: Project, sample: Sample) -> Image | None:
    # A mask can be handed out without its image; only the size of a pixel is then unknown.
    return project.image(sample.id) if sample.path.exists() else None


def _write_png(path: Path, labels: Array) -> None:
    import imageio.v3 as imageio

    with atomic(path) as temporary:
        imageio.imwrite(temporary, labels, extension=".png")


def _write_signed(path: Path, labels: Array) -> None:
    import tifffile

    with atomic(path) as temporary:
        tifffile.imwrite(temporary, labels, compression="zlib")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)


def _provenance(project: Project, sample: Sample) -> JSON:
    overlay = project.overlay(sample.id)
    return {
        "sample": sample.id,
        "image": str(sample.path),
        "content_hash": sample.content_hash,
        "reviewed": sample.reviewed,
        "predicted_by": project.predicted_by(sample.id),
        "corrected_pixels": int(np.count_nonzero(overlay != IGNORED)),
        "pixels": overlay.size,
        **project.effort(sample.id),
    }


def _tables(project: Project, out: Path, rows: list[JSON]) -> list[Path]:
    table, whole = out / "provenance.csv", out / "provenance.json"
    with atomic(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["file"])
        writer.writeheader()
        writer.writerows(rows)
    row, digest = project.journal_tip()
    content = {
        "classes": list(project.classes),
        "ignored": IGNORED,
        "journal": {"rows": row, "hash": digest},
        "masks": rows,
        "models": [record.as_json() for record in project.models()],
    }
    with atomic(whole) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return [table, whole]
