"""Intensities, channels, and the scaling of attention maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_diamant.errors import UserError
from napari_diamant.types import Array

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_PERCENTILES = (0.1, 99.9)
_SAMPLED = 2**20  # pixels that decide the percentiles; sorting a whole slide takes seconds
_MAP_PERCENTILES = (1.0, 99.0)


def to_unit(pixels: Array) -> NDArray[np.float32]:
    """Bring the intensities of an image to [0, 1].

    The percentiles 0.1 and 99.9 become 0 and 1, jointly over the three channels of a colour, so that its hue
    stays, and for each channel on its own otherwise. Alpha is dropped. NaN and minus infinity become the
    smallest finite value, infinity the largest. A flat channel becomes 0.

    Parameters
    ----------
    pixels
        ``(Y, X)`` or ``(Y, X, C)``, any real type.

    Returns
    -------
    NDArray[float32]
        ``(Y, X, C)``.

    Raises
    ------
    UserError
        When there is no finite pixel, or the array is not an image.
    """
    if pixels.ndim not in (2, 3) or pixels.dtype.kind not in "buif":
        raise UserError(
            f"An image must be (Y, X) or (Y, X, channel) numbers, got {pixels.dtype} of shape "
            f"{pixels.shape}. Choose one plane of it."
        )
    values = _without_alpha(pixels[..., np.newaxis] if pixels.ndim == 2 else pixels)
    if values.size == 0:
        raise UserError(f"An image must hold pixels, got shape {pixels.shape}. Open another file.")
    unit: Array = values.astype(np.result_type(values, np.float32))
    unit = _finite(unit) if pixels.dtype.kind == "f" else unit
    axes = (0, 1, 2) if unit.shape[2] == 3 else (0, 1)
    step = int(np.ceil(np.sqrt(unit.shape[0] * unit.shape[1] / _SAMPLED)))
    low, high = np.percentile(unit[::step, ::step], _PERCENTILES, axis=axes, keepdims=True)
    return _stretch(unit, low, high, flat=0.0)


def as_channels(unit: Array, count: int, channels: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Give an image the number of channels that a network takes.

    Parameters
    ----------
    unit
        ``(Y, X, C)``.
    count
        Channels wanted.
    channels
        Which channels to take, in this order; None takes all of them.

    Returns
    -------
    NDArray[float32]
        ``(Y, X, count)``. A single channel is repeated, a colour becomes its mean when one channel is wanted,
        surplus channels are left out, and missing ones are 0.

    Raises
    ------
    UserError
        When a channel of `channels` does not exist.
    """
    have = unit.shape[2]
    if channels is not None:
        if any(not 0 <= channel < have for channel in channels):
            raise UserError(
                f"Channels must be among 0 to {have - 1}, got {tuple(channels)}. "
                "Choose channels the image has."
            )
        unit = unit[..., list(channels)]
        have = unit.shape[2]
    if have == 1:
        unit = np.repeat(unit, count, axis=2)
    elif have == 3 and count == 1:
        unit = unit.mean(axis=2, keepdims=True)
    elif have < count:
        unit = np.pad(unit, ((0, 0), (0, 0), (0, count - have)))
    return np.ascontiguousarray(unit[..., :count], dtype=np.float32)


def scale_maps(maps: Array, rule: Literal["minmax", "percentile"]) -> NDArray[np.float32]:
    """Bring each map ``(head, rows, columns)`` to [0, 1] on its own; a flat one becomes 0.5.

    ``"percentile"`` maps the percentiles 1 and 99 to 0 and 1 and clips, so that one hot token does not
    blacken the rest of the map; ``"minmax"`` is what DINO's script saves.
    """
    bounds = (0.0, 100.0) if rule == "minmax" else _MAP_PERCENTILES
    values = np.asarray(maps, dtype=np.float64)
    low, high = np.percentile(values, bounds, axis=(1, 2), keepdims=True)
    return _stretch(values, low, high, flat=0.5)


def _without_alpha(values: Array) -> Array:
    """Drop the last of two or four channels when it is opaque in most places; no stain is so even."""
    if values.shape[2] not in (2, 4) or values.size == 0:
        return values
    last = values[..., -1]
    full = 1 if last.dtype.kind in "bf" else np.iinfo(last.dtype).max
    return values[..., :-1] if np.mean(last == full) >= 0.5 else values


def _finite(values: Array) -> Array:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        raise UserError("An image must hold finite pixels, got only NaN or infinity. Open another file.")
    low, high = finite.min(), finite.max()
    return np.nan_to_num(values, nan=low, neginf=low, posinf=high)


def _stretch(values: Array, low: Array, high: Array, flat: float) -> NDArray[np.float32]:
    """Map `low` to 0 and `high` to 1 in place of a copy per step, since slides are large."""
    width = (high - low).astype(values.dtype)
    scaled = values - low.astype(values.dtype)
    scaled /= np.where(width > 0, width, 1)
    np.clip(scaled, 0, 1, out=scaled)
    if not (width > 0).all():
        scaled = np.where(width > 0, scaled, flat)
    return np.asarray(scaled, dtype=np.float32)
