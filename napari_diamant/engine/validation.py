"""How good a network is on the held-out part: tile by tile, within a bounded number of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, product, zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_diamant.config import ModelConfig
from napari_diamant.engine.dataset import PreparedImage
from napari_diamant.engine.losses import segmentation_loss
from napari_diamant.types import IGNORED

TILE = 1024
"""Longest side of a tile: what prediction sees at once, so that instance normalisation meets the same."""

EPOCH_PIXELS = 2_000_000
"""Most pixels looked at after an epoch; they cost less than a tenth of the default epoch."""

FINAL_PIXELS = 30_000_000
"""Most pixels looked at before and after the fit."""


@dataclass(frozen=True)
class Scores:
    """What a network reaches on the held-out part.

    Attributes
    ----------
    loss
        Mean loss of its labelled pixels.
    dice
        Mean over the foreground classes, and over the images when whole images are held out.
    by_class
        The same for each foreground class.
    """

    loss: float
    dice: float
    by_class: dict[str, float]

    def as_dict(self) -> dict[str, float]:
        """Give the values as a checkpoint's card keeps them: ``dice``, ``dice <class>``, ``loss``."""
        return {"dice": self.dice, "loss": self.loss, **{f"dice {k}": v for k, v in self.by_class.items()}}


@dataclass(frozen=True)
class _Tile:
    """A part of an image, and the larger size that the network takes."""

    image: int
    top: int
    left: int
    rows: int
    columns: int
    height: int
    width: int


class HeldOut:
    """The held-out part, cut into tiles once.

    Parameters
    ----------
    images
        Labels are `IGNORED` outside of the held-out part.
    whole
        True averages the Dice of images; False pools the pixels, because blocks of an image are no images.
    model
        Its classes and its rule for sizes.
    dice_weight
        Of the loss.
    """

    def __init__(
        self, images: Sequence[PreparedImage], whole: bool, model: ModelConfig, dice_weight: float
    ) -> None:
        self.images, self.whole, self.model, self.dice_weight = list(images), whole, model, dice_weight
        by_image = [_tiles(index, image, model.size_multiple) for index, image in enumerate(self.images)]
        # One tile of every image before the second of any, so that a cap does not leave images out.
        self._tiles = [tile for tile in chain.from_iterable(zip_longest(*by_image)) if tile is not None]

    def __bool__(self) -> bool:
        return bool(self._tiles)

    def times_as_many(self, few: int, many: int) -> float:
        """Give how many times as long a score of `many` pixels takes as one of `few`; 0 if both see all."""
        there = sum(tile.height * tile.width for tile in self._tiles)
        return 0.0 if there <= few else min(there, many) / few

    @torch.no_grad()
    def score(self, network: nn.Module, device: torch.device, pixels: int = EPOCH_PIXELS) -> Scores:
        """Score a network on at most about `pixels` pixels; it is left in the mode it was in."""
        training = network.training
        network.eval()
        counts = np.zeros((len(self.images), 3, len(self.model.classes)), dtype=np.int64)
        losses, weights, looked_at = [], [], 0
        for tile in self._tiles:
            if looked_at and looked_at + tile.height * tile.width > pixels:
                break
            looked_at += tile.height * tile.width
            logits, labels = self._forward(tile, network, device)
            losses.append(float(segmentation_loss(logits, labels, self.dice_weight)))
            weights.append(int((labels != IGNORED).sum()))
            counts[tile.image] += count_pixels(logits.argmax(dim=1), labels, len(self.model.classes))
        network.train(training)
        return self._scores(float(np.average(losses, weights=weights)), counts)

    def _forward(self, tile: _Tile, network: nn.Module, device: torch.device) -> tuple[Tensor, Tensor]:
        image, maps, labels = self.images[tile.image].window(tile.top, tile.left, tile.height, tile.width)
        labels[tile.rows :] = IGNORED
        labels[:, tile.columns :] = IGNORED
        batch = [None if part is None else torch.from_numpy(part)[None].to(device) for part in (image, maps)]
        logits: Tensor = network(*batch)
        return logits, torch.from_numpy(labels)[None].long().to(device)

    def _scores(self, loss: float, counts: NDArray[np.int64]) -> Scores:
        seen = counts[counts[:, 1:].any(axis=(1, 2))]
        groups = seen if self.whole else seen.sum(axis=0, keepdims=True)
        dice = dice_of_counts(groups).mean(axis=0)[1:]  # (K - 1,), the background left out
        if not self.whole and groups[0, 2, 1:].any():
            # A class that the few blocks do not hold says nothing, and would count as a perfect score.
            relevant = groups[0, 2, 1:] > 0
        else:
            relevant = np.ones(len(dice), dtype=bool)
        names = np.array(self.model.classes[1:])[relevant]
        by_class = dict(zip(names.tolist(), dice[relevant].tolist(), strict=True))
        return Scores(loss, float(dice[relevant].mean()), by_class)


def _tiles(index: int, image: PreparedImage, multiple: int) -> list[_Tile]:
    """Cover an image with equal tiles of at most `TILE`, rounded up to `multiple`; keep those with labels."""
    counts = [-(-length // TILE) for length in image.shape]
    steps = [-(-length // count) for length, count in zip(image.shape, counts, strict=True)]
    height, width = (max(2 * multiple, -(-step // multiple) * multiple) for step in steps)
    tiles = []
    for row, column in product(range(counts[0]), range(counts[1])):
        top, left = row * steps[0], column * steps[1]
        if (image.labels[top : top + steps[0], left : left + steps[1]] != IGNORED).any():
            tiles.append(_Tile(index, top, left, steps[0], steps[1], height, width))
    return tiles


def count_pixels(predicted: Tensor, labels: Tensor, classes: int) -> NDArray[np.int64]:
    """Count the labelled pixels of each class: right, predicted, true; ``(3, K)``."""
    known = labels != IGNORED
    ours, truth = predicted[known], labels[known]
    parts = (truth[ours == truth], ours, truth)
    counts = torch.stack([torch.bincount(part, minlength=classes) for part in parts])
    return counts.cpu().numpy().astype(np.int64)


def dice_of_counts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the Dice of ``(N, 3, K)`` counts, ``(N, K)``; 1 where a class is neither predicted nor true."""
    right, predicted, true = counts[:, 0], counts[:, 1], counts[:, 2]
    size = predicted + true
    return np.where(size == 0, 1.0, 2 * right / np.maximum(size, 1))
