"""From a decoded file to an image or a volume in napari's order of axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io.raw import Raw
from napari_diamant.types import Array, Image

CHANNELS_AT_MOST = 8
"""A third axis without a name is taken for channels up to this length, and for planes beyond it."""


def as_image(raw: Raw, path: Path) -> Image:
    """Bring the axes to ``(Y, X)`` or ``(Y, X, C)``; axes of length 1 are dropped.

    Raises
    ------
    UserError
        When it is a volume, a time series, or holds no numbers.
    """
    array, axes = _squeeze(_numbers(raw.array, path), raw.axes)
    channels = set(axes) - {"Y", "X"}
    if not {"Y", "X"} <= set(axes) or len(channels) > 1 or not channels <= {"C", "S"}:
        raise UserError(
            f"An image must have height, width and at most one axis of channels, got shape {raw.array.shape} "
            f"(axes {raw.axes or 'without names'}) in {path.name}. "
            "Save one plane or one moment as a file of its own."
        )
    pixels = array.transpose([axes.index(axis) for axis in "YXCS" if axis in axes])
    return Image(np.ascontiguousarray(pixels), _plane(raw), raw.unit, path)


def as_volume(raw: Raw, path: Path) -> tuple[Array, tuple[float, ...], str]:
    """Bring the axes to ``(Z, Y, X)``; gives values, spacing along each axis and its unit.

    Raises
    ------
    UserError
        When there is no depth, or there are channels or moments beside it.
    """
    array = _numbers(raw.array, path)
    kept = [
        axis for axis, length in enumerate(array.shape) if length > 1 or raw.axes[axis : axis + 1] in "ZYX"
    ]
    axes = "".join(raw.axes[axis] for axis in kept) if raw.axes else "ZYX"
    if sorted(axes) != ["X", "Y", "Z"] or len(kept) != 3:
        raise UserError(
            f"A volume must have depth, height and width, got shape {array.shape} "
            f"(axes {raw.axes or 'without names'}) in {path.name}. "
            "Open it as an image, or save one moment of it."
        )
    volume = array.reshape([array.shape[axis] for axis in kept]).transpose(
        [axes.index(axis) for axis in "ZYX"]
    )
    return np.ascontiguousarray(volume), (raw.spacing.get("Z", 1.0), *_plane(raw)), raw.unit


def _plane(raw: Raw) -> tuple[float, float]:
    return (raw.spacing.get("Y", 1.0), raw.spacing.get("X", 1.0))


def _squeeze(array: Array, axes: str) -> tuple[Array, str]:
    if not axes:
        array = np.squeeze(array) if array.ndim > 2 else array
        return array, _guess(array.shape)
    kept = [index for index, axis in enumerate(axes) if array.shape[index] > 1 or axis in "YX"]
    return array.reshape([array.shape[index] for index in kept]), "".join(axes[index] for index in kept)


def _guess(shape: tuple[int, ...]) -> str:
    """Name the axes of an array that came without names; empty when there is no telling."""
    if len(shape) == 2:
        return "YX"
    if len(shape) != 3:
        return ""
    if shape[2] <= CHANNELS_AT_MOST and shape[2] < shape[0]:
        return "YXC"
    return "CYX" if shape[0] <= CHANNELS_AT_MOST else "ZYX"


def _numbers(array: Array, path: Path) -> Array:
    """Give real numbers in the machine's byte order, which torch asks for."""
    if array.dtype.kind not in "buif":
        raise UserError(
            f"Pixels must be whole or real numbers, got type {array.dtype} in {path.name}. "
            "Save their magnitude, or one channel of them."
        )
    if array.size == 0:
        raise UserError(
            f"An image must hold pixels, got shape {array.shape} in {path.name}. Export it again."
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)
