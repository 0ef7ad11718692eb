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
