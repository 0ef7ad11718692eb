"""The learning panel: what it asks for, and what it says."""

import pytest

pytest.importorskip("pytestqt")

from qtpy.QtCore import Qt

from napari_diamant.gui.panels import FineTunePanel
from napari_diamant.gui.panels.fine_tune import outcome_words, time_words

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(qtbot) -> FineTunePanel:
    panel = FineTunePanel(minutes=2)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def epoch(number: int, **values: float | str) -> dict:
    news = {"event": "progress", "message": f"Epoch {number} of 9", "done": number, "total": 9}
    return {**news, "epoch": number, **values}


def test_start_is_closed_with_a_reason_until_there_is_something_to_learn(qtbot, panel) -> None:
    assert not panel._start.isEnabled()
    assert "correct" in panel._why.text()
    assert panel._why.isVisible()
    panel.set_ready(True)
    assert not panel._why.isVisible()
    with qtbot.waitSignal(panel.start_requested) as asked:
        qtbot.mouseClick(panel._start, LEFT)
    assert asked.args == [{"minutes": 2.0, "restart": False}]


def test_running_fit_shows_curves_time_left_and_cancel_in_place_of_start(panel) -> None:
    panel.set_ready(True)
    panel.on_started()
    assert panel._cancel.isVisible()
    assert not panel._start.isVisible()
    panel.on_progress({"event": "progress", "message": "Reading images", "done": 0, "total": 0})
    assert not panel._curves.isVisible()
    for number in (1, 2):
        panel.on_progress(
            epoch(number, loss=1 / number, val_dice=0.4 * number, seconds_left=95, device="CPU")
        )
    panel.on_progress(epoch(2, val_loss=float("nan")))
    assert panel._curves.isVisible()
    assert panel._curves._lines["val_loss"].getData()[0] is None
    xs, ys = panel._curves._lines["val_dice"].getData()
    assert (list(xs), list(ys)) == ([1, 2], [0.4, 0.8])
    panel.on_progress(epoch(3, seconds_left=95, device="CPU"))
    assert panel._status.text() == "Epoch 3 of 9 · 1 min 35 s left · on CPU"
    assert panel._bar.value() == 3


def test_second_fit_begins_with_empty_curves(panel) -> None:
    panel.on_started()
    panel.on_progress(epoch(1, loss=0.5))
    panel.on_finished({"before": 0.5, "after": 0.6})
    panel.on_started()
    assert panel._curves._lines["loss"].getData()[0] is None or not len(
        panel._curves._lines["loss"].getData()[0]
    )


def test_curves_are_low_have_whole_epochs_and_fold_away_when_the_fit_is_over(qtbot, panel) -> None:
    panel.on_started()
    assert not panel._fold.isVisible()
    for number in (1, 2):
        panel.on_progress(epoch(number, loss=0.004 * number, val_dice=0.5))
    qtbot.waitUntil(panel._curves.isVisible)
    assert panel._curves.height() <= 125
    axis = panel._curves._lines["loss"].getViewBox().parentItem().getAxis("bottom")
    ticks = [tick for _, level in axis.tickValues(0.9, 2.1, 100) for tick in level]
    assert ticks == [1, 2]
    panel.on_finished({"before": 0.5, "after": 0.6})
    assert not panel._curves.isVisible()
    qtbot.mouseClick(panel._fold, LEFT)
    assert panel._curves.isVisible()


def test_cancel_is_asked_once_and_the_next_fit_goes_on_or_starts_anew(qtbot, panel) -> None:
    panel.set_ready(True)
    panel.on_started()
    with qtbot.waitSignal(panel.cancel_requested):
        qtbot.mouseClick(panel._cancel, LEFT)
    assert not panel._cancel.isEnabled()
    panel.on_cancelled()
    assert panel._start.isVisible()
    assert "same as before" in panel._status.text()
    panel._afresh.click()
    with qtbot.waitSignal(panel.start_requested) as asked:
        qtbot.mouseClick(panel._start, LEFT)
    assert asked.args[0]["restart"] is True


def test_reason_of_a_failure_stays_readable_while_strokes_go_on(panel) -> None:
    panel.on_started()
    panel.on_failed("The fine-tuning stopped: it was killed from outside.")
    panel.set_ready(True)
    assert panel._status.text() == "The fine-tuning stopped: it was killed from outside."
    assert panel._start.isVisible()


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"before": 0.612, "after": 0.803, "held_out": "2 of 8 images", "promoted": True},
         "Dice 0.612 → 0.803 on 2 of 8 images. The new model is in use."),
        ({"before": 0.8, "after": 0.7, "held_out": "", "promoted": False},
         "Dice 0.800 → 0.700. The new model is not better and was not put to use."),
        ({"before": None, "after": 0.7, "promoted": True}, "Dice 0.700. The new model is in use."),
        ({"before": None, "after": None},
         "Done. Nothing was held out, so whether it got better is not known."),
    ],
)  # fmt: skip
def test_outcome_is_said_in_words(result, words) -> None:
    assert outcome_words(result) == words


def test_durations_read_as_people_say_them() -> None:
    assert [time_words(seconds) for seconds in (-1, 59.4, 60, 3599, 7260)] == [
        "0 s", "59 s", "1 min 0 s", "59 min 59 s", "2 h 1 min"
    ]  # fmt: skip
