"""Overlapping tiles of a grid of map cells, and how their maps become one without seams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

Box = tuple[int, int, int, int]
"""First row, first column, last row + 1, last column + 1."""

Maps = NDArray[np.float32]
"""``(head, rows, columns)``."""

ANCHOR = 0.01
"""Pull of every level towards that of its own tile, so that no error adds up over a long row of tiles."""


@dataclass(frozen=True)
class Tiling:
    """Tiles of equal size that cover a grid, spread evenly, each overlapping its neighbours.

    Attributes
    ----------
    rows, columns
        Size of the grid in cells.
    tile, overlap
        Longest side of a tile, and the least overlap of two neighbours, in cells.
    """

    rows: int
    columns: int
    tile: int
    overlap: int

    @cached_property
    def boxes(self) -> list[Box]:
        """All tiles, row by row."""
        return [
            (top, left, min(top + self.tile, self.rows), min(left + self.tile, self.columns))
            for top, left in product(self._starts(self.rows), self._starts(self.columns))
        ]

    def neighbours(self) -> Iterator[tuple[int, int]]:
        """Give the pairs of tiles that lie side by side or one above the other, by their numbers."""
        across = len(self._starts(self.columns))
        for number in range(len(self.boxes)):
            if (number + 1) % across:
                yield number, number + 1
            if number + across < len(self.boxes):
                yield number, number + across

    def _starts(self, length: int) -> list[int]:
        """Where tiles begin along an axis."""
        if length <= self.tile:
            return [0]
        count = -(-(length - self.overlap) // (self.tile - self.overlap))
        return [round(place) for place in np.linspace(0, length - self.tile, count)]


def blend(tiles: Sequence[Maps], tiling: Tiling) -> Maps:
    """Join the maps of overlapping tiles to ``(head, rows, columns)``.

    A softmax sums to 1 in every tile, so a tile of bare glass is as bright as one full of nuclei. The tiles
    are therefore first brought to common levels, see `levels`, without changing the mean of each head. Then
    every tile is weighted by a raised cosine that fades towards all its sides, so that a cell is decided by
    the tile in which it has the most context; where only one tile reaches, the weight cancels out.
    """
    if len(tiles) == 1:
        return tiles[0]
    factors = levels(tiles, tiling)
    total = np.zeros((len(tiles[0]), tiling.rows, tiling.columns), np.float32)
    weights = np.zeros((tiling.rows, tiling.columns), np.float32)
    for (top, left, bottom, right), maps, factor in zip(tiling.boxes, tiles, factors, strict=True):
        window = np.outer(_fade(bottom - top), _fade(right - left))
        total[:, top:bottom, left:right] += maps * factor[:, None, None] * window
        weights[top:bottom, left:right] += window
    joined = total / weights
    wanted = np.mean([maps.mean(axis=(1, 2)) for maps in tiles], axis=0)
    joined *= (wanted / joined.mean(axis=(1, 2)))[:, None, None]
    return joined


def levels(tiles: Sequence[Maps], tiling: Tiling) -> Maps:
    """Find the factor of each tile and head with which neighbours agree best where they overlap.

    Least squares over the logarithms of the means in the overlaps, weighted by their area, as panoramas are
    brought to one exposure.

    Returns
    -------
    NDArray[float32]
        ``(tile, head)``.
    """
    count, heads = len(tiles), len(tiles[0])
    matrix = sparse.lil_array((count, count))
    right_side = np.zeros((count, heads))
    areas = 0
    for one, other in tiling.neighbours():
        area, step = _step(tiles, tiling.boxes, one, other)
        matrix[one, one] += area
        matrix[other, other] += area
        matrix[one, other] -= area
        matrix[other, one] -= area
        right_side[one] -= area * step
        right_side[other] += area * step
        areas += area
    if areas == 0:
        return np.ones((count, heads), np.float32)
    anchored = matrix + ANCHOR * areas / count * sparse.eye_array(count)
    logarithms: NDArray[np.float64] = spsolve(anchored.tocsc(), right_side).reshape(count, heads)
    return np.exp(logarithms).astype(np.float32)


def _step(
    tiles: Sequence[Maps], boxes: Sequence[Box], one: int, other: int
) -> tuple[int, NDArray[np.float64]]:
    """Give the area in which two tiles overlap, and how much brighter, in logarithms, the first is there."""
    corners = np.array([boxes[one], boxes[other]])
    top, left = corners[:, :2].max(axis=0)
    bottom, right = corners[:, 2:].min(axis=0)
    area = int(max(0, bottom - top) * max(0, right - left))
    if area == 0:
        return 0, np.zeros(len(tiles[one]))
    means = [
        tiles[number][:, top - row : bottom - row, left - column : right - column].mean(axis=(1, 2))
        for number, (row, column, _, _) in ((one, boxes[one]), (other, boxes[other]))
    ]
    first, second = np.log(np.maximum(means, 1e-6), dtype=np.float64)
    return area, first - second


def _fade(length: int) -> NDArray[np.float32]:
    fade: NDArray[np.float32] = np.sin(np.pi * (np.arange(length, dtype=np.float32) + 0.5) / length) ** 2
    return fade
