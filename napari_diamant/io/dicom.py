"""DICOM through pydicom: one file, or a folder that holds one series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io.raw import Raw, require_room
from napari_diamant.types import Array


def read(path: Path) -> Raw:
    """Read a file (``YX``, ``YXS`` in colour, ``ZYX`` with several frames) or a series folder (``ZYX``)."""
    return _read_series(path) if path.is_dir() else _read_file(path)


def is_dicom(path: Path) -> bool:
    """Tell by the mark at byte 128; many files of a series have no suffix at all."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read_file(path: Path) -> Raw:
    import pydicom

    data = pydicom.dcmread(path)
    if not _has_pixels(data):
        raise UserError(
            f"A DICOM file must hold an image, got none in {path.name}. Choose a file of the series."
        )
    frames = int(data.get("NumberOfFrames", None) or 1)
    require_room(
        path, frames * data.Rows * data.Columns * data.get("SamplesPerPixel", 1) * data.BitsAllocated // 8
    )
    array = _values(data)
    axes = ("Z" if frames > 1 else "") + "YX" + ("S" if data.get("SamplesPerPixel", 1) > 1 else "")
    return Raw(array, axes, *_plane_spacing(data))


def _read_series(folder: Path) -> Raw:
    import pydicom

    files = [path for path in sorted(folder.iterdir()) if path.is_file() and is_dicom(path)]
    slices = [data for data in map(pydicom.dcmread, files) if _has_pixels(data)]  # reports lie beside images
    if not slices:
        raise UserError(
            f"A DICOM folder must hold DICOM images, got none in {folder}. Choose the series' own folder."
        )
    _require_one_series(folder, slices)
    first = slices[0]
    require_room(folder, len(slices) * first.Rows * first.Columns * 4)
    places = [_along_normal(data) for data in slices]
    order = sorted(range(len(slices)), key=places.__getitem__)
    steps = np.diff([places[index] for index in order])
    sizes, unit = _plane_spacing(first)
    if len(steps) and np.median(steps) > 0 and unit != "pixel":
        sizes = {**sizes, "Z": float(np.median(steps))}
    return Raw(np.stack([_values(slices[index]) for index in order]), "ZYX", sizes, unit)


def _require_one_series(folder: Path, slices: Sequence[Any]) -> None:
    series = {str(data.get("SeriesInstanceUID", "")) for data in slices}
    shapes = {(int(data.Rows), int(data.Columns), int(data.get("SamplesPerPixel", 1))) for data in slices}
    if len(series) == 1 and len(shapes) == 1 and next(iter(shapes))[2] == 1:
        return
    raise UserError(
        f"A DICOM folder must hold one grey series of one slice size, got {len(series)} series with sizes "
        f"{sorted(shape[:2] for shape in shapes)} in {folder.name}. Put each series into a folder of its own."
    )


def _has_pixels(data: Any) -> bool:
    return "PixelData" in data and "Rows" in data and "Columns" in data


def _along_normal(data: Any) -> float:
    """Give the place of a slice along the normal of its plane, in mm; else its number in the series."""
    position, orientation = data.get("ImagePositionPatient"), data.get("ImageOrientationPatient")
    if position is None or orientation is None:
        return float(data.get("InstanceNumber", None) or 0)
    row, column = np.asarray(orientation[:3], float), np.asarray(orientation[3:], float)
    return float(np.dot(np.cross(row, column), np.asarray(position, float)))


def _plane_spacing(data: Any) -> tuple[dict[str, float], str]:
    sizes = data.get("PixelSpacing") or data.get("ImagerPixelSpacing")
    if sizes is None:
        return {}, "pixel"
    return {"Y": float(sizes[0]), "X": float(sizes[1])}, "millimeter"


def _values(data: Any) -> Array:
    """Give the modality's values (Hounsfield units for CT); white is high, whatever the convention."""
    from pydicom.pixels import apply_rescale

    array: Array = data.pixel_array
    if "RescaleSlope" in data and (float(data.RescaleSlope), float(data.RescaleIntercept)) != (1.0, 0.0):
        array = apply_rescale(array, data).astype(np.float32)
    if data.get("PhotometricInterpretation") == "MONOCHROME1":
        array = array.max() - array + array.min()
    return array
