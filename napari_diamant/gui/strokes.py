"""Where a stroke has been: the box napari reports, and the pixels under the brush."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_diamant.types import Array

Box: TypeAlias = tuple[slice, slice]


def brushed(
    path: Sequence[tuple[float, float]], radius: int, shape: tuple[int, int]
) -> tuple[Box, NDArray[np.bool_]]:
    """Give the box around a brush stroke, and the pixels in it that lay under the brush.

    Parameters
    ----------
    path
        Rows and columns that the mouse came by, in pixels.
    radius
        Of the round brush, in pixels.
    shape
        Height and width of the mask.
    """
    points = np.round(np.asarray(path, float))
    low = np.clip(points.min(axis=0) - radius, 0, shape).astype(int)
    high = np.clip(points.max(axis=0) + radius + 1, low, shape).astype(int)
    under = np.zeros(high - low, bool)
    rows, columns = np.ogrid[low[0] : high[0], low[1] : high[1]]
    for start, end in zip(points, [*points[1:], points[-1]], strict=True):
        (y, x), (dy, dx) = start, end - start
        # the share of the way from start to end that is nearest to each pixel
        share = ((rows - y) * dy + (columns - x) * dx) / max(dy * dy + dx * dx, 1)
        share = np.clip(share, 0, 1)
        under |= (rows - y - share * dy) ** 2 + (columns - x - share * dx) ** 2 <= radius**2
    return np.s_[low[0] : high[0], low[1] : high[1]], under


def stroke_box(atoms: Iterable[Any], shape: tuple[int, int]) -> Box:
    """Give the box around a stroke that napari reports, the whole image when its atoms are not understood.

    An atom bears a `slice_key` (napari ≥ 0.8), or is a tuple that begins with index arrays.
    """
    boxes = [_atom_box(atom) for atom in atoms]
    if not boxes or None in boxes:
        return np.s_[0 : shape[0], 0 : shape[1]]
    rows, columns = zip(*(box for box in boxes if box), strict=True)
    return (_hull(rows), _hull(columns))


def _atom_box(atom: Any) -> Box | None:
    key = getattr(atom, "slice_key", None) or (atom[0] if isinstance(atom, tuple) and atom else None)
    if not isinstance(key, tuple) or len(key) != 2:
        return None
    if all(isinstance(part, slice) and part.start is not None for part in key):
        return (key[0], key[1])
    if all(isinstance(part, np.ndarray) and part.size for part in key):
        return (_span(key[0]), _span(key[1]))
    return None


def _span(indices: Array) -> slice:
    return slice(int(indices.min()), int(indices.max()) + 1)


def _hull(slices: Iterable[slice]) -> slice:
    parts = list(slices)
    return slice(min(part.start for part in parts), max(part.stop for part in parts))


def tighten(box: Box, changed: Array) -> Box:
    """Shrink a box to the pixels that changed in it."""
    rows, columns = np.nonzero(changed.any(axis=1))[0], np.nonzero(changed.any(axis=0))[0]
    top, left = box[0].start or 0, box[1].start or 0
    return np.s_[
        top + int(rows[0]) : top + int(rows[-1]) + 1, left + int(columns[0]) : left + int(columns[-1]) + 1
    ]
