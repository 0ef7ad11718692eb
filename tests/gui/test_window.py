"""The real window, moved by mouse and keys; the children answer quickly because they are stand-ins."""

from __future__ import annotations

import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import psutil
import pytest
from fake_program import NO_WEIGHTS
from hands import LEFT, NO_KEYS, canvas, click, drop, place, press, said, stroke
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QCheckBox

from napari_diamant.gui import controller, widget
from napari_diamant.gui.settings import Settings, default_project
from napari_diamant.gui.widget import DiamantWidget
from napari_diamant.project import Project
from napari_diamant.types import IGNORED

pytestmark = pytest.mark.window

SHAPE = (60, 90)


@pytest.fixture(autouse=True)
def quick_children(monkeypatch, tmp_path):
    """Let the window start the stand-in, see a model, and keep its project out of the home."""
    program = (sys.executable, str(Path(__file__).with_name("fake_program.py")))
    monkeypatch.setattr(widget, "read_settings", lambda: Settings(command=program))
    monkeypatch.setattr(controller, "can_predict", lambda project: True)
    monkeypatch.setattr(widget, "default_project", lambda: tmp_path / "home" / "default", raising=False)
    monkeypatch.setattr(controller, "default_project", lambda: tmp_path / "home" / "default")


@pytest.fixture
def image_path(tmp_path) -> Path:
    return write_image(tmp_path / "cells.png", 0)


def write_image(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, np.random.default_rng(seed).integers(0, 255, (*SHAPE, 3), np.uint8))
    return path


@pytest.fixture
def viewer(make_napari_viewer):
    made = make_napari_viewer(show=True)
    made.window.resize(1200, 800)
    return made


@pytest.fixture
def dock(viewer) -> DiamantWidget:
    return viewer.window.add_plugin_dock_widget("napari-diamant", "DIAMANT")[1]


@pytest.fixture
def ready(dock, image_path, qtbot) -> DiamantWidget:
    """Give a dock with an image, its heads and its mask."""
    drop(dock, [image_path])
    qtbot.waitUntil(lambda: len(dock.heads.heads()) == 3, timeout=20000)
    qtbot.waitUntil(lambda: mask(dock).max() == 1, timeout=20000)
    return dock


def mask(dock: DiamantWidget):
    return dock.controller.session.mask.layer.data


def overlay(dock: DiamantWidget):
    session = dock.controller.session
    return session.project.overlay(session.sample.id)


def test_a_dropped_image_shows_its_mask_and_heads(ready, viewer, qtbot):
    qtbot.waitUntil(lambda: len(viewer.layers) == 5)
    names = [layer.name for layer in viewer.layers]
    assert names == ["cells", *(f"head {n} · DIAMANT" for n in range(3)), "mask · DIAMANT"]
    assert [layer.visible for layer in viewer.layers] == [True, False, False, False, True]


def test_an_image_opened_by_napari_itself_is_taken_up(dock, viewer, image_path, qtbot):
    viewer.open(str(image_path), plugin="napari")
    qtbot.waitUntil(lambda: dock.controller.session.sample is not None)
    assert dock.controller.session.sample.path == image_path


def test_a_brush_stroke_of_the_mouse_is_on_disk_when_the_button_is_released(ready, viewer):
    session = ready.controller.session
    session.mask.layer.mode = "erase"
    stroke(viewer, (20, 10), (20, 40))
    assert mask(ready)[20, 25] == 0
    with Project.open(session.project.folder) as again:
        kept = again.overlay(session.sample.id)
    assert np.array_equal(kept == 0, mask(ready) == 0)
    assert kept[50, 25] == IGNORED


def test_a_stroke_over_pixels_of_its_own_class_is_the_users_word_for_them(ready, viewer):
    click(ready, "1  foreground")
    before = mask(ready).copy()
    stroke(viewer, (20, 10), (20, 40))
    assert np.array_equal(mask(ready), before)
    session = ready.controller.session
    assert session.project.effort(session.sample.id)["strokes"] == 1
    assert (overlay(ready)[20, 10:41] == 1).all()
    assert overlay(ready)[40, 25] == IGNORED
    press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (overlay(ready) == IGNORED).all()


def test_a_stroke_that_outlasts_the_wait_for_silent_changes_is_still_one_row(ready, viewer):
    layer = ready.controller.session.mask.layer
    layer.mode = "erase"
    native = canvas(viewer)
    QTest.mousePress(native, LEFT, NO_KEYS, place(viewer, 20, 10))
    layer.refresh()  # as any redraw does; without the stroke it would be looked at after a moment
    QTest.qWait(3 * controller.RECONCILE_MS)
    QTest.mouseMove(native, place(viewer, 20, 40))
    QTest.mouseRelease(native, LEFT, NO_KEYS, place(viewer, 20, 40))
    session = ready.controller.session
    assert session.project.effort(session.sample.id)["strokes"] == 1
    assert overlay(ready)[20, 11] == overlay(ready)[20, 39] == 0


def test_ctrl_z_on_the_canvas_takes_the_stroke_back_in_the_journal(ready, viewer):
    ready.controller.session.mask.layer.mode = "erase"
    stroke(viewer, (20, 10), (20, 40))
    press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert mask(ready)[20, 25] == 1
    assert (overlay(ready) == IGNORED).all()


def test_a_class_button_puts_the_brush_in_hand_and_the_next_image_keeps_it(ready, viewer, tmp_path, qtbot):
    buttons = ready.samples.classes
    assert ready.controller.session.mask.layer.mode == "pan_zoom"
    assert buttons._group.checkedId() == -1
    viewer.layers.selection.active = viewer.layers["cells"]
    click(ready, "0  background")
    layer = ready.controller.session.mask.layer
    assert (str(layer.mode), layer.selected_label, viewer.layers.selection.active) == ("paint", 0, layer)
    stroke(viewer, (20, 10), (20, 40))
    assert overlay(ready)[20, 25] == 0
    drop(ready, [write_image(tmp_path / "other.png", 1)])
    qtbot.waitUntil(lambda: ready.controller.session.sample.name == "other")
    assert (str(ready.controller.session.mask.layer.mode), buttons._group.checkedId()) == ("paint", 0)
    layer = ready.controller.session.mask.layer
    layer.mode = "pan_zoom"
    assert buttons._group.checkedId() == -1


def test_unticking_a_head_changes_the_mask_but_not_what_the_user_has_painted(ready, viewer, qtbot):
    ready.controller.session.mask.layer.mode = "erase"
    stroke(viewer, (20, 10), (20, 40))
    assert mask(ready)[50, 85] == 1
    box = ready.heads.findChildren(QCheckBox)[2]
    QTest.mouseClick(box, LEFT, NO_KEYS, QPoint(8, box.height() // 2))
    qtbot.waitUntil(lambda: mask(ready)[50, 85] == 0)
    assert mask(ready)[50, 5] == 1
    assert mask(ready)[20, 25] == 0


def test_the_ticks_hold_on_for_the_next_image(ready, tmp_path, qtbot):
    ready.heads.set_heads([0])
    drop(ready, [write_image(tmp_path / "other.png", 1)])
    qtbot.waitUntil(lambda: ready.controller.session.sample.name == "other")
    qtbot.waitUntil(lambda: ready.heads.heads() == [0])
    qtbot.waitUntil(lambda: mask(ready).any())
    assert mask(ready)[50, 85] == 0


def test_a_dropped_folder_becomes_a_list_and_next_image_walks_through_it(dock, tmp_path, qtbot):
    for number in range(3):
        write_image(tmp_path / "folder" / f"{number}.png", number)
    drop(dock, [tmp_path / "folder"])
    project = dock.controller.session.project
    qtbot.waitUntil(lambda: len(project.samples()) == 3)
    qtbot.wait(50)
    click(dock, "Mark as reviewed")
    click(dock, "Next image")
    assert dock.controller.session.sample.name == "1"
    assert project.sample(1).reviewed


def test_a_dropped_project_is_opened_at_its_first_open_image(dock, tmp_path, qtbot):
    with Project.create(tmp_path / "mine") as project:
        project.add([write_image(tmp_path / "a.png", 0), write_image(tmp_path / "b.png", 1)])
        project.set_reviewed(1, True)
    drop(dock, [tmp_path / "mine"])
    qtbot.waitUntil(lambda: dock.controller.session.sample is not None)
    assert dock.controller.session.project.folder == tmp_path / "mine"
    assert dock.controller.session.sample.name == "b"


def test_a_transformer_that_cannot_be_had_is_said_where_the_heads_would_be(dock, tmp_path, qtbot):
    with Project.create(tmp_path / "mine", ("background", "no weights")) as project:
        project.add([write_image(tmp_path / "a.png", 0)])
    drop(dock, [tmp_path / "mine"])
    qtbot.waitUntil(lambda: NO_WEIGHTS in dock.heads._words.text(), timeout=20000)
    assert dock.heads._words.isVisible()
    assert dock.model._backbone.text() == NO_WEIGHTS


def test_a_volume_gives_one_sentence_and_leaves_the_window_as_it_was(ready, viewer, qtbot):
    viewer.add_image(np.zeros((4, 20, 20)), name="stack")
    qtbot.waitUntil(lambda: any("single plane" in text for text in said()))
    assert ready.controller.session.sample.name == "cells"
    assert ready.chosen_image().name == "cells"


def test_a_file_that_is_no_image_gives_one_sentence(dock, tmp_path, qtbot):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    drop(dock, [tmp_path / "broken.png"])
    qtbot.waitUntil(lambda: any("broken.png" in text for text in said()))
    assert dock.controller.session.sample is None


def test_a_fit_is_started_watched_and_told(ready, viewer, qtbot):
    ready.controller.session.mask.layer.mode = "erase"
    stroke(viewer, (20, 10), (20, 40))
    click(ready, "Fine-tune")
    with qtbot.waitSignal(ready.controller.job.finished, timeout=20000):
        pass
    assert any("0.500 → 0.750" in text for text in said())


def test_the_tools_of_correction_stay_in_view_while_a_fit_draws_its_curves(ready, viewer, qtbot):
    viewer.window.resize(1500, 940)
    ready.fine_tune.on_started()
    ready.fine_tune.on_progress({"epoch": 1, "loss": 0.5, "val_dice": 0.5, "message": "Epoch 1 of 9"})
    for panel in (ready.heads, ready.samples, ready.fine_tune):
        qtbot.waitUntil(lambda panel=panel: panel.visibleRegion().boundingRect() == panel.rect())


def test_cancel_ends_the_fit_within_a_second_and_the_corrections_stay(ready, viewer, qtbot):
    ready.controller.session.mask.layer.mode = "erase"
    stroke(viewer, (20, 10), (20, 40))
    job = ready.controller.job
    with qtbot.waitSignal(job.progress, timeout=20000):
        ready.controller.fine_tune({"minutes": 9.0})
    child = psutil.Process(job.pid)
    with qtbot.waitSignal(job.cancelled, timeout=1000):
        click(ready, "Cancel")
    assert not child.is_running()
    assert overlay(ready)[20, 25] == 0


def test_closing_the_dock_ends_engine_and_fit_and_gives_the_keys_back(ready, viewer, qtbot):
    job = ready.controller.job
    with qtbot.waitSignal(job.progress, timeout=20000):
        ready.controller.fine_tune({"minutes": 9.0})
    children = [psutil.Process(pid) for pid in (job.pid, ready.controller.predictor.process.pid)]
    assert any("D" in str(key) for key in viewer.keymap)
    viewer.window.remove_dock_widget(ready)
    qtbot.waitUntil(lambda: not any(child.is_running() for child in children), timeout=5000)
    assert not viewer.keymap


def test_any_labels_layer_is_offered_as_a_start(ready, viewer):
    objects = np.zeros(SHAPE, np.int32)
    objects[:10, :10] = 300
    viewer.add_labels(objects, name="from elsewhere")
    ready._masks.aboutToShow.emit()
    (action,) = ready._masks.actions()
    assert action.text() == "from elsewhere"
    action.trigger()
    assert np.array_equal(mask(ready), objects > 0)


def test_the_commands_of_the_palette_reach_the_dock(ready, viewer):
    from napari._app_model import get_app_model

    commands = get_app_model().commands
    commands.execute_command("napari-diamant.review").result()
    assert ready.controller.session.sample.reviewed
    commands.execute_command("napari-diamant.toggle_heads").result()
    assert sum(layer.visible for layer in viewer.layers if "head" in layer.name) == 3


def test_without_a_chosen_project_one_is_made_and_found_again(ready):
    folder = ready.controller.session.project.folder
    with Project.open(folder) as project:
        assert [sample.name for sample in project.samples()] == ["cells"]


def test_the_default_project_lies_in_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_project().parts[-2:] == ("projects", "default")
