from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_diamant import io
from napari_diamant.errors import UserError

DISC = np.hypot(*(np.indices((48, 60)) - 25)) < 14
CLASSES = np.where(np.indices((48, 60))[1] > 44, 2, DISC).astype(np.uint8)


def _read(folder: Path, pixels: np.ndarray, name: str = "mask.tif") -> np.ndarray:
    tifffile.imwrite(folder / name, pixels) if name.endswith("tif") else imageio.imwrite(
        folder / name, pixels
    )
    return io.read_labels(folder / name)


@pytest.mark.parametrize(
    "stored",
    [
        DISC.astype(np.uint8),
        DISC.astype(np.uint8) * 255,
        DISC.astype(np.uint16) * 65535,
        DISC.astype(np.uint16) * 255,
        DISC.astype(np.float32),
        DISC.astype(np.float64) * 255,
        DISC.astype(np.int32) * 255,
        np.dstack([DISC.astype(np.uint8) * 255] * 3),
        np.dstack([DISC.astype(np.uint8) * 255] * 3 + [np.full(DISC.shape, 255, np.uint8)]),
        np.dstack([DISC.astype(np.uint8) * 200, DISC * np.uint8(30), DISC * np.uint8(0)]),
    ],
    ids=lambda stored: f"{stored.dtype}-{stored.ndim}d-{stored.max():g}",
)
def test_every_way_to_store_two_classes_gives_0_and_1(tmp_path: Path, stored: np.ndarray):
    labels = _read(tmp_path, stored)
    np.testing.assert_array_equal(labels, DISC)
    assert labels.dtype == np.uint8


def test_one_bit_masks_give_0_and_1(tmp_path: Path):
    Pillow.fromarray(DISC).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(io.read_labels(tmp_path / "mask.png"), DISC)


@pytest.mark.parametrize("value", [0, 255, 1])
def test_masks_of_one_value_keep_their_meaning(tmp_path: Path, value: int):
    labels = _read(tmp_path, np.full((20, 20), value, np.uint8))
    assert set(np.unique(labels)) == {min(value, 1)}


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_classes_keep_their_numbers(tmp_path: Path, dtype: type):
    np.testing.assert_array_equal(_read(tmp_path, CLASSES.astype(dtype)), CLASSES)


@pytest.mark.parametrize(
    ("count", "dtype"), [(200, np.uint8), (255, np.uint8), (3000, np.uint16), (70000, np.uint32)]
)
def test_instances_are_kept_one_by_one(tmp_path: Path, count: int, dtype: type):
    instances = np.zeros((300, 300), dtype)
    instances.ravel()[: count + 1] = np.arange(count + 1)
    labels = _read(tmp_path, instances)
    np.testing.assert_array_equal(labels, instances)
    assert labels.dtype == dtype


def test_ignored_pixels_stay_ignored(tmp_path: Path):
    labels = _read(tmp_path, np.where(DISC, CLASSES.astype(np.int16), -1))
    assert labels.dtype == np.int16
    assert (labels[~DISC] == -1).all()


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("colours", [1, 3])
def test_a_black_and_white_jpeg_is_cut_in_the_middle(tmp_path: Path, quality: int, colours: int):
    grey = DISC.astype(np.uint8) * 255
    imageio.imwrite(tmp_path / "mask.jpg", grey if colours == 1 else np.dstack([grey] * 3), quality=quality)
    labels = io.read_labels(tmp_path / "mask.jpg")
    assert set(np.unique(labels)) == {0, 1}
    assert np.mean(labels != DISC) < 0.005


def test_a_palette_of_colours_gives_its_entries_and_one_of_greys_its_greys(tmp_path: Path):
    entries = Pillow.fromarray(CLASSES, mode="P")
    entries.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    entries.save(tmp_path / "colours.png")
    np.testing.assert_array_equal(io.read_labels(tmp_path / "colours.png"), CLASSES)
    upside_down = Pillow.fromarray((~DISC).astype(np.uint8), mode="P")
    upside_down.putpalette([255, 255, 255, 0, 0, 0])
    upside_down.save(tmp_path / "greys.png")
    np.testing.assert_array_equal(io.read_labels(tmp_path / "greys.png"), DISC)


def _antialiased() -> np.ndarray:
    fine = np.hypot(*(np.indices((192, 240)) - 100)) < 56
    return np.round(fine.reshape(48, 4, 60, 4).mean(axis=(1, 3)) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (_antialiased(), "sharp edges"),
        (np.linspace(0, 1, 2880, dtype=np.float32).reshape(48, 60), "not probabilities"),
        (np.where(DISC, np.nan, 0).astype(np.float32), "not probabilities"),
        (CLASSES.astype(np.int16) - 5, "from 0 on"),
        (np.dstack([CLASSES * 100, CLASSES * 3, CLASSES * 50]), "one colour on black"),
    ],
    ids=["antialiased", "probabilities", "nan", "negative", "colours"],
)
def test_what_is_no_mask_is_refused_in_one_sentence(tmp_path: Path, stored: np.ndarray, words: str):
    with pytest.raises(UserError, match=words) as caught:
        _read(tmp_path, stored)
    assert "mask.tif" in str(caught.value)


def test_classes_in_a_jpeg_are_refused(tmp_path: Path):
    imageio.imwrite(tmp_path / "mask.jpg", (CLASSES * 100).astype(np.uint8))
    with pytest.raises(UserError, match="JPEG must be black and white"):
        io.read_labels(tmp_path / "mask.jpg")
