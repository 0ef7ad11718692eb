"""The verbs on plain files, from the words typed to the files written."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from napari_diamant.cli import main
from napari_diamant.io import read_labels

QUICK = ["--epochs", "1", "--steps-per-epoch", "1", "--batch-size", "2", "--crop", "32", "--width", "2"]


class Hostile:
    """Leaves a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def test_attend_writes_a_map_per_head_and_says_that_weights_are_random(folders, tmp_path, run_json):
    code, events = run_json("attend", folders.images, "--out", tmp_path)
    result = events[-1]
    assert (code, result["event"], result["verb"], result["trained"]) == (0, "result", "attend", False)
    assert "RANDOM" in result["backbone"]
    maps = tifffile.imread(tmp_path / "disc_0.ome.tif")
    assert (maps.shape, maps.dtype) == ((6, 8, 8), np.float32)
    assert {event["event"] for event in events[:-1]} == {"progress"}


def test_attend_for_people_lists_files_and_warns_loudly(folders, tmp_path, capsys):
    assert main(["attend", str(folders.images / "disc_0.png"), "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'disc_0.ome.tif'}\n"
    assert "Warning: RANDOM weights" in captured.err


def test_predict_writes_masks_and_probabilities_of_the_images_size(folders, model, tmp_path, run_json):
    words = ["--model", model, "--out", tmp_path, "--probabilities", "--heads", "0,2"]
    code, events = run_json("predict", folders.images, *words)
    assert (code, events[-1]["failed"], len(events[-1]["results"])) == (0, 0, 3)
    assert read_labels(tmp_path / "disc_1.ome.tif").shape == (64, 64)
    probabilities = tifffile.imread(tmp_path / "disc_1.probabilities.ome.tif")
    assert np.allclose(probabilities.sum(axis=0), 1, atol=1e-2)


def test_train_writes_a_model_that_predict_and_evaluate_take(folders, tmp_path, run_json):
    data = ["--images", folders.images, "--masks", folders.masks]
    code, events = run_json("train", *data, "--out", tmp_path / "m.safetensors", *QUICK)
    assert (code, events[-1]["verb"], events[-1]["epochs"]) == (0, "train", 1)
    code, events = run_json("evaluate", *data, "--model", tmp_path / "m.safetensors")
    assert code == 0
    assert 0 <= events[-1]["mean"]["dice"]["value"] <= 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupted_fit_is_one_sentence_and_exit_code_130(folders, tmp_path):
    data = ["--images", folders.images, "--masks", folders.masks, "--out", tmp_path / "m.safetensors"]
    words = [sys.executable, "-m", "napari_diamant", "train", *data, "--epochs", "1000", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "progress" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "Interrupted: what was finished is on disk.\n"


def test_masks_of_any_origin_can_be_scored(folders, run_json):
    data = ["--images", folders.images, "--masks", folders.masks]
    code, events = run_json("evaluate", *data, "--predictions", folders.masks)
    assert (code, events[-1]["mean"]["dice"]["value"], events[-1]["mean"]["hd95"]["value"]) == (0, 1, 0)


def test_scores_for_people_name_each_image_and_the_interval(folders, capsys):
    data = ["--images", str(folders.images), "--masks", str(folders.masks)]
    assert main(["evaluate", *data, "--predictions", str(folders.masks)]) == 0
    shown = capsys.readouterr().out
    assert "disc_2" in shown
    assert "mean of 3" in shown
    assert "1.000–1.000" in shown


def test_a_missing_prediction_is_named(folders, tmp_path, run_json):
    imageio.imwrite(tmp_path / "disc_0.png", np.zeros((64, 64), np.uint8))
    data = ["--images", folders.images, "--masks", folders.masks]
    code, events = run_json("evaluate", *data, "--predictions", tmp_path)
    assert code == 1
    assert "disc_1, disc_2" in events[-1]["message"]


@pytest.mark.parametrize("chosen", [[], ["--model", "m", "--predictions", "p"]])
def test_evaluate_takes_a_model_or_predictions(chosen, folders, run_json):
    code, _ = run_json("evaluate", "--images", folders.images, "--masks", folders.masks, *chosen)
    assert code == 2


def test_a_batch_goes_on_after_a_bad_file_and_ends_with_1(folders, tmp_path, capsys, run_json):
    (tmp_path / "bad.png").write_bytes(b"")
    good = folders.images / "disc_0.png"
    code, events = run_json("attend", tmp_path / "bad.png", good, "--out", tmp_path / "out")
    assert (code, events[-1]["event"], events[-1]["failed"]) == (1, "result", 1)
    assert (tmp_path / "out" / "disc_0.ome.tif").exists()


def damaged(folder: Path, kind: str) -> Path:
    """Write a file of this kind of fault."""
    noise = np.random.default_rng(0)
    whole = folder / "whole.png"
    imageio.imwrite(whole, noise.integers(0, 255, (96, 96, 3), dtype=np.uint8))
    data = whole.read_bytes()
    path = folder / ("image.tif" if kind in ("five axes", "only NaN") else "image.png")
    match kind:
        case "corrupt":
            path.write_bytes(data[:20] + bytes(500) + data[520:])
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "one pixel":
            imageio.imwrite(path, np.zeros((1, 1, 3), np.uint8))
        case "five axes":
            tifffile.imwrite(path, np.zeros((2, 3, 4, 32, 32), np.uint8))
        case "only NaN":
            tifffile.imwrite(path, np.full((64, 64), np.nan, np.float32))
    return path


@pytest.mark.parametrize("verb", ["attend", "predict"])
@pytest.mark.parametrize(
    "kind", ["corrupt", "truncated", "empty", "one pixel", "five axes", "only NaN", "missing"]
)
def test_a_bad_image_is_one_sentence_and_exit_code_1(verb, kind, model, tmp_path, capsys):
    words = ["--model", str(model)] if verb == "predict" else []
    path = damaged(tmp_path, kind)
    assert main([verb, str(path), "--out", str(tmp_path / "out"), *words]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.endswith(".")]
    assert said
    assert "Unexpected" not in said[-1]
    assert "Traceback" not in "".join(said)


@pytest.mark.parametrize("kind", ["16 bits", "some NaN"])
def test_unusual_values_give_a_right_result(kind, tmp_path, run_json):
    values = np.random.default_rng(0).random((64, 80)).astype(np.float32)
    if kind == "16 bits":
        values = (values * 65535).astype(np.uint16)
    else:
        values[:8] = np.nan
    tifffile.imwrite(tmp_path / "image.tif", values)
    code, _ = run_json("attend", tmp_path / "image.tif", "--out", tmp_path / "out")
    assert code == 0
    assert np.isfinite(tifffile.imread(tmp_path / "out" / "image.ome.tif")).all()


@pytest.mark.parametrize("option", ["--weights", "--model"])
def test_a_hostile_weight_file_executes_nothing(option, folders, tmp_path, run_json):
    trace, path = tmp_path / "executed", tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"state_dict": Hostile(trace)}))
    verb = "attend" if option == "--weights" else "predict"
    image = folders.images / "disc_0.png"
    code, events = run_json(verb, image, "--out", tmp_path / "out", option, path)
    assert (code, events[-1]["event"]) == (1, "error")
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # the trap itself works
    assert trace.exists()
