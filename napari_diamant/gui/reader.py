"""Readers for what napari does not open by itself: NIfTI, DICOM and project folders.

napari asks with a path and takes a function, or None for "not mine". Nothing heavy is imported before that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_diamant.types import JSON, Image, Sample

LayerData = tuple[Any, dict[str, Any], str]
PathOrPaths = str | Sequence[str]
Reader = Callable[[PathOrPaths], list[LayerData]]

METADATA_KEY = "diamant"
"""Where a layer's metadata say which project and image it belongs to."""

VOLUMES = (".nii", ".nii.gz", ".dcm", ".dicom")
DATABASE = "project.db"


def volume_reader(path: PathOrPaths) -> Reader | None:
    """Give the reader of NIfTI and DICOM files, None for other names."""
    return _read_volumes if all(item.lower().endswith(VOLUMES) for item in _paths(path)) else None


def folder_reader(path: PathOrPaths) -> Reader | None:
    """Give the reader of a project (its folder or database) or of a DICOM series, None for other folders."""
    items = [Path(item) for item in _paths(path)]
    if all(project_folder(item) is not None for item in items):
        return _read_projects
    return _read_volumes if all(item.is_dir() and holds_dicom(item) for item in items) else None


def project_folder(path: Path) -> Path | None:
    """Give the project that a dropped path means: the folder itself or the one of its database, else None."""
    folder = path.parent if path.name == DATABASE else path
    return folder if (folder / DATABASE).is_file() else None


def holds_dicom(folder: Path) -> bool:
    """Tell whether a folder's first file is DICOM: by its suffix, or by ``DICM`` after 128 bytes."""
    first = next((item for item in sorted(folder.iterdir()) if item.is_file()), None)
    if first is None:
        return False
    if first.suffix.lower() in (".dcm", ".dicom"):
        return True
    with first.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def image_layer(image: Image, name: str, metadata: JSON | None = None) -> LayerData:
    """Give an image of a project as napari's layer data, with its spacing and unit.

    Grey and RGB images become one layer; further channels stay the last axis of the data, of which napari
    shows the first three as red, green and blue when their type allows, else one layer per channel.
    """
    options: dict[str, Any] = {
        "name": name,
        "scale": image.spacing,
        "metadata": {METADATA_KEY: metadata or {}},
    }
    if image.unit != "pixel":
        options["units"] = (image.unit, image.unit)
    pixels = image.pixels
    if pixels.ndim == 3:
        if pixels.shape[2] in (3, 4):
            options["rgb"] = True
        else:
            options["channel_axis"] = 2
    return (pixels, options, "image")


def _paths(path: PathOrPaths) -> list[str]:
    return [path] if isinstance(path, str) else [str(item) for item in path]


def _read_volumes(path: PathOrPaths) -> list[LayerData]:
    from napari_diamant.io import read_volume

    layers: list[LayerData] = []
    for item in _paths(path):
        voxels, spacing, unit = read_volume(Path(item))
        options = {"name": Path(item).name.split(".")[0], "scale": spacing, "units": (unit,) * len(spacing)}
        layers.append((voxels, options, "image"))
    return layers


def _read_projects(path: PathOrPaths) -> list[LayerData]:
    from napari_diamant.project import Project

    layers: list[LayerData] = []
    for item in _paths(path):
        folder = project_folder(Path(item))
        if folder is None:
            continue
        with Project.open(folder) as project:
            layers.extend(_project_layers(project, folder))
    return layers


def _project_layers(project: Any, folder: Path) -> list[LayerData]:
    sample = next_sample(project.samples())
    if sample is None:
        return [(None,)]  # type: ignore[list-item]  # napari's way to say "read, and nothing to show"
    image = project.image(sample.id)
    own = {"project": str(folder.resolve()), "sample": sample.id}
    mask = {
        "name": f"{sample.name} mask",
        "scale": image.spacing,
        "metadata": {METADATA_KEY: {**own, "mask": True}},
    }
    if image.unit != "pixel":
        mask["units"] = (image.unit, image.unit)
    return [image_layer(image, sample.name, own), (project.labels(sample.id), mask, "labels")]


def next_sample(samples: Sequence[Sample], after: int | None = None) -> Sample | None:
    """Choose the image to work on: the first one not reviewed, counted from the one behind `after`.

    Goes round once; with everything reviewed it is simply the next one, and None without any image.
    """
    if not samples:
        return None
    start = next((index + 1 for index, sample in enumerate(samples) if sample.id == after), 0)
    turned = [*samples[start:], *samples[:start]]
    return next((sample for sample in turned if not sample.reviewed and sample.id != after), turned[0])
