"""Synthetic fluorescence images of nuclei with their exact masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from texture import Field, blob, scatter, smooth_noise

Mask = NDArray[np.bool_]


def draw(rng: np.random.Generator, side: int = 256) -> tuple[NDArray[np.uint16], Mask]:
    """Draw one image: ``(Y, X)`` counts of a 16-bit camera, and the mask of the nuclei."""
    shape = (side, side)
    signal, mask = np.zeros(shape), np.zeros(shape, bool)
    size, peak = rng.uniform(8, 13), rng.uniform(500, 2200)
    for centre in _places(rng, shape, size):
        radii = (size * rng.uniform(0.95, 1.45), size * rng.uniform(0.7, 1.0))
        box, relative = blob(rng, shape, centre, radii, rng.uniform(0, np.pi), bumps=0.10)
        if relative.size == 0:
            continue
        glow = np.clip(1.15 - relative**2, 0, None) ** 0.45 * _texture(rng, relative)
        new = (relative < 1) & ~mask[box]  # the first of two that touch stays whole
        signal[box] = np.where(new, peak * rng.lognormal(0, 0.4) * glow, signal[box])
        mask[box] |= new
    return _expose(rng, signal, peak), mask


def _places(rng: np.random.Generator, shape: tuple[int, int], size: float) -> Field:
    """Crowd some nuclei together, and leave others alone."""
    crowd = smooth_noise(rng, shape, 30) > rng.uniform(-0.3, 0.7)
    dense, sparse = scatter(rng, crowd, 1.75 * size), scatter(rng, ~crowd, 4.2 * size)
    return np.concatenate([dense, sparse])


def _texture(rng: np.random.Generator, relative: Field) -> Field:
    """Give chromatin: soft grains, and a few dark nucleoli."""
    grains = 1 + 0.45 * ndimage.gaussian_filter(rng.standard_normal(relative.shape), 1.6) * 3
    for row, column in rng.permutation(np.argwhere(relative < 0.65))[: rng.integers(1, 4)]:
        rows, columns = np.indices(relative.shape)
        grains *= 1 - 0.45 * np.exp(
            -((rows - row) ** 2 + (columns - column) ** 2) / (2 * rng.uniform(1.2, 2.2) ** 2)
        )
    return np.clip(grains, 0.25, None)


def _expose(rng: np.random.Generator, signal: Field, peak: float) -> NDArray[np.uint16]:
    """Blur, add light from out of focus and from the medium, count photons, read out."""
    shape = signal.shape
    sharp = ndimage.gaussian_filter(signal, rng.uniform(0.9, 1.5))
    haze = 0.22 * ndimage.gaussian_filter(signal, 12)
    medium = peak * (rng.uniform(0.03, 0.09) + 0.025 * smooth_noise(rng, shape, 60))
    shading = 1 + 0.10 * smooth_noise(rng, shape, 90)
    photons = rng.poisson(np.clip((sharp + haze + medium) * shading, 0, None) * 0.25)
    counts = 100 + photons * 4 + rng.normal(0, 5, shape)
    return np.clip(np.round(counts), 0, 65535).astype(np.uint16)
