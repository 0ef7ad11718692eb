"""TIFF, OME-TIFF and Aperio SVS through tifffile: the first series at its full resolution."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io.raw import Raw, require_room, unit_name
from napari_diamant.types import Array


def read(path: Path) -> Raw:
    """Read the first image of a file, level 0 of a pyramid.

    Spacing comes from OME-XML, from ImageJ's description, from Aperio's microns per pixel, or from a
    resolution per centimetre; a resolution per inch is the size on paper and says nothing.
    """
    import tifffile

    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        require_room(path, int(np.prod(series.shape, dtype=object)) * np.dtype(series.dtype).itemsize)
        _require_whole(path, tif, series)
        array: Array = series.asarray()
        spacing, unit = _spacing(tif)
        axes = re.sub("[^YXZTCS]", "?", series.axes)
        lossy = series.keyframe.compression in (6, 7)
    return Raw(array, axes if "?" not in axes else "", spacing, unit, lossy)


def _require_whole(path: Path, tif: Any, series: Any) -> None:
    """Refuse a file that ends before its data: tifffile would fill the rest with zeros."""
    for page in filter(None, series.pages):
        ends = [start + length for start, length in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if ends and max(ends) > tif.filehandle.size:
            raise UserError(
                f"An image file must be whole, got {path.name}, which ends before its pixels do. "
                "Copy or export it again."
            )


def _spacing(tif: Any) -> tuple[dict[str, float], str]:
    for source in (_from_ome, _from_imagej, _from_aperio, _from_resolution):
        found = source(tif)
        if found is not None:
            sizes, unit = found
            if all(np.isfinite(size) and size > 0 for size in sizes.values()):
                return sizes, unit
    return {}, "pixel"


def _from_ome(tif: Any) -> tuple[dict[str, float], str] | None:
    if not tif.is_ome:
        return None
    pixels = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Pixels")
    if pixels is None:
        return None
    sizes = {axis: pixels.get(f"PhysicalSize{axis}") for axis in "YXZ"}
    # OME's default unit is the micrometre.
    unit = unit_name(pixels.get("PhysicalSizeXUnit", "µm"))
    if sizes["Y"] is None or sizes["X"] is None or unit is None:
        return None
    return {axis: float(size) for axis, size in sizes.items() if size is not None}, unit


def _from_imagej(tif: Any) -> tuple[dict[str, float], str] | None:
    if not tif.is_imagej:
        return None
    unit = unit_name((tif.imagej_metadata or {}).get("unit"))
    sizes = _tag_sizes(tif)
    if unit is None or sizes is None:
        return None
    step = (tif.imagej_metadata or {}).get("spacing")
    return (sizes if step is None else {**sizes, "Z": float(step)}), unit


def _from_aperio(tif: Any) -> tuple[dict[str, float], str] | None:
    found = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", tif.pages[0].description) if tif.is_svs else None
    if found is None:
        return None
    return {"Y": float(found[1]), "X": float(found[1])}, "micrometer"


def _from_resolution(tif: Any) -> tuple[dict[str, float], str] | None:
    unit = tif.pages[0].tags.get("ResolutionUnit")
    sizes = _tag_sizes(tif)
    if unit is None or int(unit.value) != 3 or sizes is None:  # 3: per centimetre
        return None
    return {axis: size * 1e4 for axis, size in sizes.items()}, "micrometer"


def _tag_sizes(tif: Any) -> dict[str, float] | None:
    """Give units per pixel from the tags that hold pixels per unit, as fractions."""
    sizes = {}
    for axis in "YX":
        tag = tif.pages[0].tags.get(f"{axis}Resolution")
        if tag is None or 0 in tag.value:
            return None
        sizes[axis] = tag.value[1] / tag.value[0]
    return sizes
