"""A model file rebuilds its network alone, and nothing else is taken for one."""

from __future__ import annotations

import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from napari_diamant.config import AttentionConfig, ModelCard, ModelConfig, TrainConfig
from napari_diamant.engine import checkpoint
from napari_diamant.errors import UserError
from napari_diamant.models.build import build_network

CONFIGURATIONS = {
    "diamant": ModelConfig(width=4, depth=2),
    "unet-batch": ModelConfig(arch="unet", norm="batch", width=4, depth=2, classes=("a", "b", "c")),
}


@pytest.fixture(params=CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def card(request):
    return ModelCard(
        model=request.param,
        attention=AttentionConfig(),
        train=TrainConfig(epochs=3),
        backbone_hash="ab" * 32,
        learned_from=("h1", "h2"),
        scores={"dice": 0.5},
    )


@pytest.fixture
def network(card):
    torch.manual_seed(0)
    network = build_network(card.model)
    network(*inputs(card))  # moves the running statistics away from where every network begins
    return network.eval()


@pytest.fixture
def path(tmp_path, network, card):
    path = tmp_path / "models" / "model.safetensors"
    checkpoint.save(path, network, card)
    return path


def inputs(card):
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.rand(2, n, 16, 16, generator=generator) for n in (card.model.image_channels, card.model.maps)
    )


def test_a_loaded_model_predicts_what_the_saved_one_did(path, network, card):
    loaded, loaded_card = checkpoint.load(path)
    assert loaded_card == card
    assert not loaded.training
    assert torch.equal(loaded(*inputs(card)), network(*inputs(card)))


def test_a_loaded_model_can_go_on_learning(path, card):
    loaded, _ = checkpoint.load(path)
    loaded.train()(*inputs(card)).sum().backward()
    assert all(weight.grad is not None for weight in loaded.parameters())


def test_the_card_is_read_without_the_weights_and_lies_beside_them_for_people(path, card):
    assert checkpoint.read_card(path) == card
    assert ModelCard.model_validate(json.loads(path.with_suffix(".json").read_text("utf-8"))) == card


def test_only_the_card_inside_the_file_counts(path, card):
    path.with_suffix(".json").write_text("{}")
    assert checkpoint.load(path)[1] == card


def test_half_precision_halves_the_file_and_barely_moves_the_output(path, tmp_path, network, card):
    small = tmp_path / "small.safetensors"
    checkpoint.save(small, network, card, half=True)
    assert small.stat().st_size < 0.65 * path.stat().st_size
    loaded, _ = checkpoint.load(small)
    assert all(weight.dtype == torch.float32 for weight in loaded.parameters())
    assert torch.allclose(loaded(*inputs(card)), network(*inputs(card)), atol=2e-2)


def test_weights_beyond_half_precision_are_stored_whole(tmp_path, network, card):
    with torch.no_grad():
        network.decoder.head.bias.fill_(1e6)
    checkpoint.save(tmp_path / "m.safetensors", network, card, half=True)
    assert checkpoint.load(tmp_path / "m.safetensors")[0].decoder.head.bias.tolist()[0] == 1e6


@pytest.mark.parametrize("half", [False, True])
def test_a_file_and_the_network_from_it_have_one_identity(tmp_path, network, card, half):
    path = tmp_path / "m.safetensors"
    checkpoint.save(path, network, card, half=half)
    loaded, _ = checkpoint.load(path)
    assert checkpoint.identity(path) == checkpoint.identity(loaded)
    assert (checkpoint.identity(path) == checkpoint.identity(network)) == (not half)


def test_the_identity_depends_on_the_weights_and_on_nothing_else(tmp_path, path, network, card):
    other_card = card.model_copy(update={"created": "2020-01-01T00:00:00Z"})
    checkpoint.save(
        tmp_path / "renamed.safetensors", network.to(memory_format=torch.channels_last), other_card
    )
    assert checkpoint.identity(tmp_path / "renamed.safetensors") == checkpoint.identity(path)
    with torch.no_grad():
        network.decoder.head.bias[0] += 1e-3
    checkpoint.save(tmp_path / "moved.safetensors", network, card)
    assert checkpoint.identity(tmp_path / "moved.safetensors") != checkpoint.identity(path)


def test_a_failed_save_leaves_the_old_model_whole(path, network, card, monkeypatch):
    before = path.read_bytes()

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with torch.no_grad():
        network.decoder.head.bias.fill_(9)
    with pytest.raises(UserError, match="free space"):
        checkpoint.save(path, network, card)
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {"model.safetensors", "model.json"}


@pytest.mark.parametrize("read", [checkpoint.read_card, checkpoint.load, checkpoint.identity])
@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "folder", "missing"])
def test_a_damaged_file_is_one_sentence(path, read, damage):
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"truncated": whole[:-100], "empty": b"", "text": b"not a model " * 50}[damage])
    with pytest.raises(UserError, match=r"A model must be .*, got .*model\.safetensors") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "broken-in"),)

    for name in ("model.pth", "model.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Hostile()))
        torch.save({"weights": Hostile()}, tmp_path / f"torch-{name}")
        for file in (name, f"torch-{name}"):
            with pytest.raises(UserError, match="must be a whole safetensors file"):
                checkpoint.load(tmp_path / file)
    assert not (tmp_path / "broken-in").exists()


def test_safetensors_of_another_program_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="must hold its card"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{}", "model: Field required"),
        ("no json", "Invalid JSON"),
        ('{"model": {"width": -1}}', "model.width"),
        ('{"model": {}, "format": 2}', "format 2"),
        ('{"model": {"arch": "os.system"}}', "model.arch"),
    ],
)
def test_a_card_that_cannot_be_understood_says_which_field(tmp_path, text, what):
    path = tmp_path / "card.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"card": text})
    with pytest.raises(UserError, match="card must be of format 1 or older") as error:
        checkpoint.load(path)
    assert what in str(error.value)


@pytest.mark.parametrize(
    "change", [{"width": 5}, {"width": 10**6}, {"depth": 3}, {"norm": "group", "arch": "unet"}]
)
def test_weights_that_do_not_fit_their_card_are_refused(tmp_path, change):
    model = ModelConfig(width=4, depth=2)
    card = ModelCard(model=model.model_copy(update=change))
    checkpoint.save(tmp_path / "m.safetensors", build_network(model), card)
    with pytest.raises(UserError, match="weights must fit the network"):
        checkpoint.load(tmp_path / "m.safetensors")
