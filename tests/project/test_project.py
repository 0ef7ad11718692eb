"""The project as a whole: quick to import, its classes, its settings, its status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_diamant.errors import UserError
from napari_diamant.project import Project
from napari_diamant.types import Prediction


def test_importing_and_correcting_loads_neither_torch_nor_qt(project: Project) -> None:
    project.close()
    script = """
import sys
from pathlib import Path
import numpy as np
from napari_diamant.project import Project, catalog, verbs
with Project.open(Path(sys.argv[1])) as project:
    project.image(1)
    project.record(1, (0, 0), np.ones((3, 3), np.int16), "paint")
    project.labels(1), project.status(), project.verify(), catalog.list_models(project)
heavy = {"torch", "timm", "monai", "napari", "qtpy", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script, str(project.folder)], check=True)


def test_classes_can_be_renamed_and_added_but_not_taken_away(project: Project) -> None:
    project.classes = ("background", "gland", "nucleus")
    project.record(1, (0, 0), np.full((2, 2), 2, np.int16), "paint")
    assert project.labels(1)[0, 0] == 2
    with pytest.raises(UserError, match="keeps its 3 classes"):
        project.classes = ("background", "gland")


@pytest.mark.parametrize("names", [(), ("background",), ("a", "a"), ("a", " ")])
def test_unusable_class_names_make_no_project(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="two or more different class names"):
        Project.create(tmp_path / "p", names)
    assert not (tmp_path / "p").exists()


def test_a_mask_of_three_classes_starts_only_a_project_that_has_them(tmp_path: Path, images: Path) -> None:
    with Project.create(tmp_path / "three", ("background", "gland", "nucleus")) as project:
        project.add([images])
        mask = np.zeros((48, 64), np.uint8)
        mask[0, 0] = 2
        project.start_from(1, mask)
        assert project.labels(1)[0, 0] == 2
        mask[0, 0] = 3
        with pytest.raises(UserError, match="got 3"):
            project.start_from(1, mask)


def test_settings_are_a_dictionary_on_the_disk(project: Project) -> None:
    project.settings["device"] = "cpu"
    project.settings["nested"] = {"list": [1, None, "ü"]}
    with Project.open(project.folder) as again:
        assert again.settings["nested"] == {"list": [1, None, "ü"]}
        assert set(again.settings) == {"classes", "device", "nested"}
        del again.settings["device"]
    assert "device" not in project.settings
    assert project.settings.get("device", "auto") == "auto"


def test_status_counts_what_there_is(project: Project, images: Path) -> None:
    project.record(1, (0, 0), np.ones((2, 2), np.int16), "paint")
    project.save_prediction(2, Prediction(np.zeros((48, 64), np.uint8), "m1"))
    project.set_reviewed(2, True)
    (images / "a.png").unlink()
    status = project.status()
    assert (status["strokes"], status["reviewed"], status["active_model"]) == (1, 1, None)
    first, second = status["samples"]
    assert (first["found"], first["strokes"], first["reviewed"]) == (False, 1, False)
    assert (second["found"], second["predicted_by"], second["reviewed"]) == (True, "m1", True)


def test_a_prediction_comes_back_as_it_was_saved(project: Project) -> None:
    chances = np.random.default_rng(0).random((2, 48, 64)).astype(np.float16)
    project.save_prediction(1, Prediction(chances.argmax(0).astype(np.uint8), "m7", chances, (0, 3)))
    kept = project.prediction(1)
    assert kept is not None
    assert (kept.model_id, kept.heads) == ("m7", (0, 3))
    np.testing.assert_array_equal(kept.probabilities, chances)
    assert project.prediction(2) is None


def test_a_damaged_prediction_counts_as_none(project: Project) -> None:
    path = project.save_prediction(1, Prediction(np.ones((48, 64), np.uint8), "m1"))
    path.write_bytes(path.read_bytes()[:60])
    assert project.prediction(1) is None
    assert project.predicted_by(1) is None
    assert not project.labels(1).any()


def test_a_prediction_of_another_size_is_refused(project: Project) -> None:
    with pytest.raises(UserError, match="image's size"):
        project.save_prediction(1, Prediction(np.ones((4, 4), np.uint8), "m1"))


def test_a_mask_of_another_size_than_the_image_is_refused(project: Project) -> None:
    for shape in ((10, 10), (64, 48), (48, 65), (48, 64, 1)):
        with pytest.raises(UserError, match="image's size"):
            project.start_from(1, np.zeros(shape, np.uint8))
    assert not project.can_undo(1)
