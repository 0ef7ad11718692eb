"""What the values of a mask file mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.types import IGNORED, Array

_NEAR = 32
"""How far JPEG may move black or white, and grey may stray from grey, in an 8-bit mask."""

_BETWEEN = 0.05
"""Share of the pixels of a black and white JPEG that may lie further off, along its edges."""


def as_labels(pixels: Array, path: Path, lossy: bool = False) -> Array:
    """Read the pixels of a mask as ``(Y, X)`` whole numbers.

    The rules, in this order:

    1. Opaque alpha is dropped; grey colours become one channel; one colour on black is 0 and 1.
    2. ``bool`` and black with one full white (255, 65535 or 1.0) are 0 and 1.
    3. A JPEG of black and white is cut at 127; a JPEG of anything else is refused, its numbers are not exact.
    4. Whole numbers are kept, as classes or as instances; reals must be whole. -1 is an ignored pixel.
    5. White with grey edges (an antialiased mask) is refused: where the edge lies is the user's to say.

    Returns
    -------
    Array
        The smallest unsigned type that holds the values, or int16 and up when pixels are ignored.

    Raises
    ------
    UserError
        When the values are not labels.
    """
    grey = _one_channel(pixels, path, lossy)
    if grey.dtype == bool:
        return grey.astype(np.uint8)
    if lossy:
        return _cut(grey, path)
    return _whole(grey, path)


def _one_channel(pixels: Array, path: Path, lossy: bool) -> Array:
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :-1] if pixels.shape[2] in (2, 4) and np.ptp(pixels[..., -1]) == 0 else pixels
    spread = colours.max(axis=2).astype(np.int64) - colours.min(axis=2)
    if spread.max() <= (_NEAR if lossy else 0):
        return np.asarray(colours[..., 0])
    used = np.unique(colours.reshape(-1, colours.shape[2]), axis=0)
    if len(used) == 2 and not used[0].any():
        return np.asarray(colours.any(axis=2))
    raise UserError(
        f"A mask must be grey, or one colour on black, got {len(used)} colours in {path.name}. "
        "Save the class number of each pixel in one channel."
    )


def _cut(grey: Array, path: Path) -> Array:
    between = np.mean((grey > _NEAR) & (grey < 255 - _NEAR))
    if between > _BETWEEN:
        raise UserError(
            f"A mask saved as JPEG must be black and white, got other greys in {path.name}. "
            "JPEG does not keep numbers; save the mask as PNG or TIFF."
        )
    return (grey > 127).astype(np.uint8)


def _whole(grey: Array, path: Path) -> Array:
    values, counts = np.unique(grey, return_counts=True)
    full = 1 if grey.dtype.kind == "f" else int(np.iinfo(grey.dtype).max)
    if values[-1] in (255, full, 65535) and len(values) <= 2 and values[0] in (0, values[-1]):
        return (grey > 0).astype(np.uint8)
    if not np.isfinite(values).all() or (values != np.round(values)).any() or values[0] < IGNORED:
        raise UserError(
            f"A mask must hold whole numbers from 0 on ({IGNORED} for ignored), got "
            f"{values[0]:g} to {values[-1]:g} in {path.name}. Save class numbers, not probabilities."
        )
    _require_steps(values, counts, path)
    smallest = np.min_scalar_type(int(values[-1]))
    return grey.astype(np.promote_types(smallest, np.int16) if values[0] < 0 else smallest)


def _require_steps(values: Array, counts: Array, path: Path) -> None:
    """Refuse an antialiased mask: mostly 255 where it is not 0, and several rare greys between."""
    between = counts[(values > 0) & (values < 255)]
    white = counts[values == 255].sum()
    if values[-1] == 255 and len(between) >= 4 and white > between.sum() and between.max() < 0.05 * white:
        raise UserError(
            f"A mask must have sharp edges, got {len(between)} greys between 0 and 255 in {path.name}. "
            "Threshold it, and save it without smoothing."
        )
