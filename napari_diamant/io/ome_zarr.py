"""Zarr arrays and OME-Zarr images (versions 0.4 and 0.5) through zarr: level 0 of the first multiscale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io.raw import Raw, require_room, unit_name


def read(path: Path) -> Raw:
    """Read a folder that holds one array, or an OME-Zarr group."""
    import zarr

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return Raw(_values(path, node), _letters(_dimension_names(node)))
    attributes = dict(node.attrs)
    multiscales = attributes.get("ome", attributes).get("multiscales")
    if not multiscales:
        raise UserError(
            f"A Zarr folder must hold one array or an OME-Zarr image, got a group of {sorted(node.keys())} "
            f"in {path.name}. Open one of its arrays."
        )
    return _first_level(path, node, multiscales[0])


def _first_level(path: Path, group: Any, multiscale: Mapping[str, Any]) -> Raw:
    level = multiscale["datasets"][0]
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in multiscale.get("axes", [])]
    letters = _letters([axis["name"] for axis in axes])
    scales = [step["scale"] for step in level.get("coordinateTransformations", []) if step["type"] == "scale"]
    units = {letter: unit_name(axis.get("unit")) for letter, axis in zip(letters, axes, strict=False)}
    array = _values(path, group[level["path"]])
    unit = units.get("X")
    if not scales or unit is None:
        return Raw(array, letters)
    spacing = {
        letter: float(size) for letter, size in zip(letters, scales[0], strict=True) if letter in "ZYX"
    }
    return Raw(array, letters, spacing, unit)


def _values(path: Path, array: Any) -> np.ndarray[Any, np.dtype[Any]]:
    require_room(path, int(np.prod(array.shape, dtype=object)) * np.dtype(array.dtype).itemsize)
    return np.asarray(array[...])


def _dimension_names(array: Any) -> list[str]:
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    return [name or "?" for name in names or []]


def _letters(names: list[str]) -> str:
    """Shorten names such as ``y`` and ``channel`` to letters; empty when one is not known."""
    letters = "".join(name[:1].upper() for name in names)
    return letters if set(letters) <= set("YXZTCS") else ""
