"""Attention maps from cells to pixels, quick enough to be done anew for every crop."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from napari_diamant.types import AttentionMaps


def to_pixels(
    maps: AttentionMaps, box: tuple[int, int, int, int], rule: Literal["nearest", "bilinear"]
) -> NDArray[np.float32]:
    """Interpolate maps at the pixels of a box.

    Interpolation is separable, and a pixel lies between two cells, so it is two products with sparse
    matrices: about twenty times as fast as resampling every pixel by a general affine transformation. Dense
    products are as fast on a quiet machine, but wait for BLAS's threads, up to 0.2 s, on a busy one.

    Parameters
    ----------
    maps
        Of the whole image; their values are taken as they are.
    box
        First row, first column, last row + 1, last column + 1, in pixels; the outermost cells continue beyond
        the image.
    rule
        How cells become pixels.

    Returns
    -------
    NDArray[float32]
        ``(head, h, w)``.
    """
    top, left, bottom, right = box
    down, rows = _weights(range(top, bottom), maps, 0, rule)  # (h, rows)
    along, columns = _weights(range(left, right), maps, 1, rule)  # (w, columns)
    part = maps.maps[:, down, along].astype(np.float32, copy=False)
    wide = (columns @ part.reshape(-1, part.shape[2]).T).T  # (head * rows, w)
    wide = np.ascontiguousarray(wide).reshape(*part.shape[:2], -1)
    return np.stack([rows @ plane for plane in wide])


def _weights(
    pixels: range, maps: AttentionMaps, axis: int, rule: Literal["nearest", "bilinear"]
) -> tuple[slice, sparse.csr_array]:
    """Give the cells along an axis that matter, and each pixel's weights of them, ``(pixels, cells)``."""
    last = maps.maps.shape[1 + axis] - 1
    position = (np.array(pixels) - maps.translate[axis]) / maps.scale[axis]
    position = position.clip(0, last)
    if rule == "nearest":
        position = np.floor(position + 0.5)
    below = position.astype(np.intp)
    above = np.minimum(below + 1, last)
    seen = slice(int(below[0]), int(above[-1]) + 1)
    share = (position - below).astype(np.float32)
    cells = np.stack([below, above], axis=1).ravel() - seen.start
    weights = np.stack([1 - share, share], axis=1).ravel()
    ends = np.arange(0, 2 * len(pixels) + 1, 2)
    return seen, sparse.csr_array((weights, cells, ends), shape=(len(pixels), seen.stop - seen.start))
