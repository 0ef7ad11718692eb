"""Maps from cells to pixels: the same in training and in prediction, equal to a general resampling."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy import ndimage

from napari_diamant.engine.upsampling import to_pixels
from napari_diamant.types import AttentionMaps

Rule = Literal["nearest", "bilinear"]


def planted(values: np.ndarray, scale: tuple[float, float], shape: tuple[int, int]) -> AttentionMaps:
    return AttentionMaps(values.astype(np.float32), scale, shape, "planted", "0", False, 0)


def resampled(maps: AttentionMaps, box: tuple[int, int, int, int], rule: Rule) -> np.ndarray:
    """The same by SciPy's general affine transformation of every pixel."""
    top, left, bottom, right = box
    corner = (np.array((top, left)) - maps.translate) / maps.scale
    shape, order = (bottom - top, right - left), int(rule == "bilinear")
    planes = [
        ndimage.affine_transform(
            plane, 1 / np.array(maps.scale), corner, output_shape=shape, order=order, mode="nearest"
        )
        for plane in maps.maps
    ]
    return np.stack(planes)


@pytest.mark.parametrize("rule", ["nearest", "bilinear"])
@pytest.mark.parametrize("scale", [(8.0, 8.0), (14.0, 14.0), (12.5, 7.3), (0.7, 3.1)])
@pytest.mark.parametrize("box", [(0, 0, 70, 85), (13, 5, 45, 80), (-9, 60, 20, 120), (33, 40, 34, 41)])
def test_pixels_equal_a_general_resampling(
    box: tuple[int, int, int, int], scale: tuple[float, float], rule: Rule
) -> None:
    maps = planted(np.random.default_rng(0).random((6, 9, 11)), scale, (70, 85))
    assert np.allclose(to_pixels(maps, box, rule), resampled(maps, box, rule), atol=1e-5)


def test_nearest_repeats_each_cell_exactly() -> None:
    values = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
    found = to_pixels(planted(values, (8, 8), (24, 32)), (0, 0, 24, 32), "nearest")
    assert np.array_equal(found, values.repeat(8, axis=1).repeat(8, axis=2))


@pytest.mark.parametrize("scale", [(8.0, 8.0), (12.5, 7.3)])
def test_bilinear_has_each_cells_value_at_its_centre(scale: tuple[float, float]) -> None:
    rows, columns = np.mgrid[:6, :7]
    maps = planted((3.0 * rows + columns)[None], scale, (40, 42))
    found = to_pixels(maps, (0, 0, 40, 42), "bilinear")
    y, x = np.mgrid[:40, :42]
    inner_y = np.clip((y - maps.translate[0]) / scale[0], 0, 5)
    inner_x = np.clip((x - maps.translate[1]) / scale[1], 0, 6)
    assert np.allclose(found[0], 3 * inner_y + inner_x, atol=1e-4)


def test_beyond_the_image_its_edge_continues() -> None:
    maps = planted(np.random.default_rng(1).random((1, 4, 4)), (8, 8), (32, 32))
    found = to_pixels(maps, (-8, 0, 64, 32), "bilinear")
    assert np.array_equal(found[:, 0], found[:, 8])
    assert np.array_equal(found[:, -1], found[:, 39])
