from dataclasses import replace

import numpy as np
import pytest
from blobs import blob, scribbled

from napari_diamant.config import AttentionConfig, ModelCard, ModelConfig
from napari_diamant.engine.dataset import CropSampler, TrainingImage, borrow_maps, prepare
from napari_diamant.engine.predict import fitting_maps
from napari_diamant.engine.sliding import Scene
from napari_diamant.errors import UserError
from napari_diamant.types import IGNORED

UNET = ModelConfig(arch="unet")
DIAMANT = ModelConfig(maps=3)


def flat(value, shape=(20, 30), labelled=True):
    """Make an image of one grey level; the level survives because a ramp fixes the intensity range."""
    pixels = np.full(shape, value, np.uint8)
    pixels[0, 0], pixels[0, 1] = 0, 255
    labels = np.full(shape, 0 if labelled else IGNORED, np.int16)
    return TrainingImage(str(value), f"{value:064x}", pixels, labels)


def test_a_window_beyond_the_image_is_mirrored_and_has_no_labels_there():
    image = prepare(blob(0), UNET, None)
    pixels, _, labels = image.window(-10, -6, 96, 96)
    assert pixels.shape == (3, 96, 96)
    assert (labels[:10] == IGNORED).all()
    assert (labels[74:] == IGNORED).all()
    assert np.array_equal(labels[10:74, 6:70], image.labels)
    inside = pixels[:, 10:74, 6:70]
    assert np.array_equal(pixels[:, :10, 6:70], inside[:, 10:0:-1])
    assert np.array_equal(pixels[:, 10:74, 70:], inside[:, :, -2 : -2 - 26 : -1])


def test_a_single_pixel_can_fill_a_window():
    pixels, _, labels = prepare(flat(0, (2, 2)), UNET, None).window(-31, -31, 64, 64)
    assert pixels.shape == (3, 64, 64)
    assert np.isfinite(pixels).all()
    assert (labels != IGNORED).sum() == 4


def test_maps_of_a_window_are_those_that_prediction_uses():
    attention = AttentionConfig(scaling="percentile")
    source = blob(1, with_maps=True)
    _, maps, _ = prepare(source, DIAMANT, attention).window(5, 9, 40, 32)
    card = ModelCard(model=DIAMANT, attention=attention)
    seen = Scene(
        np.zeros((64, 64, 3), np.float32), fitting_maps(source.maps, card, (64, 64)), (0, 1, 2), card
    )
    assert np.array_equal(maps, seen.maps_in(slice(5, 45), slice(9, 41))[0])


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_maps_lie_on_the_image_they_were_made_of(upsampling):
    source = blob(2, with_maps=True)
    pixels, maps, _ = prepare(source, DIAMANT, AttentionConfig(upsampling=upsampling)).window(0, 0, 64, 64)
    centres = np.s_[4::8, 4::8]
    assert np.corrcoef(maps[0][centres].ravel(), pixels[0][centres].ravel())[0, 1] > 0.95


def test_bytes_stay_bytes_and_finer_images_keep_finer_steps():
    image = blob(0)
    fine = replace(image, pixels=image.pixels.astype(np.uint16) * 200)
    assert prepare(image, UNET, None).unit.dtype == np.uint8
    assert prepare(fine, UNET, None).unit.dtype == np.float16
    coarse, exact = (prepare(one, UNET, None).window(0, 0, 64, 64)[0] for one in (image, fine))
    assert np.abs(coarse - exact).max() < 1 / 255


def test_every_image_gets_its_turn():
    levels = (60, 100, 140, 180, 220)
    sampler = CropSampler([prepare(flat(level), UNET, None) for level in levels], 32, 32, seed=0)
    for turn in range(3):
        image, _, _ = sampler.batch(turn * 5, 5)
        seen = {
            round(float(level) * 255) for level in image.median(dim=-1).values.median(dim=-1).values[:, 0]
        }
        assert len(seen) == 5


def test_a_window_depends_on_its_number_alone():
    sampler = CropSampler([prepare(blob(k), UNET, None) for k in range(3)], 32, 48, seed=4)
    whole = sampler.batch(0, 12)
    part = CropSampler(sampler.images, 32, 48, seed=4).batch(8, 4)
    assert (whole[0][8:] == part[0]).all()
    assert (whole[2][8:] == part[2]).all()
    other = CropSampler(sampler.images, 32, 48, seed=5).batch(8, 4)
    assert (other[0] != part[0]).any()


def test_batches_cut_ahead_are_those_cut_one_by_one():
    sampler = CropSampler([prepare(blob(k), UNET, None) for k in range(3)], 32, 48, seed=4)
    ahead = list(sampler.batches(2, 9, size=2, ahead=3))
    plain = list(sampler.batches(2, 9, size=2))
    assert len(ahead) == len(plain) == 7
    assert all((a[0] == b[0]).all() and (a[2] == b[2]).all() for a, b in zip(ahead, plain, strict=True))
    assert (plain[0][0] == sampler.batch(4, 2)[0]).all()


def test_crops_of_a_partly_corrected_image_hold_corrected_pixels():
    image = blob(0, side=400)
    labels = np.full_like(image.labels, IGNORED)
    labels[5:9, 390:394] = 0
    labels[200:204, 100:104] = 1
    sampler = CropSampler([prepare(replace(image, labels=labels), UNET, None)], 64, 96, seed=0)
    _, _, windows = sampler.batch(0, 60)
    crops = windows[:, 16:-16, 16:-16]
    assert (crops != IGNORED).flatten(1).any(dim=1).all()
    assert (crops == 0).any()
    assert (crops == 1).any()


def test_a_rare_class_is_cut_around_often():
    image = blob(0, side=300)
    labels = np.zeros_like(image.labels)
    labels[150:153, 150:153] = 1
    sampler = CropSampler([prepare(replace(image, labels=labels), UNET, None)], 32, 32, seed=0)
    _, _, crops = sampler.batch(0, 200)
    share = (crops == 1).flatten(1).any(dim=1).float().mean()
    assert share > 0.1  # by area alone it would be about 1 %


def test_a_scribble_far_smaller_than_its_image_is_learned_from():
    image = prepare(scribbled(blob(3, side=200), count=1), UNET, None)
    _, _, labels = CropSampler([image], 64, 64, seed=1).batch(0, 16)
    assert (labels != IGNORED).flatten(1).any(dim=1).all()


def test_borrowed_maps_are_another_images_stretched_to_size():
    attention = AttentionConfig()
    small, large = (
        prepare(blob(k, side=s, with_maps=True), DIAMANT, attention) for k, s in ((0, 64), (1, 128))
    )
    first, second = borrow_maps([small, large])
    assert first.maps.image_shape == (64, 64)
    assert np.array_equal(first.maps.maps, large.maps.maps)
    assert np.array_equal(second.maps.maps, small.maps.maps)
    assert second.window(0, 0, 128, 128)[1].shape == (3, 128, 128)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.zeros((64, 63), np.int16)}, "as large as their image"),
        ({"labels": np.full((64, 64), 2, np.int16)}, "between 0 and 1"),
        ({"labels": np.full((64, 64), -3, np.int16)}, "got -3"),
        ({"maps": None}, "got none"),
        ({"maps": replace(blob(0, with_maps=True).maps, maps=np.ones((5, 8, 8), np.float32))}, "got 5"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, words):
    image = replace(blob(0, with_maps=True), **change)
    with pytest.raises(UserError, match=words) as refusal:
        prepare(image, DIAMANT, AttentionConfig())
    assert "blob 0" in str(refusal.value)
