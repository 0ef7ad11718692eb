"""Small images for the tests of the project."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np


def write_image(path: Path, seed: int, shape: tuple[int, int] = (48, 64)) -> Path:
    """Write a small grey image; another seed gives other pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    imageio.imwrite(path, np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8))
    return path


def write_discs(path: Path, seed: int, shape: tuple[int, int] = (64, 72)) -> np.ndarray:
    """Write a noisy image of bright discs, and give its exact mask."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    mask = np.zeros(shape, np.uint8)
    for _ in range(4):
        row, column = rng.integers(8, 56, 2)
        mask[(rows - row) ** 2 + (columns - column) ** 2 < 49] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    imageio.imwrite(path, (60 + 120 * mask + rng.normal(0, 15, shape)).clip(0, 255).astype(np.uint8))
    return mask
