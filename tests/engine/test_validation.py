from dataclasses import replace

import numpy as np
import pytest
import torch
from blobs import blob
from torch import nn

from napari_diamant.config import ModelConfig
from napari_diamant.engine import validation
from napari_diamant.engine.dataset import prepare
from napari_diamant.engine.validation import HeldOut
from napari_diamant.metrics import score_image
from napari_diamant.types import IGNORED

MODEL = ModelConfig(arch="unet", depth=4)
CPU = torch.device("cpu")


class Threshold(nn.Module):
    """Call bright what is brighter than a level, and remember how much was looked at."""

    def __init__(self, level, classes=2):
        super().__init__()
        self.level, self.classes, self.pixels, self.shapes = level, classes, 0, set()

    def forward(self, image, maps=None):
        self.pixels += image[0, 0].numel()
        self.shapes.add(tuple(image.shape[2:]))
        bright = image.mean(dim=1) - self.level
        never = torch.full_like(bright, -100)
        return 50 * torch.stack([-bright, bright, never][: self.classes], dim=1)


@pytest.fixture
def images():
    return [prepare(blob(index, side), MODEL, None) for index, side in enumerate((100, 150, 75))]


def expected(image, level):
    predicted = (image.unit.mean(axis=2) / 255 > level).astype(np.int16)
    return score_image(predicted, image.labels, MODEL.classes)["foreground"]["dice"]


def test_the_score_is_the_mean_dice_of_whole_images_however_they_are_tiled(images, monkeypatch):
    monkeypatch.setattr(validation, "TILE", 64)
    network = Threshold(0.25)
    scores = HeldOut(images, True, MODEL, 0.5).score(network, CPU)
    wanted = np.mean([expected(image, 0.25) for image in images])
    assert 0.2 < wanted < 0.99
    assert scores.dice == pytest.approx(wanted, abs=1e-6)
    assert scores.by_class == {"foreground": scores.dice}
    assert all(side % 16 == 0 and side <= 64 for shape in network.shapes for side in shape)


def test_blocks_are_pooled(images):
    scores = HeldOut(images, False, MODEL, 0.5).score(Threshold(0.25), CPU)
    predicted = [image.unit.mean(axis=2) / 255 > 0.25 for image in images]
    right = sum((ours & (image.labels == 1)).sum() for ours, image in zip(predicted, images, strict=True))
    size = sum(ours.sum() + (image.labels == 1).sum() for ours, image in zip(predicted, images, strict=True))
    assert scores.dice == pytest.approx(2 * right / size, abs=1e-6)


def test_ignored_pixels_are_not_scored(images):
    labels = images[0].labels.copy()
    labels[labels == 1] = IGNORED
    labels[0, 0] = 1
    scores = HeldOut([replace(images[0], labels=labels)], True, MODEL, 0.5).score(Threshold(-1.0), CPU)
    known = labels != IGNORED
    assert scores.dice == pytest.approx(2 / (known.sum() + 1), abs=1e-6)  # all is called foreground


def test_a_class_that_blocks_do_not_hold_says_nothing():
    three = MODEL.model_copy(update={"classes": ("ground", "disc", "ring")})
    held = HeldOut([prepare(blob(0), three, None)], False, three, 0.5)
    scores = held.score(Threshold(0.25, classes=3), CPU)
    assert scores.by_class.keys() == {"disc"}


def test_the_cap_bounds_the_work_and_leaves_no_image_out(images, monkeypatch):
    monkeypatch.setattr(validation, "TILE", 32)
    network = Threshold(0.5)
    HeldOut(images, True, MODEL, 0.5).score(network, CPU, pixels=3 * 32 * 32)
    assert network.pixels == 3 * 32 * 32
    full = Threshold(0.5)
    HeldOut(images, True, MODEL, 0.5).score(full, CPU)
    assert full.pixels > 20 * 32 * 32


def test_scoring_leaves_the_network_as_it_was(images):
    network = Threshold(0.5).train()
    HeldOut(images, True, MODEL, 0.5).score(network, CPU)
    assert network.training
    assert not HeldOut([], True, MODEL, 0.5)
