"""Corrections: an overlay that follows from rows, with an undo that outlives everything."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import write_image

from napari_diamant.errors import UserError
from napari_diamant.project import Project
from napari_diamant.types import IGNORED, Prediction

SHAPE = (48, 64)


def box(value: int, height: int = 4, width: int = 5) -> np.ndarray:
    return np.full((height, width), value, np.int16)


def predict(project: Project, value: int, sample: int = 1) -> None:
    project.save_prediction(sample, Prediction(np.full(SHAPE, value, np.uint8), f"made {value}"))


def test_a_stroke_changes_its_box_and_nothing_else(project: Project) -> None:
    correction = project.record(1, (3, 7), box(1), "paint")
    overlay = project.overlay(1)
    assert (overlay[3:7, 7:12] == 1).all()
    assert (overlay == IGNORED).sum() == overlay.size - 20
    assert (correction.before == IGNORED).all()
    assert (correction.after == 1).all()
    assert (project.overlay(2) == IGNORED).all()


def test_the_mask_is_the_overlay_over_the_newest_prediction(project: Project) -> None:
    assert not project.labels(1).any()
    project.record(1, (0, 0), box(0), "erase")
    predict(project, 1)
    labels = project.labels(1)
    assert not labels[:4, :5].any()
    assert labels.sum() == labels.size - 20


def test_undo_shows_what_the_newest_prediction_says_there(project: Project) -> None:
    predict(project, 0)
    project.record(1, (0, 0), box(0), "erase")
    predict(project, 1)
    project.undo(1)
    assert project.labels(1).all()


def test_undo_and_redo_walk_the_strokes_and_survive_closing(project: Project) -> None:
    project.record(1, (0, 0), box(1), "paint")
    project.record(1, (2, 2), box(0), "erase")
    both = project.overlay(1)
    assert project.undo(1) is not None
    with Project.open(project.folder) as again:
        one = again.overlay(1)
        assert (one[:4, :5] == 1).all()
        assert (one != IGNORED).sum() == 20
        assert again.undo(1) is not None
        assert again.undo(1) is None
        assert (again.overlay(1) == IGNORED).all()
        assert again.can_redo(1)
        assert not again.can_undo(1)
        again.redo(1)
        again.redo(1)
        np.testing.assert_array_equal(again.overlay(1), both)
        assert again.redo(1) is None
        assert again.verify() == []


def test_a_new_stroke_ends_what_could_be_redone(project: Project) -> None:
    project.record(1, (0, 0), box(1), "paint")
    project.undo(1)
    project.record(1, (9, 9), box(1), "paint")
    assert not project.can_redo(1)


def test_undo_of_one_image_leaves_the_others(project: Project) -> None:
    project.record(1, (0, 0), box(1), "paint")
    project.record(2, (0, 0), box(1), "paint")
    project.undo(1)
    assert (project.overlay(2)[:4, :5] == 1).all()


def test_a_stroke_that_changes_nothing_adds_no_row(project: Project) -> None:
    project.record(1, (0, 0), box(1), "paint")
    before = project.journal_tip()
    project.record(1, (0, 0), box(1), "paint")
    assert project.journal_tip() == before


def test_each_row_names_the_model_whose_pixels_it_replaces(project: Project) -> None:
    predict(project, 1)
    project.record(1, (0, 0), box(0), "erase")
    with sqlite3.connect(project.folder / "project.db") as raw:
        assert raw.execute("SELECT model FROM journal").fetchall() == [("made 1",)]
    raw.close()


def test_two_openings_of_a_project_see_each_others_strokes(project: Project) -> None:
    project.record(1, (0, 0), box(1), "paint")
    with Project.open(project.folder) as second:
        second.record(1, (10, 10), box(0), "erase")
        project.record(1, (20, 20), box(1), "paint")
        np.testing.assert_array_equal(second.overlay(1), project.overlay(1))
        assert second.verify() == []


def test_several_threads_may_draw_at_once(project: Project) -> None:
    def draw(column: int) -> None:
        for row in range(10):
            project.record(1, (row, column), box(1, 1, 1), "paint")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(draw, range(4)))
    assert (project.overlay(1)[:10, :4] == 1).all()
    undone = 0
    while project.undo(1):
        undone += 1
    assert undone == 40
    assert project.verify() == []


def test_what_a_review_approved_no_later_prediction_changes(project: Project) -> None:
    predict(project, 1)
    project.record(1, (0, 0), box(0), "erase")
    shown = project.labels(1)
    project.set_reviewed(1, True)
    predict(project, 0)
    np.testing.assert_array_equal(project.labels(1), shown)
    assert project.sample(1).reviewed
    assert not project.sample(2).reviewed


def test_withdrawing_a_review_gives_the_pixels_back_but_keeps_later_strokes(project: Project) -> None:
    predict(project, 1)
    project.record(1, (0, 0), box(0), "erase")
    project.set_reviewed(1, True)
    project.record(1, (20, 20), box(0), "erase")
    project.set_reviewed(1, False)
    overlay = project.overlay(1)
    assert not project.sample(1).reviewed
    assert (overlay != IGNORED).sum() == 40
    assert not overlay[20:24, 20:25].any()


def test_a_review_can_be_undone_and_redone(project: Project) -> None:
    project.set_reviewed(1, True)
    assert project.set_reviewed(1, True) is None
    project.undo(1)
    assert not project.sample(1).reviewed
    assert (project.overlay(1) == IGNORED).all()
    project.redo(1)
    assert project.sample(1).reviewed


def test_instance_labels_start_a_project_of_two_classes(project: Project) -> None:
    mask = np.zeros(SHAPE, np.int32)
    mask[5:9, 5:9] = 700
    project.start_from(1, mask)
    np.testing.assert_array_equal(project.labels(1), mask > 0)
    project.undo(1)
    assert (project.overlay(1) == IGNORED).all()


@pytest.mark.parametrize(
    ("origin", "labels", "words"),
    [
        ((46, 0), box(1), "within its image"),
        ((-1, 0), box(1), "within its image"),
        ((0, 0), box(2), "must be 0 to 1.*got 2"),
        ((0, 0), box(-2), "got -2"),
        ((0, 0), np.ones((3, 3)), "whole numbers"),
        ((0, 0), np.zeros((0, 3), np.int16), "whole numbers"),
    ],
)
def test_what_is_no_correction_is_refused_in_words(
    project: Project, origin: tuple[int, int], labels: np.ndarray, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        project.record(1, origin, labels, "paint")
    assert project.journal_tip()[0] == 0


def test_effort_counts_strokes_and_leaves_pauses_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (1, 0, 1):
        project.record(1, (0, 0), box(value), "paint")
    project.undo(1)
    with sqlite3.connect(project.folder / "project.db") as raw:
        raw.execute("DROP TRIGGER journal_keeps_values")
        for row, time in enumerate(("10:00:00", "10:00:30", "10:01:00", "12:00:00"), start=1):
            raw.execute("UPDATE journal SET created = ? WHERE id = ?", (f"2026-01-01T{time}+00:00", row))
    raw.close()
    assert project.effort(1) == {"strokes": 3, "minutes": 1.0}
    assert project.effort(2) == {"strokes": 0, "minutes": 0}


def test_rows_cannot_be_changed_or_taken_out(project: Project) -> None:
    project.record(1, (0, 0), box(1), "paint")
    raw = sqlite3.connect(project.folder / "project.db")
    for statement in ("DELETE FROM journal", "UPDATE journal SET tool = 'erase'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute(statement)
    raw.close()


STEP = st.one_of(
    st.sampled_from(["undo", "redo", "review", "unreview"]),
    st.tuples(
        st.integers(0, 40), st.integers(0, 50), st.integers(1, 8), st.integers(1, 14), st.integers(-1, 1)
    ),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=14))
def test_any_order_of_work_replays_to_the_same_mask_and_verifies(project: Project, steps: list) -> None:
    past: list[tuple[np.ndarray, bool]] = []
    future: list[tuple[np.ndarray, bool]] = []
    sample = project.add([_fresh(project)])[0].id
    now = (np.full(SHAPE, IGNORED, np.int16), False)
    for step in steps:
        if step in ("undo", "redo"):
            source, target = (past, future) if step == "undo" else (future, past)
            done = getattr(project, step)(sample)
            assert (done is None) == (not source)
            if source:
                target.append(now)
                now = source.pop()
        else:
            changed = _work(project, sample, step, now)
            if changed:
                past.append(now)
                future.clear()
                now = (project.overlay(sample), project.sample(sample).reviewed)
        np.testing.assert_array_equal(project.overlay(sample), now[0])
        assert project.sample(sample).reviewed == now[1]
    with Project.open(project.folder) as again:
        np.testing.assert_array_equal(again.overlay(sample), now[0])
        assert again.verify() == []


def _work(project: Project, sample: int, step: object, now: tuple[np.ndarray, bool]) -> bool:
    before = project.journal_tip()
    if isinstance(step, tuple):
        y, x, height, width, value = step
        project.record(sample, (y, x), box(value, height, width), "paint")
        expected = now[0].copy()
        expected[y : y + height, x : x + width] = value
        np.testing.assert_array_equal(project.overlay(sample), expected)
    else:
        project.set_reviewed(sample, step == "review")
    return project.journal_tip() != before


def _fresh(project: Project) -> Path:
    number = len(project.samples()) + 1
    return write_image(project.folder / "more" / f"{number}.png", 100 + number, SHAPE)
