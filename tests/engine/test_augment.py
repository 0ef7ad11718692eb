from dataclasses import replace

import pytest
import torch

from napari_diamant.engine.augment import STRENGTHS, Augment, Strength
from napari_diamant.types import IGNORED

CROP = 48
GEOMETRY = replace(STRENGTHS["strong"], light=0, contrast=0, gamma=0, stain=0, noise=0, blur=0)


def windows(augment, count=8, channels=3):
    """Ramps along both axes, the same in image, maps and labels, so that a pixel tells where it came from."""
    side = augment.window
    ramp = torch.linspace(0, 1, side)
    place = torch.stack([ramp[:, None].expand(side, side), ramp[None].expand(side, side)])
    image = torch.cat([place, torch.rand(channels - 2, side, side)]) if channels > 2 else place[:channels]
    labels = (place[0] * 100).round().to(torch.int16)
    return (part.expand(count, *part.shape).clone() for part in (image, place, labels))


@pytest.mark.parametrize("strength", [STRENGTHS["weak"], GEOMETRY], ids=["weak", "strong"])
def test_image_maps_and_labels_move_together(strength):
    augment = Augment(strength, CROP)
    image, maps, labels = augment(*windows(augment), seed=3)
    assert image.shape == (8, 3, CROP, CROP)
    assert labels.shape == (8, CROP, CROP)
    assert torch.allclose(image[:, :2], maps, atol=1e-5)
    known = labels != IGNORED
    assert known.float().mean() > 0.8
    # A label is the nearest of a ramp in steps of 1/100, the map is interpolated between cells of 1/window.
    error = (100 * maps[:, 0] - labels)[known].abs()
    assert error.max() <= 0.5 + 0.5 * 100 / augment.window + 0.01


def test_flips_and_quarter_turns_are_exact():
    augment = Augment(Strength(orient=True), CROP)
    image, maps, labels = windows(augment, count=64)
    turned, _, moved = augment(image, maps, labels, seed=0)
    square = image[0]
    poses = [torch.rot90(pose, turn, (1, 2)) for pose in (square, square.flip(2)) for turn in range(4)]
    fitting = [[k for k, pose in enumerate(poses) if torch.allclose(one, pose, atol=1e-4)] for one in turned]
    assert all(len(found) == 1 for found in fitting)
    assert {found[0] for found in fitting} == set(range(8))
    assert (moved != IGNORED).all()


def test_what_comes_from_outside_the_window_is_ignored_and_mirrored():
    augment = Augment(Strength(degrees=45, orient=False), CROP)
    image, maps, labels = windows(augment)
    turned, _, moved = augment(image, maps, labels, seed=1)
    assert (moved[:, 0, 0] == IGNORED).any()
    assert (moved[:, CROP // 2, CROP // 2] != IGNORED).all()
    assert turned[:, 0].min() >= 0
    assert turned[:, 0].max() <= 1
    assert (turned[:, :2].sum(dim=1)[moved == IGNORED] > 0).all()


def test_ignored_labels_stay_ignored():
    augment = Augment(STRENGTHS["strong"], CROP)
    image, maps, labels = windows(augment)
    _, _, moved = augment(image, maps, torch.full_like(labels, IGNORED), seed=0)
    assert (moved == IGNORED).all()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_light_and_stain_change_the_image_alone(channels):
    photometric = replace(
        STRENGTHS["strong"], orient=False, window=1.0, zoom=1.0, degrees=0, shear=0, elastic=0
    )
    augment = Augment(photometric, CROP)
    image, maps, labels = windows(augment, channels=channels)
    changed, same_maps, same_labels = augment(image, maps, labels, seed=5)
    assert (changed - image).abs().amax(dim=(1, 2, 3)).min() > 0.01
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.allclose(same_maps, maps, atol=1e-4)
    assert torch.equal(same_labels, labels.long())


def test_the_seed_decides_everything_and_nothing_else_is_drawn_from():
    augment = Augment(STRENGTHS["strong"], CROP)
    parts = tuple(windows(augment))
    state = torch.get_rng_state()
    first, again, other = (augment(*parts, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_crops_of_a_batch_differ_from_each_other():
    augment = Augment(STRENGTHS["strong"], CROP)
    image, _, _ = augment(*windows(augment), seed=0)
    apart = (image[:, None] - image[None]).abs().mean(dim=(2, 3, 4))
    assert apart[~torch.eye(8, dtype=torch.bool)].min() > 0.01


def test_no_augmentation_changes_nothing():
    augment = Augment(STRENGTHS["none"], CROP)
    assert augment.window == CROP
    image, _, labels = windows(augment)
    same = augment(image, None, labels, seed=0)
    assert torch.equal(same[0], image)
    assert same[1] is None
    assert torch.equal(same[2], labels.long())
