"""The pixels under a brush."""

import numpy as np
import pytest

from napari_diamant.gui.strokes import brushed

SHAPE = (40, 50)


def full(path, radius) -> np.ndarray:
    box, under = brushed(path, radius, SHAPE)
    mask = np.zeros(SHAPE, bool)
    mask[box] = under
    return mask


def test_a_dab_is_a_disc() -> None:
    rows, columns = np.indices(SHAPE)
    assert np.array_equal(full([(20, 25)], 5), (rows - 20) ** 2 + (columns - 25) ** 2 <= 25)


def test_a_line_has_no_gaps_however_fast_the_mouse_was() -> None:
    fast = full([(20, 5), (20, 45)], 3)
    slow = full([(20, column) for column in range(5, 46)], 3)
    assert np.array_equal(fast, slow)
    assert fast[17:24, 5:46].all()
    assert not fast[16].any()


@pytest.mark.parametrize("path", [[(-30, 10), (60, 10)], [(-100, -100)], [(39, 49)]])
def test_what_lies_beyond_the_image_is_left_out(path) -> None:
    box, under = brushed(path, 4, SHAPE)
    assert under.shape == np.zeros(SHAPE)[box].shape


def test_the_thinnest_brush_is_one_pixel_wide() -> None:
    assert full([(3, 3), (3, 9)], 0).sum() == 7
