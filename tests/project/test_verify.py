"""Verification names what was tampered with, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import write_image

from napari_diamant.config import ModelCard, ModelConfig
from napari_diamant.project import Project
from napari_diamant.project.replay import pack

TRIGGERS = ("journal_keeps_rows", "journal_keeps_values")


@pytest.fixture
def worked(project: Project) -> Project:
    """Give the project with five rows: three strokes, an undo, and a stroke on the other image."""
    for row in range(3):
        project.record(1, (row, row), np.full((4, 4), row % 2, np.int16), "paint")
    project.undo(1)
    project.record(2, (0, 0), np.ones((4, 4), np.int16), "paint")
    return project


def tamper(project: Project, *statements: str, values: tuple[object, ...] = ()) -> list[str]:
    raw = sqlite3.connect(project.folder / "project.db")
    for trigger in TRIGGERS:
        raw.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        raw.execute(statement, values)
    raw.commit()
    raw.close()
    with Project.open(project.folder) as opened:
        return opened.verify()


def test_a_project_as_its_users_made_it_is_sound(worked: Project) -> None:
    assert worked.verify() == []


@pytest.mark.parametrize(
    "change",
    ["tool = 'erase'", "created = '2020-01-01T00:00:00.000+00:00'", "model = 'm9'", "y = 9", "reviewed = 1"],
)
def test_a_changed_row_is_named(worked: Project, change: str) -> None:
    faults = tamper(worked, f"UPDATE journal SET {change} WHERE id = 2")
    assert faults
    assert all("row 2" in fault or "row 3" in fault for fault in faults)
    assert "row 2 (image 1" in faults[0]
    assert "changed after it was written" in faults[0]


def test_changed_pixels_are_found(worked: Project) -> None:
    pixels = pack(np.zeros((4, 4), np.int16))
    faults = tamper(worked, "UPDATE journal SET after = ? WHERE id = 5", values=(pixels,))
    assert len(faults) == 1
    assert "row 5 (image 2" in faults[0]


def test_a_row_moved_to_another_image_is_found(worked: Project) -> None:
    assert any("row 5" in fault for fault in tamper(worked, "UPDATE journal SET sample = 1 WHERE id = 5"))


def test_a_row_taken_out_of_the_middle_is_found(worked: Project) -> None:
    faults = tamper(worked, "DELETE FROM journal WHERE id = 2")
    assert faults[0].startswith("Journal row 2 is missing")


def test_the_newest_rows_taken_out_are_found(worked: Project) -> None:
    faults = tamper(worked, "DELETE FROM journal WHERE id >= 4")
    assert faults == ["Journal rows 4 to 5 are missing: the newest rows were taken out."]


def test_a_row_that_cannot_be_unpacked_is_named(worked: Project) -> None:
    faults = tamper(worked, "UPDATE journal SET after = x'00' WHERE id = 5")
    assert any("row 5" in fault and "cannot be unpacked" in fault for fault in faults)


def test_an_original_with_other_pixels_is_named_and_a_missing_one_is_no_fault(worked: Project) -> None:
    first, second = (sample.path for sample in worked.samples())
    write_image(first, seed=99)
    second.unlink()
    faults = worked.verify()
    assert len(faults) == 1
    assert "Image 1" in faults[0]


def _swap(path: Path) -> None:
    path.write_bytes(b"other weights")


@pytest.mark.parametrize(("harm", "words"), [(_swap, "not the one"), (Path.unlink, "is gone")])
def test_a_models_file_is_held_to_its_hash(
    worked: Project, tmp_path: Path, harm: Callable[[Path], None], words: str
) -> None:
    (tmp_path / "fit.safetensors").write_bytes(b"weights")
    card = ModelCard(model=ModelConfig())
    record = worked._registry.register(tmp_path / "fit.safetensors", card, "identity", None, None)
    assert worked.verify() == []
    harm(record.path)
    faults = worked.verify()
    assert len(faults) == 1
    assert "Model m1" in faults[0]
    assert words in faults[0]
