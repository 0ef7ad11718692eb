"""The list of heads, pressed by mouse and keys."""

import numpy as np
import pytest

pytest.importorskip("pytestqt")

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

from napari_diamant.gui.panels import HeadsPanel
from napari_diamant.gui.panels.heads import MAX_SIDE
from napari_diamant.gui.panels.thumbnail import map_images

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).random((6, 8, 12), dtype=np.float32)


@pytest.fixture
def panel(qtbot, maps) -> HeadsPanel:
    panel = HeadsPanel()
    qtbot.addWidget(panel)
    panel.resize(340, 400)
    panel.set_maps(maps, "DINO ViT-S/16", trained=True)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def tile(panel: HeadsPanel, number: int):
    return panel._tiles[number]


def test_unticked_head_is_told_once_however_fast_the_ticks_come(qtbot, panel) -> None:
    told: list[list[int]] = []
    panel.heads_changed.connect(told.append)
    for number in (1, 4, 1):
        qtbot.mouseClick(tile(panel, number).picture, LEFT)
    qtbot.waitUntil(lambda: bool(told))
    qtbot.wait(250)
    assert told == [[0, 1, 2, 3, 5]]


def test_ticks_that_end_where_they_began_tell_nothing(qtbot, panel) -> None:
    with qtbot.assertNotEmitted(panel.heads_changed, wait=300):
        qtbot.mouseClick(tile(panel, 2).picture, LEFT)
        qtbot.mouseClick(tile(panel, 2).picture, LEFT)


@pytest.mark.parametrize(
    ("choice", "heads"), [("_none", []), ("_invert", [0, 2]), ("_all", [0, 1, 2, 3, 4, 5])]
)
def test_buttons_choose_all_none_or_the_others(qtbot, panel, choice, heads) -> None:
    panel.set_heads([1, 3, 4, 5])
    with qtbot.waitSignal(panel.heads_changed) as told:
        qtbot.mouseClick(getattr(panel, choice), LEFT)
    assert told.args == [heads]
    assert panel.remark.text() == f"{len(heads)} of 6"


def test_double_click_leaves_one_head_and_solo_again_brings_all_back(qtbot, panel) -> None:
    picture = tile(panel, 3).picture
    with qtbot.waitSignal(panel.heads_changed) as told:
        qtbot.mouseClick(picture, LEFT)
        qtbot.mouseDClick(picture, LEFT)
        qtbot.mouseRelease(picture, LEFT)
    assert told.args == [[3]]
    with qtbot.waitSignal(panel.heads_changed) as told:
        tile(panel, 3).only.trigger()
    assert told.args == [[0, 1, 2, 3, 4, 5]]


def test_a_head_is_used_alone_from_the_menu_and_by_key(qtbot, panel) -> None:
    with qtbot.waitSignal(panel.heads_changed) as told:
        qtbot.keyClick(tile(panel, 4).check, Qt.Key.Key_S)
    assert told.args == [[4]]
    assert [action.text() for action in tile(panel, 4).actions()] == ["Use only head 4, or all again\tS"]
    assert tile(panel, 4).contextMenuPolicy() == Qt.ContextMenuPolicy.ActionsContextMenu


def test_every_switch_of_a_head_is_reached_and_pressed_by_keys(qtbot, panel) -> None:
    check = tile(panel, 0).check
    check.setFocus()
    with qtbot.waitSignal(panel.heads_changed):
        qtbot.keyClick(check, Qt.Key.Key_Space)
    for expected in (tile(panel, 0).eye, tile(panel, 1).check):
        panel.focusNextChild()
        assert panel.focusWidget() is expected
        assert expected.toolTip()


def test_eye_asks_for_a_layer_and_follows_one_silently(qtbot, panel) -> None:
    with qtbot.waitSignal(panel.layer_toggled) as told:
        qtbot.mouseClick(tile(panel, 5).eye, LEFT)
    assert told.args == [5, True]
    with qtbot.assertNotEmitted(panel.layer_toggled):
        panel.set_layer_shown(5, False)
    assert not tile(panel, 5).eye.isChecked()


def test_ticks_stay_for_the_next_image_and_start_anew_for_another_transformer(panel, maps) -> None:
    panel.set_heads([1, 2])
    panel.set_maps(maps * 2, "DINO ViT-S/16", trained=True)
    assert panel.heads() == [1, 2]
    panel.set_maps(np.concatenate([maps, maps]), "DINO ViT-B/16", trained=True)
    assert panel.heads() == list(range(12))


def test_untrained_weights_are_said_loudly_and_trained_ones_quietly(panel, maps) -> None:
    assert not panel._banner.isVisible()
    panel.set_maps(maps, "RANDOM weights", trained=False)
    assert panel._banner.isVisible()
    assert "Untrained" in panel._banner.text()
    panel.clear()
    assert not panel._banner.isVisible()
    assert panel.heads() == []


def test_tiles_stand_side_by_side_as_the_dock_has_room(qtbot, panel) -> None:
    def lines() -> int:
        return len({each.y() for each in panel._tiles})

    qtbot.waitUntil(lambda: lines() == 1)
    panel.set_maps(np.zeros((12, 8, 12), np.float32), "DINO ViT-B/16", trained=True)
    qtbot.waitUntil(lambda: lines() == 2)
    panel.resize(900, 400)
    qtbot.waitUntil(lambda: lines() == 1)
    assert max(each.width() for each in panel._tiles) <= MAX_SIDE


def test_one_hot_token_does_not_blacken_the_picture_of_a_map() -> None:
    hot = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (1, 32, 1))
    hot[0, 0, 0] = 1e4
    (image,) = map_images(hot)
    assert (image.width(), image.height()) == (32, 32)
    dark, bright = (QColor(image.pixel(column, 16)).lightness() for column in (0, 31))
    assert bright - dark > 100
