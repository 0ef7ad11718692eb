from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_diamant import io
from napari_diamant.metrics import dice
from napari_diamant.preprocess import to_unit

SETS = [("tissue", "masks"), ("tissue", "nuclei"), ("nuclei", "masks")]


@pytest.fixture(scope="module")
def made_again(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made_again")
    subprocess.run([sys.executable, str(sample_folder / "generate.py"), str(folder)], check=True, timeout=120)
    return folder


def test_the_generator_gives_the_committed_pixels(sample_folder: Path, made_again: Path):
    names = sorted(path.relative_to(made_again) for path in made_again.rglob("*.*"))
    assert len(names) == 30
    for name in names:
        committed, again = (io.read_image(folder / name).pixels for folder in (sample_folder, made_again))
        # Another processor may round the last bit of a float the other way: rarely, and by little.
        different = committed.astype(int) != again.astype(int)
        assert different.mean() < 1e-3, name
        if "images" in name.parts:
            assert np.abs(committed.astype(int) - again).max() <= 8, name


@pytest.mark.parametrize(("kind", "masks"), SETS)
def test_every_image_has_a_mask_of_its_size_with_both_classes(sample_folder: Path, kind: str, masks: str):
    pairs = io.pair_by_stem(sample_folder / kind / "images", sample_folder / kind / masks)
    assert len(pairs) == 6
    for path, mask in pairs:
        labels = io.read_labels(mask)
        assert labels.shape == io.read_image(path).shape
        assert set(np.unique(labels)) == {0, 1}
        assert 0.08 < labels.mean() < 0.75


def test_all_of_it_is_small_enough_for_the_wheel(sample_folder: Path):
    files = [path for path in sample_folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 3_000_000


def test_fluorescence_keeps_16_bits_and_its_spacing(sample_folder: Path):
    image = io.read_image(io.list_images(sample_folder / "nuclei" / "images")[0])
    assert image.pixels.dtype == np.uint16
    assert (image.spacing, image.unit) == ((0.325, 0.325), "micrometer")


def _features(path: Path) -> np.ndarray:
    unit = to_unit(io.read_image(path).pixels)
    layers = [unit[..., channel] for channel in range(unit.shape[2])]
    blurred = [ndimage.gaussian_filter(layer, sigma) for layer in layers for sigma in (1, 3, 8, 16, 24)]
    spread = [
        ndimage.gaussian_filter((layer - layers[0].mean()) ** 2, sigma)
        for layer in layers
        for sigma in (4, 12)
    ]
    columns = np.stack([np.ones_like(layers[0]), *blurred, *spread], axis=-1)
    return columns.reshape(-1, columns.shape[-1])


def _held_out_dice(pairs: list[tuple[Path, Path]], learned: int) -> float:
    """Fit pixels of the first images by least squares, and score the last three."""
    inputs = np.concatenate([_features(image)[::5] for image, _ in pairs[:learned]])
    targets = np.concatenate([io.read_labels(mask).ravel()[::5] for _, mask in pairs[:learned]])
    weights = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    scores = []
    for image, mask in pairs[3:]:
        truth = io.read_labels(mask)
        scores.append(dice((_features(image) @ weights > 0.5).reshape(truth.shape), truth == 1))
    return float(np.mean(scores))


@pytest.mark.parametrize(("kind", "masks"), SETS)
def test_what_is_learned_on_some_helps_on_the_others(sample_folder: Path, kind: str, masks: str):
    pairs = io.pair_by_stem(sample_folder / kind / "images", sample_folder / kind / masks)
    guess = np.mean(
        [2 * share / (1 + share) for share in (io.read_labels(mask).mean() for _, mask in pairs[3:])]
    )
    learned = _held_out_dice(pairs, 3)
    assert learned > guess + 0.1
    assert learned < 0.98, "a line through blurred colours should not solve it"
