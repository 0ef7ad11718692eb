import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import blob, scribbled
from fit_child import MODEL, RECIPE, task

from napari_diamant.config import AttentionConfig, ModelConfig, TrainConfig
from napari_diamant.engine import checkpoint
from napari_diamant.engine.resume import load_state, save_state, state_path
from napari_diamant.engine.train import fit
from napari_diamant.engine.validation import HeldOut
from napari_diamant.errors import UserError
from napari_diamant.types import IGNORED

UNET = ModelConfig(arch="unet", width=4, depth=2)
QUICK = TrainConfig(epochs=2, steps_per_epoch=3, batch_size=2, crop=32, precision="float32", device="cpu")


@pytest.fixture(autouse=True)
def _one_thread():
    """Keep the order of sums, and with it the last bit, apart from the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class News(list):
    """Collect what a fit reports."""

    def __call__(self, progress):
        self.append(progress)

    @property
    def messages(self):
        return " | ".join(progress.message for progress in self)


def weights(path):
    return checkpoint.load(path)[0].state_dict()


def assert_same_weights(one, other):
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """Learn six images well enough to tell discs from ground."""
    out = tmp_path_factory.mktemp("parent") / "model.safetensors"
    recipe = QUICK.model_copy(update={"epochs": 4, "steps_per_epoch": 25, "learning_rate": 1e-2})
    return fit([blob(index) for index in range(6)], UNET, recipe, out)


def test_a_fit_learns_and_its_checkpoint_is_complete(parent):
    assert parent.after["dice"] > 0.85
    assert parent.before is None
    assert parent.held_out == "1 of 6 images"
    assert [entry["epoch"] for entry in parent.history] == [1, 2, 3, 4]
    card = checkpoint.read_card(parent.path)
    assert card == parent.card
    assert (len(card.learned_from), len(card.held_out)) == (5, 1)
    assert not set(card.learned_from) & set(card.held_out)
    assert card.scores["dice"] == parent.after["dice"]
    assert card.model == UNET
    assert not state_path(parent.path).exists()


def test_the_score_is_that_of_the_prediction_a_user_gets(parent):
    predict = pytest.importorskip("napari_diamant.engine.predict").predict
    network, card = checkpoint.load(parent.path)
    held = next(blob(k) for k in range(6) if blob(k).content_hash in card.held_out)
    labels = predict(network, card, held.pixels, None, device=torch.device("cpu")).labels
    overlap = (
        2 * ((labels == 1) & (held.labels == 1)).sum() / ((labels == 1).sum() + (held.labels == 1).sum())
    )
    assert overlap == pytest.approx(parent.after["dice"], abs=0.02)


def test_the_same_seed_gives_the_same_weights_to_the_last_bit(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.rand(5)  # what the process drew before does not matter
        recipe = QUICK.model_copy(update={"seed": seed})
        fit(task()[0], MODEL, recipe, tmp_path / name, attention=AttentionConfig())
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    assert checkpoint.identity(tmp_path / "a") != checkpoint.identity(tmp_path / "c")


def test_a_fit_leaves_the_callers_chance_alone(tmp_path):
    state = torch.get_rng_state()
    fit([blob(0)], UNET, QUICK, tmp_path / "m.safetensors")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_killed_fit_goes_on_to_the_state_it_would_have_reached(tmp_path):
    killed, whole = tmp_path / "killed.safetensors", tmp_path / "whole.safetensors"
    command = [sys.executable, str(Path(__file__).with_name("fit_child.py")), str(killed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if json.loads(line).get("epoch") == 3:
                child.send_signal(signal.SIGKILL)
                break
    assert child.wait() == -signal.SIGKILL
    assert not killed.exists()
    news = News()
    fit(*task(), killed, attention=AttentionConfig(), resume=True, report=news)
    result = fit(*task(), whole, attention=AttentionConfig())
    assert "Continued after epoch" in news.messages
    assert min(progress.values["epoch"] for progress in news if "epoch" in progress.values) > 1
    assert_same_weights(killed, whole)
    assert len(result.history) == RECIPE.epochs


def test_only_the_same_task_is_continued(tmp_path):
    out, mark = tmp_path / "m.safetensors", "a mark"
    save_state(state_path(out), {"moment": {}}, mark)
    assert load_state(state_path(out), mark) is not None
    assert load_state(state_path(out), "another") is None
    state_path(out).write_bytes(state_path(out).read_bytes()[:100])
    assert load_state(state_path(out), mark) is None
    news = News()
    fit([blob(0)], UNET, QUICK, out, resume=True, report=news)
    assert "Continued" not in news.messages


def test_fine_tuning_starts_where_the_parent_ended(parent, tmp_path):
    images = [scribbled(blob(index), count=20) for index in (20, 21)]
    recipe = QUICK.model_copy(update={"learning_rate": 1e-5, "epochs": 1})
    result = fit(images, UNET, recipe, tmp_path / "m.safetensors", init=parent.path)
    assert result.before["dice"] > 0.7
    assert result.after["dice"] == pytest.approx(result.before["dice"], abs=0.1)
    assert result.card.parent == checkpoint.identity(parent.path)
    assert set(parent.card.learned_from) < set(result.card.learned_from)
    assert result.card.scores["before dice"] == result.before["dice"]
    assert "optimistic" in result.held_out


def test_weights_that_do_not_fit_are_drawn_anew_and_named(parent, tmp_path):
    news, out = News(), tmp_path / "m.safetensors"
    model = UNET.model_copy(update={"classes": ("background", "ring", "disc")})
    images = [blob(index, classes=3) for index in range(2)]
    recipe = QUICK.model_copy(update={"learning_rate": 1e-9})
    result = fit(images, model, recipe, out, init=parent.path, report=news)
    assert result.before is None
    assert "did not fit: decoder.head" in news.messages
    ours, theirs = weights(out), weights(parent.path)
    same = {name for name in ours if ours[name].shape == theirs[name].shape}
    assert {name for name in ours if name not in same} == {"decoder.head.weight", "decoder.head.bias"}
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in same)


def test_minutes_end_a_fit(tmp_path):
    recipe = QUICK.model_copy(update={"epochs": None, "minutes": 0.03, "patience": None})
    news, began = News(), time.monotonic()
    result = fit([blob(0)], UNET, recipe, tmp_path / "m.safetensors", report=news)
    assert 1.5 < result.seconds < 8
    assert time.monotonic() - began < 20
    lasts = [progress.values["seconds_left"] for progress in news if "seconds_left" in progress.values]
    assert len(result.history) >= 5  # a curve to look at
    assert lasts == sorted(lasts, reverse=True)
    assert lasts[-1] == 0
    assert news[-1].done == news[-1].total == 100


def test_minutes_include_the_scores_which_take_a_small_part_of_them(tmp_path, monkeypatch):
    quick, calls = HeldOut.score, []

    def slow(*arguments):
        calls.append(time.sleep(0.25))
        return quick(*arguments)

    monkeypatch.setattr(HeldOut, "score", slow)
    recipe = QUICK.model_copy(
        update={"epochs": None, "steps_per_epoch": None, "minutes": 0.1, "patience": None}
    )
    result = fit([blob(0)], UNET, recipe, tmp_path / "m.safetensors")
    assert 4.5 < result.seconds < 6.6
    assert 2 <= len(calls) <= 5
    assert result.after["dice"] == max(entry["val_dice"] for entry in result.history)


def test_the_final_score_looks_at_all_where_an_epochs_did_not(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_diamant.engine.loop.EPOCH_PIXELS", 64 * 64)
    recipe = QUICK.model_copy(update={"val_fraction": 0.5})
    result = fit([blob(index) for index in range(6)], UNET, recipe, tmp_path / "m.safetensors")
    assert result.held_out == "3 of 6 images"
    assert result.after["loss"] not in {entry["val_loss"] for entry in result.history}


def test_states_that_are_slow_to_save_are_saved_less_often(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr("napari_diamant.engine.train.save_state", lambda *_: saved.append(time.sleep(0.5)))
    recipe = QUICK.model_copy(update={"epochs": 12})
    result = fit([blob(0)], UNET, recipe, tmp_path / "m.safetensors")
    assert len(result.history) == 12
    assert 1 <= len(saved) <= 4


def test_a_fit_that_gets_no_better_stops_early(tmp_path):
    recipe = QUICK.model_copy(update={"epochs": 30, "patience": 3, "learning_rate": 1e-12})
    result = fit([blob(index) for index in range(5)], UNET, recipe, tmp_path / "m.safetensors")
    assert len(result.history) < 12


def test_without_a_held_out_part_the_last_weights_are_kept(tmp_path):
    recipe = QUICK.model_copy(update={"val_fraction": 0})
    result = fit([blob(0)], UNET, recipe, tmp_path / "m.safetensors")
    assert result.after == {}
    assert result.held_out == "nothing was held out"
    assert "val_dice" not in result.history[0]


def test_news_bear_what_the_window_draws(tmp_path):
    news = News()
    fit([blob(index) for index in range(5)], UNET, QUICK, tmp_path / "m.safetensors", report=news)
    epochs = [progress.values for progress in news if "epoch" in progress.values]
    assert [values["epoch"] for values in epochs] == [1, 2]
    wanted = {"epochs", "loss", "val_loss", "val_dice", "seconds_left", "images_per_second", "device"}
    assert all(wanted <= values.keys() for values in epochs)
    assert all(values["epochs"] == 2 for values in epochs)
    json.dumps([progress.as_json() for progress in news])


def test_bf16_learns_as_well_and_hands_out_float32(tmp_path):
    recipe = QUICK.model_copy(update={"precision": "bf16"})
    result = fit([blob(0)], UNET, recipe, tmp_path / "m.safetensors")
    assert all(value.dtype == torch.float32 for value in weights(result.path).values())
    assert np.isfinite(result.history[-1]["loss"])


@pytest.mark.parametrize("control", ["shuffled", "constant"])
def test_the_controls_of_the_maps_can_be_trained(tmp_path, control):
    model = MODEL.model_copy(update={"map_control": control})
    result = fit(task()[0], model, QUICK, tmp_path / "m.safetensors", attention=AttentionConfig())
    assert result.card.backbone_hash == "0" * 64
    assert result.card.attention == AttentionConfig()


@pytest.mark.parametrize(
    ("labels", "words"),
    [(np.full((64, 64), IGNORED), "got none"), (np.ones((64, 64)), "got 'foreground' alone")],
)
def test_nothing_to_tell_apart_is_refused(tmp_path, labels, words):
    with pytest.raises(UserError, match=words):
        fit([replace(blob(0), labels=labels.astype(np.int16))], UNET, QUICK, tmp_path / "m.safetensors")


def test_a_crop_the_network_cannot_take_is_refused_with_one_it_can(tmp_path):
    with pytest.raises(UserError, match=r"multiple of 4 .* got 50\. Take 48"):
        fit([blob(0)], UNET, QUICK.model_copy(update={"crop": 50}), tmp_path / "m.safetensors")
