"""Models come into a project whole, and which one is in use can always be changed back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_diamant.config import ModelCard, ModelConfig
from napari_diamant.errors import UserError
from napari_diamant.project.registry import Registry
from napari_diamant.project.store import Store

CARD = ModelCard(model=ModelConfig(), learned_from=("a", "b"), parent="p" * 64)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(Store.create(tmp_path / "project"))


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    path = tmp_path / "fit.safetensors"
    path.write_bytes(b"weights")
    return path


def test_a_registered_model_has_its_file_its_card_and_its_scores(registry: Registry, fitted: Path) -> None:
    record = registry.register(fitted, CARD, "identity", {"dice": 0.5}, {"dice": 0.7})
    assert record.path.read_bytes() == b"weights"
    assert ModelCard.model_validate_json((record.path.parent / "model.json").read_text()) == CARD
    assert (record.id, record.card, record.before, record.after) == ("m1", CARD, {"dice": 0.5}, {"dice": 0.7})
    assert not record.active
    assert registry.active() is None
    assert fitted.exists()


def test_activating_is_kept_and_can_be_taken_back(registry: Registry, fitted: Path) -> None:
    for _ in range(2):
        registry.register(fitted, CARD, "identity", None, None)
    registry.activate("m2")
    registry.activate("m1")
    assert [record.active for record in registry.all()] == [True, False]


def test_what_a_crash_left_behind_does_not_stand_in_the_way(registry: Registry, fitted: Path) -> None:
    folder = registry._folder
    (folder / "m1").mkdir(parents=True)  # got its name, but the process died before the row
    (folder / "m1" / "half").write_text("")
    old = folder / ".incoming-1-dead"
    old.mkdir()
    os.utime(old, (0, 0))
    record = registry.register(fitted, CARD, "identity", None, None)
    assert {path.name for path in folder.iterdir()} == {"m1"}
    assert {path.name for path in record.path.parent.iterdir()} == {"model.safetensors", "model.json"}


def test_a_model_without_its_file_cannot_be_activated(registry: Registry, fitted: Path) -> None:
    record = registry.register(fitted, CARD, "identity", None, None)
    record.path.unlink()
    with pytest.raises(UserError, match="is gone"):
        registry.activate("m1")


def test_a_missing_fit_registers_nothing(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model file"):
        registry.register(tmp_path / "none.safetensors", CARD, "identity", None, None)
    assert registry.all() == []
    assert list(registry._folder.iterdir()) == []
