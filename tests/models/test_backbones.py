"""Backbones: equality with DINO's own rule and with timm, and files from anywhere."""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path

import pytest
import timm
import torch
from dino_reference import last_cls_attention, random_state
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from timm.utils import AttentionExtract

from napari_diamant.config import STAND_IN, BackboneConfig
from napari_diamant.errors import UserError
from napari_diamant.models.backbones import BACKBONES, Backbone, load_backbone
from napari_diamant.models.vit import dino_positions

CPU = torch.device("cpu")
STAND_IN_HASH = "e540fcab8234830048d355159c7af653a8f984e90b2ab5700a70985ad3380b78"


def load(name: str = STAND_IN, weights: str | Path | None = None, seed: int = 0) -> Backbone:
    return load_backbone(
        BackboneConfig(name=name, weights=None if weights is None else str(weights), seed=seed), CPU
    )


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A normalised image with structure at several scales."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, max(1, height // 40), max(1, width // 40), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return smooth + 0.3 * torch.randn(1, 3, height, width, generator=generator)


def saved(path: Path, state: dict[str, torch.Tensor], **metadata: str) -> Path:
    save_file({name: value.contiguous() for name, value in state.items()}, path, metadata=metadata)
    return path


def small_state(depth: int = 2, patch: int = 8, width: int = 128) -> dict[str, torch.Tensor]:
    return random_state(width, patch, depth, grid=6)


@pytest.mark.parametrize(
    ("patch", "height", "width", "depth"),
    [
        (16, 224, 224, 12),
        (16, 480, 480, 12),
        (16, 256, 384, 12),
        (16, 1008, 1008, 2),
        (8, 224, 224, 12),
        (8, 480, 480, 3),
        (8, 256, 384, 12),
        (8, 1008, 1008, 2),  # one block in full and the row of the next: 15,876 tokens squared take seconds
    ],
)
def test_maps_equal_those_of_dinos_published_transformer(
    tmp_path: Path, patch: int, height: int, width: int, depth: int
) -> None:
    state = random_state(384, patch, depth, grid=224 // patch)
    backbone = load(weights=saved(tmp_path / "dino.safetensors", state))
    image = picture(height, width)
    with torch.no_grad():
        expected = last_cls_attention(state, image, heads=6)
    found = backbone.cls_attention(image)
    cells = found[0, 0].numel()
    assert expected.max() * cells > 2, "the weights are too small to test anything"
    assert torch.max(torch.abs(found - expected)) <= 1e-5
    assert torch.max(torch.abs(found - expected)) * cells <= 2e-3


def test_timms_own_rule_for_positions_would_not_be_equal() -> None:
    backbone = load("dino-vits16", "random")
    embedding = backbone.vit.pos_embed
    by_timm = resample_abs_pos_embed(embedding, [30, 30], [14, 14], num_prefix_tokens=1)
    assert torch.max(torch.abs(by_timm - dino_positions(embedding, 30, 30))) > 1e-4
    assert torch.equal(dino_positions(embedding, 14, 14), embedding)


@pytest.mark.parametrize("name", ["dinov2-vits14-reg", "dinov3-vits16"])
def test_registers_and_rotation_give_timms_attention(name: str) -> None:
    backbone, timms = load(name, "random"), load(name, "random")
    with torch.no_grad():  # the starting weights are too even to tell maps apart
        for layer in (*backbone.vit.blocks, *timms.vit.blocks):
            layer.attn.qkv.weight.mul_(3)
    for layer in timms.vit.blocks:
        layer.attn.fused_attn = False
    outlets = [f"blocks.{block}.attn.attn_drop" for block in (5, 11)]
    extract = AttentionExtract(timms.vit, names=outlets, method="hook")
    for rows, columns in ((16, 16), (9, 20)):
        image = picture(rows * backbone.patch, columns * backbone.patch)
        with torch.no_grad():
            full = extract(image)
        for block, outlet in zip((5, -1), outlets, strict=True):
            found = backbone.cls_attention(image, block)
            expected = full[outlet][:, :, 0, backbone.vit.num_prefix_tokens :].reshape(found.shape)
            assert expected.max() * rows * columns > 1.5
            assert torch.max(torch.abs(found - expected)) <= 1e-5


def test_softmax_stays_float32_under_bf16() -> None:
    backbone = load()
    image = picture(64, 96)
    exact = backbone.cls_attention(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = backbone.cls_attention(image)
    assert rounded.dtype == torch.float32
    assert torch.unique(rounded).numel() > 500, "bf16 softmax weights would fall into a few values"
    assert torch.corrcoef(torch.stack((exact.flatten(), rounded.flatten())))[0, 1] > 0.99


def test_a_chosen_block_is_read_and_one_beyond_the_last_is_refused() -> None:
    backbone = load()
    image = picture(64, 64)
    assert torch.equal(backbone.cls_attention(image, 5), backbone.cls_attention(image))
    assert not torch.allclose(backbone.cls_attention(image, 0), backbone.cls_attention(image))
    with pytest.raises(UserError, match="blocks 0 to 5"):
        backbone.cls_attention(image, 6)


def test_sizes_that_are_no_multiple_of_the_patch_name_the_fix() -> None:
    with pytest.raises(UserError, match=r"multiples of 8, got \(250, 33\). Pad to \(256, 40\)"):
        load().cls_attention(torch.zeros(1, 3, 250, 33))


def test_frozen_weights_stay_frozen_inside_a_network_in_training() -> None:
    network = torch.nn.ModuleDict({"backbone": load()}).train()
    assert not any(module.training for module in network["backbone"].modules())
    assert not any(values.requires_grad for values in network.parameters())


def test_the_stand_in_is_the_same_on_every_machine_and_says_that_it_is_random() -> None:
    backbone = load()
    assert backbone.weights_hash == STAND_IN_HASH
    assert not backbone.trained
    assert "RANDOM" in backbone.words
    assert (backbone.patch, backbone.heads, backbone.blocks) == (8, 6, 6)
    assert load(seed=1).weights_hash != backbone.weights_hash


@pytest.mark.parametrize("name", [name for name, spec in BACKBONES.items() if spec.width < 768])
def test_every_architecture_has_a_random_control(name: str) -> None:
    backbone = load(name, "random")
    spec = BACKBONES[name]
    assert not backbone.trained
    assert "RANDOM" in backbone.words
    assert (backbone.heads, backbone.blocks) == (spec.heads, spec.depth)
    maps = backbone.cls_attention(picture(3 * spec.patch, 5 * spec.patch))
    assert maps.shape == (1, spec.heads, 3, 5)
    assert 0.5 < maps[0, 0].sum() <= 1


@pytest.mark.parametrize("name", [name for name, spec in BACKBONES.items() if spec.timm_name])
def test_the_catalogue_says_what_timm_has(name: str) -> None:
    spec = BACKBONES[name]
    published = timm.get_pretrained_cfg(spec.timm_name)
    licence = published.license.replace("-", " ").lower()
    assert published.hf_hub_id
    assert licence == spec.licence.replace("-", " ").lower()
    assert spec.opt_in == ("dinov3" in name)


def wrapped(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": wrapped(state, "module.")},
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"teacher": wrapped(state, "module.backbone.")},
        lambda state: {
            "student": wrapped({name: value * 2 for name, value in state.items()}, "module.backbone."),
            "teacher": wrapped(state, "backbone.") | {"head.mlp.0.weight": torch.zeros(4, 4)},
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
            "args": argparse.Namespace(arch="vit_small", patch_size=8),
        },
    ],
    ids=["plain", "state_dict", "model", "teacher", "DINO's training checkpoint"],
)
def test_checkpoints_are_unwrapped_and_the_teacher_is_taken(tmp_path: Path, wrap) -> None:
    state = small_state()
    torch.save(wrap(state), tmp_path / "weights.pth")
    plain = load(weights=saved(tmp_path / "plain.safetensors", state))
    found = load(weights=tmp_path / "weights.pth")
    assert found.weights_hash == plain.weights_hash
    assert found.trained
    assert "weights.pth" in found.words


def test_an_unknown_plain_transformer_is_told_by_its_shapes(tmp_path: Path) -> None:
    state = small_state(depth=3, patch=4, width=96)
    backbone = load(weights=saved(tmp_path / "mine.safetensors", state, heads="4"))
    assert (backbone.name, backbone.patch, backbone.heads, backbone.blocks) == ("mine", 4, 4, 3)
    image = picture(20, 28)
    assert torch.allclose(backbone.cls_attention(image), last_cls_attention(state, image, 4), atol=1e-6)


@pytest.mark.parametrize("name", ["dino-vits8", "dinov2-vits14", "dinov2-vits14-reg", "dinov3-vits16"])
def test_a_file_of_a_known_architecture_gets_its_name_back(tmp_path: Path, name: str) -> None:
    original = load(name, "random", seed=7)
    path = saved(tmp_path / "weights.safetensors", original.vit.state_dict())
    found = load(weights=path)
    assert (found.name, found.weights_hash) == (name, original.weights_hash)
    assert found.trained


def test_dinov2_files_of_meta_are_translated(tmp_path: Path) -> None:
    original = load("dinov2-vits14-reg", "random", seed=7)
    state = dict(original.vit.state_dict())
    cls_position = torch.full((1, 1, 384), 0.25)
    meta = {
        name: value for name, value in state.items() if name not in ("reg_token", "pos_embed", "cls_token")
    }
    meta["register_tokens"] = state["reg_token"]
    meta["cls_token"] = state["cls_token"] - cls_position
    meta["pos_embed"] = torch.cat((cls_position, state["pos_embed"]), dim=1)
    meta["mask_token"] = torch.zeros(1, 384)
    torch.save(meta, tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    image = picture(70, 98)
    found = load("dinov2-vits14-reg", tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    assert torch.allclose(found.cls_attention(image), original.cls_attention(image), atol=1e-6)


def test_dinov3_files_of_meta_are_translated_in_silence(tmp_path: Path, capfd) -> None:
    original = load("dinov3-vits16", "random", seed=7)
    names = {"reg_token": "storage_tokens", "gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma"}
    meta = {}
    for name, value in original.vit.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        meta[name] = value
        if name.endswith("attn.qkv.weight"):
            meta[name.replace("weight", "bias")] = torch.zeros(len(value))
    torch.save(meta, tmp_path / "dinov3.pth")
    found = load("dinov3-vits16", tmp_path / "dinov3.pth")
    assert found.weights_hash == original.weights_hash
    assert capfd.readouterr().out == ""


def test_a_file_of_another_shape_names_the_backbone_that_fits(tmp_path: Path) -> None:
    path = saved(tmp_path / "s16.safetensors", random_state(384, 16, 12, grid=14))
    with pytest.raises(UserError, match="Choose --backbone dino-vits16"):
        load("dino-vits8", path)
    with pytest.raises(UserError, match=STAND_IN):
        load("dino-vits8", saved(tmp_path / "odd.safetensors", small_state()))


def test_an_incomplete_file_says_what_is_missing(tmp_path: Path) -> None:
    state = small_state()
    del state["blocks.1.mlp.fc1.weight"]
    with pytest.raises(UserError, match=r"lacks 1 of the \d+ tensors.*blocks\.1\.mlp\.fc1\.weight"):
        load(weights=saved(tmp_path / "part.safetensors", state))


class Hostile:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_a_hostile_pickle_runs_nothing_and_gives_one_sentence(tmp_path: Path) -> None:
    trace = tmp_path / "was-run"
    torch.save({"teacher": small_state(), "args": Hostile(trace)}, tmp_path / "hostile.pth")
    with pytest.raises(UserError, match="could run code"):
        load(weights=tmp_path / "hostile.pth")
    assert not trace.exists()
    torch.load(tmp_path / "hostile.pth", weights_only=False)
    assert trace.exists(), "the file was not hostile at all"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a file of weights", b"PK\x03\x04" + bytes(200)])
def test_a_damaged_file_gives_one_sentence(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^weights{suffix}"):
        load(weights=path)


@pytest.mark.parametrize("kept", [0.2, 0.7, 0.99])
def test_a_truncated_file_gives_one_sentence(tmp_path: Path, kept: float) -> None:
    torch.save(small_state(), tmp_path / "weights.pth")
    saved(tmp_path / "weights.safetensors", small_state())
    for path in (tmp_path / "weights.pth", tmp_path / "weights.safetensors"):
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
        with pytest.raises(UserError, match=rf"^{path.name}"):
            load(weights=path)


def test_files_without_a_transformer_or_for_other_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no vision transformer"):
        load(weights=saved(tmp_path / "unet.safetensors", {"down.weight": torch.zeros(3)}))
    state = small_state()
    state["patch_embed.proj.weight"] = torch.zeros(128, 1, 8, 8)
    with pytest.raises(UserError, match="3 channels"):
        load(weights=saved(tmp_path / "grey.safetensors", state))
    with pytest.raises(UserError, match="no file of weights"):
        load(weights=tmp_path / "nowhere.pth")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="dino-vits16"):
        load("dyno-vits16")


def test_a_licence_must_be_accepted_before_its_weights_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAPARI_DIAMANT_ACCEPT_DINOV3", raising=False)
    with pytest.raises(UserError, match="NAPARI_DIAMANT_ACCEPT_DINOV3=1"):
        load("dinov3-vits16")


@pytest.mark.parametrize("name", ["dino-vits8", "dinov3-vits16"])
def test_without_internet_the_sentence_says_which_file_to_bring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("NAPARI_DIAMANT_ACCEPT_DINOV3", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(UserError, match=rf"model\.safetensors.*--backbone {name} --weights FILE"):
        load(name)


def test_published_weights_come_from_the_cache_without_asking_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = load("dino-vits16", "random", seed=3)
    commit = "0" * 40
    cache = tmp_path / "models--timm--vit_small_patch16_224.dino"
    (cache / "snapshots" / commit).mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    saved(cache / "snapshots" / commit / "model.safetensors", original.vit.state_dict())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", None)
    found = load("dino-vits16")
    assert found.weights_hash == original.weights_hash
    assert found.trained
    assert "Apache-2.0" in found.words
