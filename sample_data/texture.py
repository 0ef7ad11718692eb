"""Noise, closed shapes and places: what both kinds of synthetic images are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.float64]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Field:
    """Give Gaussian noise of one grain size, mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def fibres(rng: np.random.Generator, angle: Field, length: int, width: float) -> Field:
    """Give noise drawn out along the direction `angle` (radians from X towards Y), standard deviation 1.

    A line integral convolution with straight, short lines: Cabral and Leedom, SIGGRAPH 1993.
    """
    noise = smooth_noise(rng, angle.shape, width)
    rows, columns = np.indices(angle.shape, dtype=float)
    drawn = np.zeros(angle.shape)
    for step in np.linspace(-length / 2, length / 2, length):
        places = [rows + step * np.sin(angle), columns + step * np.cos(angle)]
        drawn += ndimage.map_coordinates(noise, places, order=1, mode="grid-wrap")
    return (drawn - drawn.mean()) / drawn.std()


def scatter(
    rng: np.random.Generator, allowed: NDArray[np.bool_], distance: float, most: int = 100_000
) -> Field:
    """Choose places ``(n, 2)`` inside `allowed` that are at least `distance` pixels apart."""
    free = allowed.copy()
    reach = int(np.ceil(distance))
    rows, columns = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    near = np.hypot(rows, columns) < distance
    free_padded = np.pad(free, reach)
    chosen = []
    for row, column in rng.permutation(np.argwhere(free)):
        if len(chosen) == most:
            break
        if free_padded[row + reach, column + reach]:
            free_padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1] &= ~near
            chosen.append((row, column))
    places = np.array(chosen, dtype=float).reshape(-1, 2)
    return places + rng.uniform(-0.5, 0.5, places.shape)


def blob(
    rng: np.random.Generator,
    shape: tuple[int, int],
    centre: Field,
    radii: tuple[float, float],
    angle: float,
    bumps: float,
) -> tuple[tuple[slice, slice], Field]:
    """Give a bumpy ellipse: the box it lies in, and in it the relative radius, below 1 inside.

    Parameters
    ----------
    rng
        Source of the bumps.
    shape
        Height and width of the image.
    centre
        Row and column.
    radii
        Along `angle` and across it, in pixels.
    angle
        Radians from X towards Y.
    bumps
        Strength of the bumps, 0 for a true ellipse.
    """
    reach = 1.5 * max(radii) + 3
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.maximum(np.minimum(np.ceil(centre + reach), shape), low).astype(int)
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    rows, columns = np.mgrid[box]
    dy, dx = rows - centre[0], columns - centre[1]
    along = (dx * np.cos(angle) + dy * np.sin(angle)) / radii[0]
    across = (dy * np.cos(angle) - dx * np.sin(angle)) / radii[1]
    around = np.arctan2(across, along)
    edge = 1 + sum(
        bumps / order * rng.normal() * np.cos(order * around + rng.uniform(0, 2 * np.pi))
        for order in range(2, 6)
    )
    return box, np.hypot(along, across) / np.maximum(edge, 0.4)
