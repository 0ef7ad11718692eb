"""The verbs on a project folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from napari_diamant.cli import main
from napari_diamant.config import TrainConfig
from napari_diamant.project import Project

QUICK = ["--epochs", "1", "--steps-per-epoch", "1", "--batch-size", "2", "--crop", "32"]


def test_a_project_is_made_filled_and_listed(tmp_path, folders, run_json):
    folder = tmp_path / "glands"
    assert run_json("project", "new", folder, "--classes", "background,gland,lumen")[0] == 0
    assert run_json("project", "add", folder, folders.images)[0] == 0
    code, events = run_json("project", "list", folder)
    assert (code, len(events[-1]["samples"])) == (0, 3)
    code, events = run_json("project", "status", folder)
    assert (code, events[-1]["classes"], events[-1]["strokes"]) == (0, ["background", "gland", "lumen"], 0)


def test_adding_a_folder_goes_on_after_a_bad_file_in_it(project, tmp_path, folders, run_json):
    shutil.copytree(folders.images, tmp_path / "mixed")
    (tmp_path / "mixed" / "a_bad_one.png").write_bytes(b"no image")
    code, events = run_json("project", "add", project, tmp_path / "mixed")
    assert code == 1
    assert (len(events[-1]["samples"]), events[-1]["failed"]) == (3, 1)
    assert "a_bad_one.png" in events[-1]["errors"][0]["error"]


def test_adding_goes_on_after_a_bad_file(project, tmp_path, folders, run_json):
    (tmp_path / "bad.png").write_bytes(b"no image")
    code, events = run_json("project", "add", project, tmp_path / "bad.png", folders.images)
    assert (code, events[-1]["failed"], len(events[-1]["samples"])) == (1, 1, 3)


def test_moved_and_renamed_images_are_found_again(tmp_path, folders, run_json):
    shutil.copytree(folders.images, tmp_path / "here")
    assert run_json("project", "new", tmp_path / "mine")[0] == 0
    assert run_json("project", "add", tmp_path / "mine", tmp_path / "here")[0] == 0
    (tmp_path / "there" / "deep").mkdir(parents=True)
    (tmp_path / "here" / "disc_0.png").rename(tmp_path / "there" / "deep" / "renamed.png")
    (tmp_path / "here" / "disc_1.png").unlink()
    code, events = run_json("project", "relocate", tmp_path / "mine", tmp_path / "there")
    result = events[-1]
    assert (code, [sample["id"] for sample in result["found"]], len(result["missing"])) == (1, [1], 1)
    assert result["found"][0]["path"].endswith("renamed.png")
    shutil.copy(folders.images / "disc_1.png", tmp_path / "there")
    code, events = run_json("project", "relocate", tmp_path / "mine", tmp_path / "there")
    assert (code, events[-1]["missing"]) == (0, [])


def test_relocate_in_no_folder_is_one_sentence(project, tmp_path, run_json):
    code, events = run_json("project", "relocate", project, tmp_path / "nowhere")
    assert (code, events[-1]["event"]) == (1, "error")


def test_a_fit_whose_reader_has_gone_ends_by_itself(project):
    """So ends a fit on another machine when the connection breaks."""
    words = [sys.executable, "-m", "napari_diamant", "fine-tune", str(project), "--json", "--minutes", "9"]
    small = ["--steps-per-epoch", "1", "--batch-size", "2", "--crop", "32"]
    with subprocess.Popen([*words, *small], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as fit:
        assert json.loads(fit.stdout.readline())["event"] == "progress"
        fit.stdout.close()
        assert fit.wait(timeout=60) == 1
        assert b"Traceback" not in fit.stderr.read()
    with Project.open(project) as opened:
        assert len(opened.models()) == 1


def test_a_sound_project_verifies(project, run_json):
    code, events = run_json("project", "verify", project)
    assert (code, events[-1]["sound"], events[-1]["faults"]) == (0, True, [])


def test_a_damaged_model_is_found_and_the_exit_code_is_1(project, run_json):
    (path,) = project.glob("models/*/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    code, events = run_json("project", "verify", project)
    assert (code, events[-1]["event"], len(events[-1]["faults"])) == (1, "result", 1)


@pytest.mark.parametrize("kind", ["ome-tiff", "png", "training"])
def test_export_writes_what_it_names(kind, project, tmp_path, run_json):
    code, events = run_json("project", "export", project, "--out", tmp_path / "out", "--kind", kind)
    assert (code, events[-1]["event"]) == (0, "result")
    assert events[-1]["outputs"]


def test_fine_tune_ends_with_a_new_model_and_its_scores(project, run_json):
    code, events = run_json("fine-tune", project, *QUICK)
    result = events[-1]
    assert (code, result["event"], result["model"], result["trained"]) == (0, "result", "m2", False)
    assert {"before", "after", "held_out", "promoted", "seconds"} <= set(result)
    learned = [event for event in events if "epoch" in event]
    assert {"loss", "val_dice", "seconds_left", "device"} <= set(learned[-1])


def test_without_corrections_fine_tune_says_what_to_do(tmp_path, folders, run_json):
    with Project.create(tmp_path / "new") as made:
        made.add([folders.images])
    code, events = run_json("fine-tune", tmp_path / "new")
    assert code == 1
    assert "Correct an image" in events[-1]["message"]


def test_a_budget_on_the_command_line_replaces_the_projects(project, monkeypatch, run_json):
    asked: list[TrainConfig] = []
    monkeypatch.setattr(Project, "fine_tune", lambda self, config, **rest: asked.append(config) or {})
    with Project.open(project) as opened:
        opened.settings["train"] = {"minutes": 5, "seed": 3}
    assert run_json("fine-tune", project, "--epochs", "7")[0] == 0
    assert run_json("fine-tune", project)[0] == 0
    budgets = [(config.epochs, config.minutes, config.seed) for config in asked]
    assert budgets == [(7, None, 3), (None, 5, 3)]


@pytest.mark.parametrize("verb", ["list", "status", "verify"])
def test_a_folder_that_is_no_project_is_one_sentence(verb, tmp_path, capsys):
    assert main(["project", verb, str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_status_for_people_is_a_few_lines(project, capsys):
    assert main(["project", "status", str(project)]) == 0
    shown = capsys.readouterr().out
    assert "3 images, 1 reviewed" in shown
    assert "m1 in use" in shown


def test_models_of_a_project_are_listed_beside_transformers_and_architectures(project, run_json):
    code, events = run_json("models", "--project", project)
    result = events[-1]
    assert code == 0
    assert [model["name"] for model in result["models"] if model["origin"] == "project"] == ["m1"]
    assert {entry["name"] for entry in result["architectures"]} == {"unet", "diamant"}
    assert all(entry["licence"] and entry["parameters"] for entry in result["backbones"])
