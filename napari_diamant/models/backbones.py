"""Frozen vision transformers by name: published ones, files of one's own, and random controls."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import timm
import torch
from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache
from timm.models.eva import checkpoint_filter_fn as eva_filter
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer import checkpoint_filter_fn as vit_filter
from torch import Tensor

from napari_diamant.config import STAND_IN, BackboneConfig
from napari_diamant.errors import UserError
from napari_diamant.models.backbone_specs import ACCEPT_DINOV3, BACKBONES, BackboneSpec
from napari_diamant.models.foreign_weights import ForeignWeights, read_weights
from napari_diamant.models.vit import Backbone

__all__ = ["BACKBONES", "RANDOM", "Backbone", "BackboneSpec", "load_backbone"]

RANDOM = "random"
"""Value of ``BackboneConfig.weights`` for the control "maps of a random transformer", of any architecture."""


def load_backbone(config: BackboneConfig, device: torch.device) -> Backbone:
    """Make the frozen transformer that a configuration names.

    ``weights=None`` takes the published weights (timm's cache, else a download) or, for the stand-in, the
    seeded initialisation; ``weights="random"`` the seeded initialisation of any architecture; anything else
    is a file. A file under the stand-in's name may hold any transformer: its shapes decide.

    Raises
    ------
    UserError
        When the name is unknown, the licence is not accepted, or the weights cannot be had or do not fit.
    """
    spec = BACKBONES.get(config.name)
    if spec is None:
        raise UserError(f"There is no backbone {config.name!r}. Choose one of: {', '.join(BACKBONES)}.")
    if config.weights == RANDOM or (config.weights is None and spec.timm_name is None):
        backbone = _random(config.name, spec, config.seed)
    elif config.weights is None:
        backbone = _published(config.name, spec)
    else:
        backbone = _from_file(config.name, spec, read_weights(Path(config.weights).expanduser()))
    return backbone.to(device)


def _random(name: str, spec: BackboneSpec, seed: int) -> Backbone:
    vit = _build(spec)
    _initialise(vit, seed)
    words = f"RANDOM weights, nothing learned: {spec.title}, seed {seed}"
    return Backbone(vit, name, spec, words, trained=False)


def _published(name: str, spec: BackboneSpec) -> Backbone:
    if spec.opt_in and os.environ.get(ACCEPT_DINOV3) != "1":
        raise UserError(
            f"{spec.title} comes under its own licence ({spec.licence}), which you have to accept. Read it, "
            f"then set the environment variable {ACCEPT_DINOV3}=1, or give the file with --weights FILE."
        )
    vit = _build(spec)
    _fill(vit, spec, read_weights(_fetch(name, spec)))
    return Backbone(vit, name, spec, f"{spec.title}, published weights ({spec.licence})", trained=True)


def _fetch(name: str, spec: BackboneSpec) -> Path:
    """Give the published file, from the cache that timm uses too, else by download."""
    published = timm.get_pretrained_cfg(spec.timm_name)
    repository, file = published.hf_hub_id, published.hf_hub_filename or "model.safetensors"
    # Asking the cache first lets a computer without internet start at once instead of after the retries.
    cached = try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    chatter = logging.getLogger("huggingface_hub")
    level = chatter.level
    chatter.setLevel(logging.ERROR)  # its warnings about retries would bury the sentence below
    try:
        return Path(hf_hub_download(repository, file))
    except OSError as error:
        raise UserError(
            f"The weights of {spec.title} ({spec.download_mb} MB) could not be fetched "
            f"({type(error).__name__}). Fetch {hf_hub_url(repository, file)} on a computer with internet "
            f"access, then give the file: --backbone {name} --weights FILE."
        ) from error
    finally:
        chatter.setLevel(level)


def _from_file(name: str, spec: BackboneSpec, weights: ForeignWeights) -> Backbone:
    found = weights.spec()
    if found.form != spec.form:
        twin = next((key for key, value in BACKBONES.items() if value.form == found.form), None)
        if name != STAND_IN:
            fits = twin or f"{STAND_IN}, which takes any plain ViT"
            raise UserError(
                f"{weights.path.name} does not hold a {spec.title}, but: {found.title}. "
                f"Choose --backbone {fits}."
            )
        if twin is None and (found.registers or found.rotary):
            raise UserError(
                f"{weights.path.name} holds a transformer of an unknown kind: {found.title}, "
                f"{found.registers} registers. Give one of {', '.join(BACKBONES)}, or a plain ViT."
            )
        name, spec = (twin, BACKBONES[twin]) if twin else (weights.path.stem, found)
    if weights.heads:
        spec = replace(spec, heads=weights.heads)
    vit = _build(spec, weights.grid)
    _fill(vit, spec, weights)
    return Backbone(vit, name, spec, f"{spec.title}, weights from {weights.path.name}", trained=True)


def _build(spec: BackboneSpec, grid: int | None = None) -> Any:
    """Make the empty transformer; `grid` is the side of its learned square of positions, in patches."""
    options: dict[str, Any] = {"num_classes": 0, "dynamic_img_size": True}
    if grid is not None:
        options["img_size"] = grid * spec.patch
    if not spec.rotary:
        options["weight_init"] = "skip"  # a second per ViT-S for values that are replaced at once
    if spec.timm_name is not None:
        return timm.create_model(spec.timm_name, pretrained=False, **options)
    return VisionTransformer(
        patch_size=spec.patch,
        embed_dim=spec.width,
        depth=spec.depth,
        num_heads=spec.heads,
        init_values=1.0 if spec.layer_scale else None,
        **options,
    )


def _fill(vit: Any, spec: BackboneSpec, weights: ForeignWeights) -> None:
    """Put a file's tensors into the transformer; other people's names are translated by timm."""
    translate = eva_filter if spec.rotary else vit_filter
    # timm's translation of DINOv3 prints, and standard output may be a pipe of JSON lines.
    with contextlib.redirect_stdout(io.StringIO()):
        state: dict[str, Tensor] = translate(dict(weights.state), vit)
    wanted = vit.state_dict()
    wrong = [key for key, value in wanted.items() if key not in state or state[key].shape != value.shape]
    if wrong:
        raise UserError(
            f"{weights.path.name} lacks {len(wrong)} of the {len(wanted)} tensors of a {spec.title}, "
            f"for example {wrong[0]}. Give a complete checkpoint of this architecture."
        )
    vit.load_state_dict({key: state[key] for key in wanted})


def _initialise(vit: Any, seed: int) -> None:
    """Fill a transformer with the random weights that DINO starts from, the same on every machine.

    Standard deviation 0.02 for tokens, positions and linear layers; biases 0; norms and layer scales 1; the
    patch convolution within ``1 / sqrt(fan in)``. Values come from numpy's frozen legacy generator, each
    tensor from its own stream, and are uniform instead of normal, because a normal draw goes through the
    machine's own logarithm and may differ in the last bit.
    """
    for name, values in vit.named_parameters():
        if name.endswith("bias"):
            bound, centre = 0.0, 0.0
        elif values.ndim == 1:
            bound, centre = 0.0, 1.0
        elif values.ndim == 4:
            bound, centre = float(values[0].numel() ** -0.5), 0.0
        else:
            bound, centre = 0.02 * 3**0.5, 0.0
        stream = np.random.RandomState([seed, crc32(name.encode())])
        drawn = centre + bound * (2 * stream.random_sample(tuple(values.shape)) - 1)
        with torch.no_grad():
            values.copy_(torch.from_numpy(drawn.astype(np.float32)))
