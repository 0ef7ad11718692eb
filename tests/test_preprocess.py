from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_diamant import io, preprocess
from napari_diamant.errors import UserError
from napari_diamant.preprocess import as_channels, scale_maps, to_unit

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(20, 200, (40, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.uint16, np.int16, np.uint32, np.float16, np.float32, np.float64, ">u2"]
)
@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 1), (30, 40, 2), (30, 40, 3), (30, 40, 5)])
def test_any_type_and_number_of_channels_comes_to_the_unit_range(dtype: type, shape: tuple[int, ...]):
    pixels = RNG.random(shape) < 0.3 if dtype is bool else (RNG.random(shape) * 120).astype(dtype)
    unit = to_unit(pixels)
    assert unit.dtype == np.float32
    assert unit.shape == (30, 40, shape[2] if len(shape) == 3 else 1)
    assert unit.min() >= 0
    assert unit.max() <= 1
    assert np.isfinite(unit).all()


def test_the_percentiles_become_0_and_1():
    grey = RNG.permutation(10_001).reshape(73, 137).astype(np.uint16)
    unit = to_unit(grey)[..., 0]
    np.testing.assert_allclose(unit[grey == 5000], 0.5, atol=1e-6)
    np.testing.assert_allclose(unit[grey == 10], 0, atol=1e-6)
    np.testing.assert_allclose(unit[grey == 9990], 1, atol=1e-6)
    assert (unit[grey > 9990] == 1).all()


def test_colours_keep_their_hue_and_other_channels_are_stretched_each_on_its_own():
    dim = COLOUR.astype(np.uint16)
    dim[..., 2] //= 10
    assert to_unit(dim)[..., 2].max() < 0.15
    four = np.dstack([dim, dim[..., 0]])
    assert to_unit(four)[..., 2].max() == pytest.approx(1)


@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_dropped_and_a_stain_is_not(channels: int):
    pixels = COLOUR[..., :channels]
    opaque = np.dstack([pixels, np.full((40, 50), 255, np.uint8)])
    np.testing.assert_array_equal(to_unit(opaque), to_unit(pixels))
    assert to_unit(np.dstack([pixels, COLOUR[..., 0]])).shape[2] == channels + 1


def test_nan_and_infinity_take_the_places_of_the_extremes():
    pixels = np.linspace(-1, 1, 2000, dtype=np.float32).reshape(40, 50).copy()
    clean = to_unit(pixels)
    pixels[5, 5], pixels[6, 6], pixels[7, 7] = np.nan, np.inf, -np.inf
    unit = to_unit(pixels)
    assert (unit[5, 5, 0], unit[6, 6, 0], unit[7, 7, 0]) == (0, 1, 0)
    np.testing.assert_allclose(unit[20:], clean[20:], atol=0.01)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((5, 5), np.nan), "finite"),
        (np.zeros((0, 5)), "hold pixels"),
        (np.zeros((2, 5, 5, 3)), "one plane"),
        (np.zeros((5, 5), complex), "complex128"),
    ],
)
def test_what_has_no_intensities_is_refused(pixels: np.ndarray, words: str):
    with pytest.raises(UserError, match=words):
        to_unit(pixels)


def test_a_flat_image_becomes_0_and_the_given_array_stays_as_it_is():
    flat = np.full((20, 20), 7.0, np.float32)
    assert (to_unit(flat) == 0).all()
    pixels = COLOUR.astype(np.float32)
    before = pixels.copy()
    to_unit(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_large_images_are_scaled_as_their_sample_says():
    large = np.tile(RNG.integers(0, 4000, (1200, 1), dtype=np.uint16), (1, 1300))
    large += np.arange(1300, dtype=np.uint16)
    low, high = np.percentile(large, (0.1, 99.9))
    exact = np.clip((large - low) / (high - low), 0, 1)
    assert np.abs(to_unit(large)[..., 0] - exact).max() < 0.01


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(
        np.float64, (6, 7), elements=st.floats(-1e30, 1e30) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0])
    )
)
def test_no_real_image_leaves_the_unit_range(pixels: np.ndarray):
    if not np.isfinite(pixels).any():
        with pytest.raises(UserError):
            to_unit(pixels)
        return
    unit = to_unit(pixels)
    assert ((unit >= 0) & (unit <= 1)).all()


@pytest.mark.parametrize("have", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_networks_get_the_channels_they_take(have: int, count: int):
    unit = RNG.random((6, 7, have)).astype(np.float32)
    channels = as_channels(unit, count)
    assert channels.shape == (6, 7, count)
    assert channels.dtype == np.float32
    if have == 1:
        assert (channels == unit).all()
    elif (have, count) == (3, 1):
        np.testing.assert_allclose(channels, unit.mean(axis=2, keepdims=True))
    else:
        kept = min(have, count)
        np.testing.assert_array_equal(channels[..., :kept], unit[..., :kept])
        assert (channels[..., kept:] == 0).all()


def test_chosen_channels_come_in_the_chosen_order():
    unit = RNG.random((6, 7, 5)).astype(np.float32)
    np.testing.assert_array_equal(as_channels(unit, 3, (4, 0, 2)), unit[..., [4, 0, 2]])
    np.testing.assert_array_equal(as_channels(unit, 3, (3,)), np.repeat(unit[..., 3:4], 3, axis=2))
    for wrong in [(5,), (0, 1, -1)]:
        with pytest.raises(UserError, match="among 0 to 4"):
            as_channels(unit, 3, wrong)


@pytest.mark.parametrize("rule", ["minmax", "percentile"])
def test_each_head_is_scaled_on_its_own_and_a_flat_one_is_a_half(rule: str):
    maps = RNG.random((4, 20, 30)).astype(np.float32) * np.array([1, 100, 1e-6, 0])[:, None, None]
    scaled = scale_maps(maps, rule)
    assert scaled.dtype == np.float32
    for head in scaled[:3]:
        assert (head.min(), head.max()) == (0, 1)
    assert (scaled[3] == 0.5).all()


def test_one_hot_token_blackens_the_map_by_minmax_only():
    maps = RNG.random((1, 20, 30)).astype(np.float32)
    maps[0, 3, 3] = 1000
    assert np.median(scale_maps(maps, "minmax")) < 0.01
    assert np.median(scale_maps(maps, "percentile")) == pytest.approx(0.5, abs=0.1)


def test_imagenet_constants_are_those_of_the_published_models():
    assert preprocess.IMAGENET_MEAN == (0.485, 0.456, 0.406)
    assert preprocess.IMAGENET_STD == (0.229, 0.224, 0.225)


def test_sample_images_of_both_kinds_use_the_whole_range(sample_folder: Path):
    for kind in ("tissue", "nuclei"):
        for path in io.list_images(sample_folder / kind / "images")[:2]:
            unit = to_unit(io.read_image(path).pixels)
            assert (unit.min(), unit.max()) == (0, 1)
            assert 0.02 < unit.mean() < 0.9
