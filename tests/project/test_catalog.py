"""Models and transformers by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_diamant.config import ModelCard, ModelConfig
from napari_diamant.engine import checkpoint
from napari_diamant.errors import UserError
from napari_diamant.models.build import build_network, parameters
from napari_diamant.project import Project, catalog
from napari_diamant.project.learning import source

GLANDS = ModelConfig(arch="unet", width=2, depth=1, norm="batch", classes=("background", "gland"))


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let ``glands`` be the only shipped model, among files that are none."""
    folder = tmp_path / "weights"
    checkpoint.save(folder / "glands.safetensors", build_network(GLANDS), ModelCard(model=GLANDS))
    (folder / "broken.safetensors").write_bytes(b"nothing")
    (folder / "README.md").write_text("")
    monkeypatch.setattr(catalog, "weights_folder", lambda: folder)
    return folder


def test_shipped_models_are_listed_with_what_they_are(shipped: Path) -> None:
    (entry,) = catalog.list_models()
    assert (entry.name, entry.origin, entry.arch, entry.heads) == ("glands", "shipped", "unet", 0)
    assert entry.classes == ("background", "gland")
    assert entry.parameters == parameters(GLANDS)


def test_a_model_is_found_by_name_or_as_a_file(shipped: Path, project: Project) -> None:
    file = shipped / "glands.safetensors"
    assert catalog.resolve_model("glands") == file
    assert catalog.resolve_model(file) == file
    with pytest.raises(UserError, match=r"listed names \(glands\), got nuclei"):
        catalog.resolve_model("nuclei", project)


def test_a_projects_models_are_found_by_their_id(shipped: Path, project: Project) -> None:
    record = project.register_model(shipped / "glands.safetensors", ModelCard(model=GLANDS))
    assert record.identity == checkpoint.identity(shipped / "glands.safetensors")
    assert catalog.resolve_model("m1", project) == record.path
    assert [entry.name for entry in catalog.list_models(project)] == ["glands", "m1"]
    with pytest.raises(UserError):
        catalog.resolve_model("m1")


def test_a_project_without_a_model_takes_the_shipped_one_that_fits_its_classes(
    shipped: Path, project: Project
) -> None:
    found = source(project)
    assert found is not None
    assert found.name == "glands"
    project.classes = ("background", "gland", "nucleus")
    assert source(project) is None


def test_the_shipped_model_predicts_before_anything_is_trained(shipped: Path, project: Project) -> None:
    assert project.predict(1).model_id == "glands"
    assert project.predicted_by(1) == "glands"


def test_a_named_model_that_is_not_there_is_told_in_words(project: Project) -> None:
    with pytest.raises(UserError, match="got m9"):
        project.predict(1, model="m9")
    with pytest.raises(UserError, match="no model 'm9'"):
        project.activate("m9")


def test_backbones_carry_heads_licence_and_size() -> None:
    entries = {entry.name: entry for entry in catalog.list_backbones()}
    assert round(entries["dino-vits16"].parameters / 1e6, 2) == 21.67
    assert round(entries["dino-vitb8"].parameters / 1e6, 2) == 85.81
    assert entries["dino-vits8"].heads == 6
    assert entries["dinov3-vits16"].opt_in


def test_every_architecture_is_counted() -> None:
    assert {entry.name: entry.parameters > 0 for entry in catalog.list_architectures()} == {
        "unet": True,
        "diamant": True,
    }
