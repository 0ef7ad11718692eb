"""Small images with an exact mask, easy enough that a tiny network learns them in seconds."""

import numpy as np

from napari_diamant.engine.dataset import TrainingImage
from napari_diamant.types import IGNORED, AttentionMaps

CELL = 8


def blob(index, side=64, with_maps=False, classes=2):
    """Make an image with a bright disc (two for three classes), its mask, and its grey levels as maps."""
    rng = np.random.default_rng(index)
    rows, columns = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int16)
    for label in range(1, classes):
        row, column = rng.integers(side // 4, 3 * side // 4, size=2)
        labels[(rows - row) ** 2 + (columns - column) ** 2 < (side / 5) ** 2] = label
    grey = 60 + 120 * labels[..., None] / (classes - 1) + rng.normal(0, 15, (side, side, 3))
    pixels = grey.clip(0, 255).astype(np.uint8)
    return TrainingImage(
        f"blob {index}", f"{index:064x}", pixels, labels, _maps(pixels) if with_maps else None
    )


def _maps(pixels):
    cells = pixels[CELL // 2 :: CELL, CELL // 2 :: CELL].transpose(2, 0, 1).astype(np.float32)
    scale = (float(CELL), float(CELL))
    return AttentionMaps(cells, scale, pixels.shape[:2], "grey levels", "0" * 64, False, 0)


def scribbled(image, count=6, seed=0):
    """Keep the labels of `count` small squares and forget the others."""
    rng = np.random.default_rng(seed)
    labels = np.full_like(image.labels, IGNORED)
    for label in np.unique(image.labels):
        places = np.argwhere(image.labels == label)
        for row, column in places[rng.choice(len(places), count)]:
            box = np.s_[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
            labels[box] = image.labels[box]
    return TrainingImage(image.name, image.content_hash, image.pixels, labels, image.maps)
