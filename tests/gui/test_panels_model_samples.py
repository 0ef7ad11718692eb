"""The panels of what is in use and of the images."""

import pytest

pytest.importorskip("pytestqt")

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QInputDialog

from napari_diamant.gui.panels import (
    FineTunePanel,
    HeadsPanel,
    ModelChoice,
    ModelPanel,
    SampleItem,
    SamplesPanel,
)
from napari_diamant.gui.panels.samples import HOW_TO_PAINT

LEFT = Qt.MouseButton.LeftButton
IMAGES = [
    SampleItem(7, "gland_1", "reviewed"),
    SampleItem(8, "gland_2", "corrected"),
    SampleItem(9, "gland_3"),
]


@pytest.fixture
def model(qtbot) -> ModelPanel:
    panel = ModelPanel()
    qtbot.addWidget(panel)
    return panel


@pytest.fixture
def samples(qtbot) -> SamplesPanel:
    panel = SamplesPanel()
    qtbot.addWidget(panel)
    panel.classes.set_classes(["background", "gland"], ["#000000", "#ff8800"], chosen=1, extendable=True)
    panel.set_samples(IMAGES, 8)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def test_models_are_listed_with_their_held_out_dice_and_one_is_chosen_by_keys(qtbot, model) -> None:
    assert not model._models.isEnabled()
    model.set_models([ModelChoice("a", "fit 1", 0.612), ModelChoice("b", "fit 2")], active="b")
    assert [model._models.itemText(index) for index in (0, 1)] == ["fit 1 · Dice 0.612", "fit 2"]
    assert model._models.currentIndex() == 1
    with qtbot.waitSignal(model.model_chosen) as chosen:
        qtbot.keyClick(model._models, Qt.Key.Key_Up)
    assert chosen.args == ["a"]


def test_listing_models_anew_chooses_none(qtbot, model) -> None:
    with qtbot.assertNotEmitted(model.model_chosen):
        model.set_models([ModelChoice("a", "fit 1"), ModelChoice("b", "fit 2")], active="b")


def test_weights_come_from_a_name_or_from_a_file(qtbot, model, monkeypatch, tmp_path) -> None:
    model.set_backbones({"dino-s16": "DINO ViT-S/16"})
    named, *_, from_file = model._menu.actions()
    with qtbot.waitSignal(model.backbone_chosen) as chosen:
        named.trigger()
    assert chosen.args == ["dino-s16"]
    path = str(tmp_path / "vit.safetensors")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
    with qtbot.waitSignal(model.weights_chosen) as chosen:
        from_file.trigger()
    assert chosen.args == [path]


def test_untrained_weights_stand_out(model) -> None:
    model.set_backbone("RANDOM weights", trained=False)
    assert "color" in model._backbone.styleSheet()
    model.set_backbone("DINO ViT-S/16", trained=True)
    assert not model._backbone.styleSheet()


def test_images_show_how_far_they_are_and_a_click_opens_one(qtbot, samples) -> None:
    assert samples.remark.text() == "1 of 3 reviewed"
    assert samples._list.currentRow() == 1
    pictures = {samples._list.item(row).icon().pixmap(16).toImage().pixel(4, 8) for row in range(3)}
    assert len(pictures) == 3
    place = samples._list.visualItemRect(samples._list.item(2)).center()
    with qtbot.waitSignal(samples.sample_chosen) as chosen:
        qtbot.mouseClick(samples._list.viewport(), LEFT, pos=place)
    assert chosen.args == [9]


def test_reviewed_is_told_when_pressed_and_silent_when_shown(qtbot, samples) -> None:
    with qtbot.waitSignal(samples.reviewed_toggled) as told:
        qtbot.mouseClick(samples._reviewed, LEFT)
    assert told.args == [True]
    with qtbot.assertNotEmitted(samples.reviewed_toggled):
        samples.set_samples(IMAGES, 7)
        assert samples._reviewed.isChecked()
        samples.set_samples(IMAGES, 9)
    assert not samples._reviewed.isChecked()


def test_buttons_without_an_object_are_closed(samples) -> None:
    samples.set_samples(IMAGES[:1], None)
    assert not any(w.isEnabled() for w in (samples._reviewed, samples.classes, samples._next, samples._undo))
    samples.set_samples([], None)
    assert samples.remark.text() == ""
    assert not samples._list.isVisible()


def test_next_previous_undo_and_redo_are_asked_for(qtbot, samples) -> None:
    samples.set_can_undo(True, True)
    for pressed, signal in (
        (samples._next, samples.next_requested),
        (samples._previous, samples.previous_requested),
        (samples._undo, samples.undo_requested),
        (samples._redo, samples.redo_requested),
    ):
        with qtbot.waitSignal(signal):
            qtbot.mouseClick(pressed, LEFT)


def test_effort_is_said_in_strokes_and_minutes(samples) -> None:
    said = []
    for strokes, seconds in ((0, 0), (1, 20), (12, 190)):
        samples.set_effort(strokes, seconds)
        said.append(samples._effort.text())
    assert said == [HOW_TO_PAINT, "1 stroke, 20 s", "12 strokes, 3 min"]


def test_class_is_chosen_by_its_button_and_followed_silently(qtbot, samples) -> None:
    buttons = samples.classes._group
    with qtbot.waitSignal(samples.class_chosen) as chosen:
        qtbot.mouseClick(buttons.button(0), LEFT)
    assert chosen.args == [0]
    with qtbot.assertNotEmitted(samples.class_chosen):
        samples.classes.set_chosen(1)
    assert buttons.checkedId() == 1
    assert [buttons.button(label).shortcut().toString() for label in (0, 1)] == ["Alt+0", "Alt+1"]


def test_class_can_be_added_only_while_the_project_is_new(qtbot, samples, monkeypatch) -> None:
    answers = iter([("gland", True), (" nucleus ", True)])
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: next(answers))
    with qtbot.assertNotEmitted(samples.class_added):
        qtbot.mouseClick(samples.classes._add, LEFT)
    with qtbot.waitSignal(samples.class_added) as added:
        qtbot.mouseClick(samples.classes._add, LEFT)
    assert added.args == ["nucleus"]
    samples.classes.set_classes(["background", "gland"], ["#000000", "#ff8800"], chosen=0, extendable=False)
    assert not samples.classes._add.isVisible()


@pytest.mark.parametrize("panel", [FineTunePanel, HeadsPanel, ModelPanel, SamplesPanel])
def test_every_panel_fits_a_dock_320_pixels_wide_with_larger_letters(qtbot, qapp, panel) -> None:
    made = panel()
    qtbot.addWidget(made)
    font = qapp.font()
    font.setPointSizeF(9 * 1.25)
    made.setFont(font)
    if isinstance(made, ModelPanel):
        made.set_models([ModelChoice("a", "a model with a long name " * 3, 0.5)], "a")
        made.set_backbone("some_transformer_with_a_name_without_spaces " * 2, trained=False)
    if isinstance(made, SamplesPanel):
        made.set_samples([SampleItem(1, "an_image_with_a_name_without_spaces" * 3)], 1)
        made.classes.set_classes(["background", "a class with a long name " * 2], ["#000", "#fff"], 1, True)
    assert made.minimumSizeHint().width() <= 320


def test_no_class_is_pressed_while_no_brush_is_in_hand(samples) -> None:
    samples.classes.set_chosen(1)
    assert samples.classes._group.checkedId() == 1
    samples.classes.set_chosen(None)
    assert samples.classes._group.checkedId() == -1
    samples.classes.set_chosen(0)
    assert samples.classes._group.checkedId() == 0


def test_a_long_list_shows_what_the_window_has_room_for(qtbot, samples) -> None:
    samples.set_samples([SampleItem(number, f"gland_{number}") for number in range(40)], 0)
    line = samples._list.sizeHintForRow(0)
    samples.resize(340, samples.minimumSizeHint().height())
    qtbot.waitUntil(lambda: 3 * line <= samples._list.height() < 4 * line + 8)
    samples.resize(340, samples.minimumSizeHint().height() + 10 * line)
    qtbot.waitUntil(lambda: samples._list.height() >= 12 * line)
