"""The session binds a viewer without a window to a real project on disk."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.plugins import _initialize_plugins

from napari_diamant.errors import UserError
from napari_diamant.gui.session import Session
from napari_diamant.gui.strokes import stroke_box
from napari_diamant.project import Project
from napari_diamant.types import IGNORED, Prediction

SHAPE = (48, 64)


@pytest.fixture
def image_path(tmp_path: Path) -> Path:
    path = tmp_path / "cells.png"
    iio.imwrite(path, np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), np.uint8))
    return path


@pytest.fixture
def session(tmp_path: Path):
    made = Session(ViewerModel(), Project.create(tmp_path / "project"))
    yield made
    made.close()


@pytest.fixture
def opened(session: Session, image_path: Path) -> Session:
    session.add([image_path])
    return session


def paint(session: Session, row: int, column: int, label: int = 1, mode: str = "paint") -> None:
    layer = session.mask.layer
    layer.mode = mode
    layer.brush_size = 5
    layer.paint((row, column), label)


def predict(session: Session, value: int) -> None:
    labels = np.full(SHAPE, value, np.uint8)
    session.project.save_prediction(session.sample.id, Prediction(labels, "m1"))
    session.show_prediction(labels)


def overlay(session: Session):
    return session.project.overlay(session.sample.id)


def journal(session: Session) -> list[str]:
    heard: list[str] = []
    session.mask.recorded.connect(lambda correction: heard.append(correction.tool))
    return heard


def test_an_opened_image_lies_locked_under_its_mask(opened):
    assert [layer.name for layer in opened.viewer.layers] == ["cells", "mask · DIAMANT"]
    assert opened.image.locked
    assert opened.viewer.layers.selection.active is opened.mask.layer


def test_a_stroke_is_one_row_in_its_own_box(opened):
    rows = []
    opened.mask.recorded.connect(rows.append)
    paint(opened, 20, 30)
    (row,) = rows
    assert row.tool == "paint"
    assert row.after.shape == (5, 5)
    assert np.array_equal(overlay(opened) == 1, opened.mask.layer.data == 1)


@pytest.mark.parametrize(("mode", "label"), [("erase", 0), ("fill", 1), ("polygon", 1)])
def test_the_journal_names_the_tool(opened, mode, label):
    predict(opened, 1 - label)
    heard = journal(opened)
    paint(opened, 20, 30, label, mode)
    assert heard == [mode]


def test_erasing_a_predicted_pixel_is_a_correction_to_background(opened):
    predict(opened, 1)
    paint(opened, 20, 30, 0, "erase")
    assert overlay(opened)[20, 30] == 0
    assert overlay(opened)[0, 0] == IGNORED


def test_a_new_prediction_leaves_corrected_pixels_alone(opened):
    predict(opened, 1)
    paint(opened, 20, 30, 0, "erase")
    predict(opened, 0)
    predict(opened, 1)
    mask = opened.mask.layer.data
    assert mask[20, 30] == 0
    assert mask[0, 0] == 1
    assert np.array_equal(mask, opened.project.labels(opened.sample.id))


def test_ctrl_z_after_a_new_prediction_shows_the_new_one_never_the_old(opened):
    predict(opened, 0)
    paint(opened, 20, 30)
    predict(opened, 1)
    press(opened, "Control-Z")
    assert (opened.mask.layer.data == 1).all()
    assert (overlay(opened) == IGNORED).all()
    press(opened, "Control-Shift-Z")
    assert overlay(opened)[20, 30] == 1


def press(session: Session, key: str) -> None:
    layer = session.mask.layer
    bound = {str(binding): function for binding, function in layer.keymap.items()}
    bound[key.replace("Control", "Ctrl").replace("-", "+")](layer)


def test_naparis_own_undo_cannot_stamp_an_old_prediction(opened):
    predict(opened, 0)
    paint(opened, 20, 30)
    predict(opened, 1)
    before = opened.mask.layer.data.copy()
    opened.mask.layer.undo()
    opened.reconcile()
    assert np.array_equal(opened.mask.layer.data, before)


def test_naparis_own_undo_of_a_fresh_stroke_is_written_down_as_an_edit(opened):
    paint(opened, 20, 30)
    heard = journal(opened)
    opened.mask.layer.undo()
    opened.reconcile()
    assert heard == ["edit"]
    assert np.array_equal(opened.project.labels(opened.sample.id), opened.mask.layer.data)


def test_data_set_by_a_script_is_announced_and_then_recorded(opened):
    stale = []
    opened.stale.connect(lambda: stale.append(True))
    data = opened.mask.layer.data.copy()
    data[:4, :6] = 1
    opened.mask.layer.data = data
    assert stale
    assert opened.reconcile()
    assert (overlay(opened)[:4, :6] == 1).all()
    assert (overlay(opened)[4:] == IGNORED).all()


def test_a_mask_of_another_size_is_put_back_with_a_sentence(opened):
    said = []
    opened.failed.connect(said.append)
    opened.mask.layer.data = np.ones((8, 8), np.uint8)
    opened.reconcile()
    assert opened.mask.layer.data.shape == SHAPE
    assert "size" in said[0]


def test_an_unknown_class_is_put_back_with_a_sentence(opened):
    said = []
    opened.failed.connect(said.append)
    paint(opened, 10, 10, 1)
    paint(opened, 20, 30, 7)
    assert opened.mask.layer.data.max() == 1
    assert overlay(opened)[10, 10] == 1
    assert overlay(opened)[20, 30] == IGNORED
    assert "0 to 1" in said[0]


def test_a_stroke_that_cannot_be_written_stays_on_the_screen_and_is_tried_again(opened, monkeypatch):
    said, stale, written = [], [], opened.project.record
    opened.failed.connect(said.append)

    def full(*_):
        raise UserError("The disk is full.")

    monkeypatch.setattr(opened.project, "record", full)
    opened.stale.connect(lambda: stale.append(True))
    opened.mask.layer.data_setitem((np.array([20]), np.array([30])), 1)
    paint(opened, 20, 30)
    assert stale
    assert not opened.reconcile()
    predict(opened, 0)
    assert opened.mask.layer.data[20, 30] == 1
    assert len(said) == 1
    monkeypatch.setattr(opened.project, "record", written)
    assert opened.reconcile()
    assert overlay(opened)[20, 30] == 1


def test_a_prediction_that_comes_during_a_stroke_waits_for_its_end(opened):
    layer = opened.mask.layer
    layer.mode = "paint"
    event = Drag()
    (watch,) = (callback for callback in layer.mouse_drag_callbacks if callback == opened.mask._watch_drag)
    stroke = watch(layer, event)
    next(stroke)
    layer.data[20, 30] = 1
    predict(opened, 1)
    assert layer.data[0, 0] == 0
    event.type = "mouse_release"
    next(stroke, None)
    assert layer.data[0, 0] == 1
    assert overlay(opened)[20, 30] == 1
    assert layer.mode == "paint"


class Drag:
    type = "mouse_press"
    button = 1
    position = (20.0, 30.0)


def test_closing_and_opening_again_shows_the_same_mask(opened, image_path):
    paint(opened, 20, 30)
    sample = opened.sample.id
    opened.close_image()
    assert len(opened.viewer.layers) == 0
    opened.open_sample(sample)
    assert opened.mask.layer.data[20, 30] == 1
    opened.mask.undo()
    assert opened.mask.layer.data.max() == 0


def test_reviewing_takes_the_whole_mask_and_undo_gives_it_back(opened):
    predict(opened, 1)
    opened.set_reviewed(True)
    assert opened.sample.reviewed
    predict(opened, 0)
    assert (opened.mask.layer.data == 1).all()
    opened.mask.undo()
    assert not opened.sample.reviewed
    assert (opened.mask.layer.data == 0).all()


def test_any_labels_layer_can_be_the_start(opened):
    objects = np.zeros(SHAPE, np.int32)
    objects[5:10, 5:10] = 41
    layer = opened.viewer.add_labels(objects)
    opened.start_from(layer)
    assert np.array_equal(opened.mask.layer.data, objects > 0)
    assert (overlay(opened) != IGNORED).all()


def test_a_start_of_another_size_is_refused_and_changes_nothing(opened):
    layer = opened.viewer.add_labels(np.ones((8, 8), np.uint8))
    with pytest.raises(UserError, match="size"):
        opened.start_from(layer)
    assert opened.mask.layer.data.max() == 0


def test_an_image_without_a_file_is_kept_in_the_project(session):
    pixels = np.random.default_rng(1).integers(0, 4000, SHAPE, np.uint16)
    layer = session.viewer.add_image(pixels, name="from a script")
    sample = session.open_layer(layer)
    assert sample.path.is_relative_to(session.project.folder)
    assert np.array_equal(session.project.image(sample.id).pixels, pixels)


def test_a_layer_opened_from_a_file_refers_to_that_file(session, image_path):
    _initialize_plugins()
    (layer,) = session.viewer.open(str(image_path), plugin="napari")
    assert session.open_layer(layer).path == image_path
    session.close_image()
    assert layer in session.viewer.layers
    assert not layer.locked


@pytest.mark.parametrize("shape", [(3, 20, 20), (2, 3, 20, 20)])
def test_a_volume_is_refused_in_one_sentence(session, shape):
    layer = session.viewer.add_image(np.zeros(shape), name="stack")
    with pytest.raises(UserError, match="single plane"):
        session.open_layer(layer)
    assert session.sample is None


def test_a_mask_deleted_by_the_user_comes_back_with_the_next_prediction(opened):
    paint(opened, 20, 30)
    opened.viewer.layers.remove(opened.mask.layer)
    assert opened.mask is None
    predict(opened, 0)
    assert opened.mask.layer.data[20, 30] == 1


def test_an_image_deleted_by_the_user_takes_its_mask_and_heads_along(opened):
    opened.show_maps(np.random.default_rng(0).random((2, 6, 8), np.float32), (8.0, 8.0))
    opened.heads.show(0, True)
    opened.viewer.layers.remove(opened.image)
    assert len(opened.viewer.layers) == 0
    assert opened.sample is None


def test_the_next_image_is_the_next_one_not_reviewed(session, tmp_path):
    for number in range(3):
        iio.imwrite(tmp_path / f"{number}.png", np.full((*SHAPE, 3), number, np.uint8))
    first, second, third = session.add([tmp_path / f"{number}.png" for number in range(3)])
    session.project.set_reviewed(second.id, True)
    assert session.next_sample() == third
    session.open_sample(third.id)
    assert session.next_sample() == first
    assert len(session.viewer.layers) == 2


def test_the_box_of_a_stroke_is_read_from_both_kinds_of_atoms():
    class Atom:
        slice_key = (slice(3, 5), slice(7, 9))

    indices = (np.array([10, 11]), np.array([1, 20]))
    assert stroke_box([Atom(), (indices, 0, 1)], SHAPE) == (slice(3, 12), slice(1, 21))
    assert stroke_box([Atom(), object()], SHAPE) == (slice(0, 48), slice(0, 64))
