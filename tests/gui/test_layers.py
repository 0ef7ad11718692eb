"""Layers lie exactly where they belong on the image."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_diamant.errors import UserError
from napari_diamant.gui.layers import HeadLayers, check_image, class_color, mask_layer

MAPS = np.random.default_rng(0).random((3, 6, 8), np.float32)

PLACES = {
    "plain": {},
    "scaled and moved": {"scale": (0.5, 0.25), "translate": (100, -3)},
    "turned": {"scale": (2, 2), "rotate": 30, "translate": (1, 2)},
    "sheared": {"shear": [0.4], "scale": (0.5, 0.5)},
    "with an affine": {"affine": np.array([[0, 1, 5], [-1, 0, 2], [0, 0, 1.0]]), "scale": (3, 3)},
}


def made(viewer: ViewerModel, image: Image) -> HeadLayers:
    viewer.add_layer(image)
    return HeadLayers(viewer, image, MAPS, (8.0, 8.0))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_each_corner_of_a_head_lies_on_the_corner_of_its_patch(place):
    image = Image(np.zeros((48, 64)), **place)
    heads = made(ViewerModel(), image)
    heads.show(1, True)
    head = heads.layers[1]
    for cell in ((0, 0), (5, 7), (2, 3)):
        for corner in ((-0.5, -0.5), (0.5, 0.5)):
            on_image = (np.array(cell) + 0.5 + corner) * 8 - 0.5
            assert np.allclose(
                head.data_to_world(np.add(cell, corner)), image.data_to_world(on_image), atol=1e-9
            )


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_the_mask_lies_pixel_by_pixel_on_the_image(place):
    image = Image(np.zeros((48, 64)), **place)
    mask = mask_layer(np.zeros((48, 64), np.uint8), image, ("background", "gland"), {})
    for pixel in ((0, 0), (47, 63), (13, 5)):
        assert np.allclose(mask.data_to_world(pixel), image.data_to_world(pixel))


def test_the_mask_takes_the_units_of_the_image():
    image = Image(np.zeros((8, 8)), units=("um", "um"))
    mask = mask_layer(np.zeros((8, 8)), image, ("background", "gland"), {})
    assert mask.units == image.units


def test_heads_are_added_one_by_one_hidden_and_below_the_mask():
    viewer, image = ViewerModel(), Image(np.zeros((48, 64)), name="image")
    heads = made(viewer, image)
    mask = viewer.add_labels(np.zeros((48, 64), np.uint8), name="mask")
    assert not heads.layers
    while heads.add_next():
        assert viewer.layers.selection == {mask}
    assert [layer.name for layer in viewer.layers][1:-1] == [f"head {n} · DIAMANT" for n in range(3)]
    assert not any(layer.visible for layer in heads.layers.values())


def test_heads_share_their_looks_but_not_what_is_shown():
    heads = made(ViewerModel(), Image(np.zeros((48, 64))))
    heads.show(0, True)
    heads.layers[0].opacity = 0.3
    heads.show(2, True)
    heads.show(1, False)
    assert heads.layers[2].opacity == pytest.approx(0.3)
    heads.layers[2].gamma = 0.5
    assert {layer.gamma for layer in heads.layers.values()} == {0.5}
    assert [heads.layers[head].visible for head in range(3)] == [True, False, True]


def test_one_hot_patch_does_not_blacken_a_head_and_a_flat_one_can_be_shown():
    maps = np.ones((2, 30, 30), np.float32)
    maps[0] += np.linspace(0, 1, 900, dtype=np.float32).reshape(30, 30)
    maps[0, 3, 3] = 1000
    viewer = ViewerModel()
    heads = HeadLayers(viewer, viewer.add_image(np.zeros((240, 240))), maps, (8.0, 8.0))
    heads.show(0, True)
    heads.show(1, True)
    assert heads.layers[0].contrast_limits[1] < 3
    low, high = heads.layers[1].contrast_limits
    assert low < high


def test_a_head_deleted_by_the_user_comes_back_when_it_is_asked_for():
    viewer = ViewerModel()
    heads = made(viewer, Image(np.zeros((48, 64))))
    heads.show(1, True)
    viewer.layers.remove(heads.layers[1])
    assert not heads.layers
    heads.show(1, True)
    assert heads.layers[1] in viewer.layers


def test_hiding_a_head_in_the_layer_list_is_told():
    heads, heard = made(ViewerModel(), Image(np.zeros((48, 64)))), []
    heads.visibility.connect(lambda head, shown: heard.append((head, shown)))
    heads.show(1, True)
    heads.layers[1].visible = False
    assert heard == [(1, True), (1, False)]


def test_a_pyramid_counts_with_its_finest_level():
    levels = [np.zeros((64, 96)), np.zeros((32, 48))]
    assert check_image(Image(levels, multiscale=True)) == (64, 96)
    assert check_image(Image(np.zeros((10, 20, 3), np.uint8), rgb=True)) == (10, 20)
    with pytest.raises(UserError, match="got 3"):
        check_image(Image(np.zeros((4, 10, 20))))


def test_only_the_background_is_transparent():
    colors = [class_color(index) for index in range(9)]
    assert colors.count("transparent") == 1
    assert len(set(colors)) == 9


def test_the_same_layers_take_the_maps_of_the_next_image_and_stay_shown():
    viewer = ViewerModel()
    heads = made(viewer, Image(np.zeros((48, 64))))
    heads.show(0, True)
    heads.show(1, False)
    first = dict(heads.layers)
    heads.rest()
    assert not any(layer.visible for layer in heads.layers.values())
    other = viewer.add_image(np.zeros((80, 80)), name="other", scale=(2, 2))
    mask = viewer.add_labels(np.zeros((80, 80), np.uint8), name="mask")
    heads.move_to(other, np.ones((3, 10, 10), np.float32), (8.0, 8.0))
    assert heads.layers == first
    assert viewer.layers[1:] == [other, first[0], first[1], mask]
    assert np.allclose(first[0].data_to_world((0, 0)), other.data_to_world((3.5, 3.5)))
    assert [first[0].visible, first[1].visible] == [True, False]
