"""What a fit learns from, where it starts, and that a worse model is never put to use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import write_discs

from napari_diamant.config import AttentionConfig, BackboneConfig, ModelConfig, TrainConfig
from napari_diamant.errors import UserError
from napari_diamant.project import Project, learning
from napari_diamant.project.lessons import REACH, labels_to_learn
from napari_diamant.types import IGNORED, JSON, Prediction, Progress

SHORT = TrainConfig(
    epochs=2, steps_per_epoch=2, batch_size=2, crop=32, augment="none", val_fraction=0.3, device="cpu"
)
SMALL = ModelConfig(width=4, depth=2)


@pytest.fixture
def discs(tmp_path: Path) -> Iterator[Project]:
    """Give a project with two images of discs, the first corrected to the truth, and a small network."""
    truths = [write_discs(tmp_path / "images" / f"{seed}.png", seed) for seed in range(2)]
    with Project.create(tmp_path / "project") as project:
        project.add([tmp_path / "images"])
        project.settings["model"] = SMALL.model_dump(mode="json")
        project.settings["device"] = "cpu"
        project.start_from(1, truths[0])
        yield project


def test_without_corrections_there_is_nothing_to_learn(project: Project) -> None:
    assert labels_to_learn(project, project.sample(1)) is None
    with pytest.raises(UserError, match="nothing to learn from yet"):
        project.fine_tune(SHORT)


def test_without_a_model_prediction_says_what_to_do(project: Project) -> None:
    with pytest.raises(UserError, match=r"No model has been trained yet.*press Fine-tune"):
        project.predict(1)


def test_only_what_the_user_has_looked_at_is_learned_from(project: Project) -> None:
    project.save_prediction(1, Prediction(np.ones((48, 64), np.uint8), "m1"))
    project.record(1, (20, 20), np.zeros((1, 1), np.int16), "erase")
    labels = labels_to_learn(project, project.sample(1))
    assert labels is not None
    assert labels.dtype == np.int16
    assert labels[20, 20] == 0
    assert labels[20, 20 + REACH] == 1
    assert labels[20, 21 + REACH] == IGNORED
    assert set(np.unique(labels)) == {IGNORED, 0, 1}


def test_a_reviewed_image_is_learned_from_whole(project: Project) -> None:
    project.save_prediction(1, Prediction(np.ones((48, 64), np.uint8), "m1"))
    project.set_reviewed(1, True)
    labels = labels_to_learn(project, project.sample(1))
    assert labels is not None
    assert (labels == 1).all()


def test_a_fit_becomes_the_model_in_use_and_the_next_one_its_child(discs: Project) -> None:
    heard: list[Progress] = []
    first = discs.fine_tune(SHORT, report=heard.append)
    assert first["promoted"]
    assert first["before"] is None
    assert 0 <= first["after"] <= 1
    assert first["started_from"] is None
    assert not first["trained"]
    assert any("epoch" in progress.values for progress in heard)
    second = discs.fine_tune(SHORT)
    assert second["started_from"] == "m1"
    assert 0 <= second["before"] <= 1
    parent, child = discs.models()
    assert child.card.parent == parent.identity
    assert parent.card.learned_from == (discs.sample(1).content_hash,)
    assert not (discs.folder / "fit").exists()
    assert discs.verify() == []


def test_a_prediction_is_kept_with_its_heads_and_spares_the_corrections(discs: Project) -> None:
    discs.fine_tune(SHORT)
    before = discs.labels(1)
    made = discs.predict(1, heads=[0, 2])
    kept = discs.prediction(1)
    assert kept is not None
    assert (kept.model_id, kept.heads) == ("m1", (0, 2))
    np.testing.assert_array_equal(kept.labels, made.labels)
    np.testing.assert_array_equal(discs.labels(1), before)
    other = discs.predict(2)
    assert other.heads is None
    np.testing.assert_array_equal(discs.labels(2), other.labels)


def test_a_worse_model_is_kept_and_shown_but_not_put_to_use(
    discs: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_diamant.engine import train

    discs.fine_tune(SHORT)
    fit = train.fit

    def worse(*args: object, **options: object) -> train.FitResult:
        return replace(fit(*args, **options), before={"dice": 0.9}, after={"dice": 0.8})

    monkeypatch.setattr(train, "fit", worse)
    result = discs.fine_tune(SHORT)
    assert not result["promoted"]
    assert [record.id for record in discs.models()] == ["m1", "m2"]
    active = discs.active_model()
    assert active is not None
    assert active.id == "m1"
    assert discs.activate("m2").active
    assert discs.activate("m1").active


def test_other_maps_make_a_new_model_because_the_old_one_cannot_read_them(discs: Project) -> None:
    discs.fine_tune(SHORT)
    other = AttentionConfig(backbone=BackboneConfig(seed=1))
    discs.settings["attention"] = other.model_dump(mode="json")
    result = discs.fine_tune(SHORT)
    assert result["started_from"] is None
    assert discs.model("m2").card.attention == other
    assert discs.predict(1, model="m1").model_id == "m1"


def test_a_class_added_later_grows_the_model(discs: Project) -> None:
    discs.fine_tune(SHORT)
    discs.classes = ("background", "gland", "nucleus")
    discs.record(1, (0, 0), np.full((8, 8), 2, np.int16), "paint")
    result = discs.fine_tune(SHORT)
    assert result["started_from"] == "m1"
    assert result["before"] is None
    assert discs.model("m2").card.model.classes == ("background", "gland", "nucleus")


def test_a_fit_that_was_ended_midway_goes_on_unless_the_work_has_changed(discs: Project) -> None:
    def fit(stop: bool) -> list[str]:
        said: list[str] = []

        def report(progress: Progress) -> None:
            said.append(progress.message)
            if stop and progress.values.get("epoch") == 2:
                raise KeyboardInterrupt

        discs.fine_tune(SHORT, report=report)
        return said

    with pytest.raises(KeyboardInterrupt):
        fit(stop=True)
    assert discs.models() == []
    assert any(message.startswith("Continued") for message in fit(stop=False))
    with pytest.raises(KeyboardInterrupt):
        fit(stop=True)
    discs.record(1, (0, 0), np.ones((3, 3), np.int16), "paint")
    assert not any(message.startswith("Continued") for message in fit(stop=False))


def test_two_fits_of_a_project_do_not_run_at_once(discs: Project) -> None:
    script = (
        "import sys; from pathlib import Path; from napari_diamant.project import learning\n"
        "with learning._only_one(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(discs.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="running already"):
        discs.fine_tune(SHORT)
    child.kill()
    child.communicate()
    with learning._only_one(discs.folder):
        pass  # the system has let go of what the dead process held


def test_maps_are_computed_once_and_kept_where_the_window_finds_them(discs: Project) -> None:
    maps = discs.attend(1)
    file = discs.attention_file(1)
    written = file.stat().st_mtime_ns
    with np.load(file) as content:
        np.testing.assert_array_equal(content["maps"], maps.maps)
    discs.attend(1)
    assert discs.attention_file(1).stat().st_mtime_ns == written


def test_readiness_says_loudly_that_weights_are_random(discs: Project) -> None:
    ready: JSON = discs.readiness()
    assert ready["trained"] is False
    assert "RANDOM" in ready["weights"]
    assert ready["device"].startswith("CPU")


def test_an_unusable_setting_is_told_by_name(discs: Project) -> None:
    discs.settings["attention"] = {"block": "last"}
    with pytest.raises(UserError, match=r"attention\.block"):
        discs.attend(1)
