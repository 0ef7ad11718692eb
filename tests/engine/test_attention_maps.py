"""Maps of an image: any kind, any size, tiles without seams."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_diamant.config import AttentionConfig, BackboneConfig
from napari_diamant.engine.attention import attend
from napari_diamant.engine.attention_tiles import Tiling, blend
from napari_diamant.errors import UserError
from napari_diamant.models.backbones import Backbone, load_backbone
from napari_diamant.preprocess import IMAGENET_MEAN, IMAGENET_STD, to_unit
from napari_diamant.types import Progress

NATIVE = AttentionConfig()


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone(BackboneConfig(), torch.device("cpu"))


def blobs(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A grey 8-bit image of soft spots on a slow gradient."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    spots = ndimage.gaussian_filter(noise, 6)
    ramp = np.linspace(0, 1, width)[None] * spots.std()
    return np.interp(spots + ramp, (-3 * spots.std(), 4 * spots.std()), (0, 255)).astype(np.uint8)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """The least correlation of two sets of maps over their heads."""
    return min(np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True))


def test_maps_are_the_transformers_row_times_the_number_of_patches(backbone: Backbone) -> None:
    rgb = np.stack([blobs(64, 96, seed) for seed in range(3)], axis=-1)
    found = attend(rgb, NATIVE, backbone)
    normal = (to_unit(rgb) - IMAGENET_MEAN) / IMAGENET_STD
    row = backbone.cls_attention(torch.tensor(normal, dtype=torch.float32).permute(2, 0, 1)[None])[0]
    assert found.maps.dtype == np.float32
    assert similarity(found.maps, row.numpy() * 96) > 0.99  # the device may compute in bf16
    assert found.maps.mean() == pytest.approx(row.sum(dim=(1, 2)).mean().item(), rel=1e-3)
    assert (found.backbone, found.trained, found.block) == (backbone.name, False, 5)
    assert found.weights_hash == backbone.weights_hash


@pytest.mark.parametrize(
    "pixels",
    [
        blobs(48, 64),
        blobs(48, 64)[..., None],
        np.dstack([blobs(48, 64)] * 3),
        np.dstack([blobs(48, 64)] * 3 + [np.full((48, 64), 255, np.uint8)]),
        blobs(48, 64).astype(np.uint16) * 200,
        blobs(48, 64) / 255,
        blobs(48, 64).astype(np.float64) * 1e6 - 3e7,
        np.where(np.eye(48, 64, dtype=bool), np.nan, blobs(48, 64).astype(np.float32)),
        np.dstack([blobs(48, 64, seed) for seed in range(5)]),
        blobs(48, 64) > 128,
    ],
    ids=[
        "grey",
        "one channel",
        "RGB",
        "RGBA",
        "16-bit",
        "float",
        "large float",
        "NaN",
        "five channels",
        "bool",
    ],
)
def test_every_kind_of_image_gives_finite_maps_over_all_of_it(pixels: np.ndarray, backbone: Backbone) -> None:
    found = attend(pixels, NATIVE, backbone)
    assert found.maps.shape == (6, 6, 8)
    assert np.isfinite(found.maps).all()
    assert found.maps.std() > 0
    assert (found.scale, found.image_shape) == ((8, 8), (48, 64))


def test_chosen_channels_alone_decide_the_maps(backbone: Backbone) -> None:
    stack = np.dstack([blobs(48, 64, seed) for seed in range(5)])
    changed = stack.copy()
    changed[..., :3] = changed[::-1, ..., :3]
    chosen = AttentionConfig(channels=(4,))
    assert np.array_equal(attend(stack, chosen, backbone).maps, attend(changed, chosen, backbone).maps)
    assert not np.array_equal(attend(stack, NATIVE, backbone).maps, attend(changed, NATIVE, backbone).maps)
    with pytest.raises(UserError, match="0 to 4"):
        attend(stack, AttentionConfig(channels=(7,)), backbone)


@pytest.mark.parametrize("shape", [(65, 64), (64, 71), (8, 300), (301, 9), (33, 8), (8, 8)])
def test_every_pixel_has_a_cell_at_any_size(shape: tuple[int, int], backbone: Backbone) -> None:
    found = attend(blobs(*shape), NATIVE, backbone)
    rows, columns = found.maps.shape[1:]
    assert 0 <= rows * 8 - shape[0] < 8
    assert 0 <= columns * 8 - shape[1] < 8
    assert found.maps.shape[0] == 6
    assert found.image_shape == shape


def test_an_image_smaller_than_a_patch_is_continued_by_its_edge() -> None:
    large = load_backbone(BackboneConfig(name="dino-vits16", weights="random"), torch.device("cpu"))
    found = attend(blobs(8, 9), NATIVE, large)
    assert found.maps.shape == (6, 1, 1)
    assert np.isfinite(found.maps).all()


@pytest.mark.parametrize("shape", [(1, 1), (7, 100), (100, 3)])
def test_an_image_without_room_for_structure_gives_one_sentence(
    shape: tuple[int, int], backbone: Backbone
) -> None:
    with pytest.raises(UserError, match="at least 8 pixels"):
        attend(np.ones(shape, np.uint8), NATIVE, backbone)


def test_the_shorter_side_is_resized_and_cells_still_lie_on_the_image(backbone: Backbone) -> None:
    image = blobs(100, 150)
    found = attend(image, AttentionConfig(size=64), backbone)
    assert found.maps.shape == (6, 8, 12)
    assert found.scale == pytest.approx((8 * 100 / 64, 8 * 150 / 96))
    assert found.translate == pytest.approx(((12.5 - 1) / 2, (12.5 - 1) / 2))


def test_a_bright_spot_lies_where_the_map_says(backbone: Backbone) -> None:
    image = np.zeros((96, 160), np.uint8)
    image[40:48, 104:112] = 255
    # How far each cell lies from the value that bare background has.
    maps = attend(image, AttentionConfig(block=0), backbone).maps
    contrast = np.abs(maps - np.median(maps, axis=(1, 2), keepdims=True)).mean(axis=0)
    assert np.unravel_index(contrast.argmax(), contrast.shape) == (5, 13)


def test_news_counts_the_tiles(backbone: Backbone) -> None:
    news: list[Progress] = []
    attend(blobs(64, 200), AttentionConfig(tile=64, overlap=32), backbone, news.append)
    assert [line.done for line in news] == list(range(7))
    assert {line.total for line in news} == {6}


@pytest.mark.parametrize(
    ("rows", "columns", "tile", "overlap"), [(5, 90, 16, 4), (33, 17, 16, 8), (40, 40, 8, 0)]
)
def test_tiles_cover_the_grid_and_overlap_as_asked(rows: int, columns: int, tile: int, overlap: int) -> None:
    tiling = Tiling(rows, columns, tile, overlap)
    seen = np.zeros((rows, columns), int)
    for top, left, bottom, right in tiling.boxes:
        assert (bottom - top, right - left) == (min(tile, rows), min(tile, columns))
        seen[top:bottom, left:right] += 1
    assert seen.min() >= 1
    for one, other in tiling.neighbours():
        first, second = tiling.boxes[one], tiling.boxes[other]
        shared = max(first[2] - second[0] if first[1] == second[1] else first[3] - second[1], 0)
        assert shared >= overlap


def test_blending_undoes_what_a_softmax_per_tile_does_to_levels() -> None:
    columns, rows = np.meshgrid(np.arange(96), np.arange(70))
    truth = np.stack([np.exp(columns / 40) + np.sin(rows / 9), 2 + np.cos(columns / 7) + rows / 30])
    truth = (truth / truth.mean(axis=(1, 2), keepdims=True)).astype(np.float32)
    tiling = Tiling(70, 96, 32, 8)
    tiles = [truth[:, top:bottom, left:right] for top, left, bottom, right in tiling.boxes]
    evened = [tile / tile.mean(axis=(1, 2), keepdims=True) for tile in tiles]
    assert not np.allclose(evened[0], tiles[0], rtol=0.5), "the levels must be far apart to begin with"
    joined = blend(evened, tiling)
    assert np.allclose(joined, truth, rtol=0.15)
    assert np.allclose(joined.mean(axis=(1, 2)), 1, atol=1e-4)


def seam_energy(maps: np.ndarray, tiling: Tiling) -> tuple[float, float]:
    """Mean squared second difference along X at the tiles' borders, and everywhere else."""
    borders = {edge for box in tiling.boxes for edge in (box[1], box[3])} - {0, tiling.columns}
    bend = np.mean(np.diff(maps, n=2, axis=2) ** 2, axis=(0, 1))
    at_seam = np.isin(np.arange(1, len(bend) + 1), [edge + step for edge in borders for step in (-1, 0)])
    return float(bend[at_seam].mean()), float(bend[~at_seam].mean())


def test_tiles_leave_no_seams(backbone: Backbone) -> None:
    y, x = np.mgrid[:128, :768]
    image = (127 + 60 * np.sin(2 * np.pi * x / 512) + 60 * np.cos(2 * np.pi * y / 211)).astype(np.uint8)
    config = AttentionConfig(tile=256, overlap=64)
    found = attend(image, config, backbone)
    seam, elsewhere = seam_energy(found.maps, Tiling(16, 96, 32, 8))
    assert seam <= 1.2 * elsewhere
    abrupt = attend(image, AttentionConfig(tile=256, overlap=0), backbone)
    seam, elsewhere = seam_energy(abrupt.maps, Tiling(16, 96, 32, 0))
    assert seam > 10 * elsewhere, "without overlap there are seams; the measure must see them"


def test_an_image_slightly_over_the_tile_gives_nearly_the_maps_of_the_whole(backbone: Backbone) -> None:
    image = blobs(264, 264)
    whole = attend(image, AttentionConfig(tile=512), backbone)
    tiled = attend(image, AttentionConfig(tile=256, overlap=128), backbone)
    assert similarity(whole.maps, tiled.maps) > 0.95
