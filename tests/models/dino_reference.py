"""DINO's vision transformer once more, written from its published description and nothing of this package.

It works on a state dict under DINO's names, forms attention rows explicitly (in chunks, so that the matrix of
15,877 tokens never has to fit at once) and follows ``get_last_selfattention``. Slow and plain on purpose.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

LAYER_NORM_EPSILON = 1e-6


def random_state(width: int, patch: int, depth: int, grid: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under DINO's names, large enough for attention that prefers some patches to others."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, spread: float) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * spread

    state = {
        "cls_token": draw(1, 1, width, spread=0.5),
        "pos_embed": draw(1, 1 + grid * grid, width, spread=0.5),
        "patch_embed.proj.weight": draw(width, 3, patch, patch, spread=0.5 / patch),
        "patch_embed.proj.bias": draw(width, spread=0.1),
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }
    for index in range(depth):
        block = f"blocks.{index}."
        for norm in ("norm1", "norm2"):
            state[f"{block}{norm}.weight"] = 1 + draw(width, spread=0.1)
            state[f"{block}{norm}.bias"] = draw(width, spread=0.1)
        layers = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for layer, (out, into) in layers.items():
            spread = 1.2 / math.sqrt(into * width)
            state[f"{block}{layer}.weight"] = draw(out * width, into * width, spread=spread)
            state[f"{block}{layer}.bias"] = draw(out * width, spread=0.1)
    return state


def last_cls_attention(state: dict[str, torch.Tensor], image: torch.Tensor, heads: int) -> torch.Tensor:
    """Attention ``(B, heads, H / p, W / p)`` of the class token in the last block, its own column dropped."""
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    tokens = _tokens(state, image)
    for index in range(depth - 1):
        block = f"blocks.{index}."
        query, key, value = _query_key_value(state, block, tokens, heads)
        mixed = torch.cat([_attention(rows, key) @ value for rows in query.split(1024, dim=2)], dim=2)
        joined = mixed.transpose(1, 2).flatten(2)
        tokens = tokens + _linear(state, f"{block}attn.proj", joined)
        hidden = _linear(state, f"{block}mlp.fc1", _norm(state, f"{block}norm2", tokens))
        tokens = tokens + _linear(state, f"{block}mlp.fc2", functional.gelu(hidden))
    query, key, _ = _query_key_value(state, f"blocks.{depth - 1}.", tokens, heads)
    patch = state["patch_embed.proj.weight"].shape[-1]
    row = _attention(query[:, :, :1], key)[:, :, 0, 1:]
    return row.reshape(len(image), heads, image.shape[2] // patch, image.shape[3] // patch)


def _tokens(state: dict[str, torch.Tensor], image: torch.Tensor) -> torch.Tensor:
    weight = state["patch_embed.proj.weight"]
    patch = weight.shape[-1]
    patches = functional.conv2d(image, weight, state["patch_embed.proj.bias"], stride=patch)
    tokens = torch.cat((state["cls_token"].expand(len(image), -1, -1), patches.flatten(2).mT), dim=1)
    return tokens + _positions(state["pos_embed"], *patches.shape[2:])


def _positions(learned: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    count = learned.shape[1] - 1
    if rows * columns == count and rows == columns:
        return learned
    side = int(math.sqrt(count))
    square = learned[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / math.sqrt(count), (columns + 0.1) / math.sqrt(count))
    resampled = functional.interpolate(square, scale_factor=scale, mode="bicubic")
    assert resampled.shape[2:] == (rows, columns)
    return torch.cat((learned[:, :1], resampled.flatten(2).mT), dim=1)


def _query_key_value(
    state: dict[str, torch.Tensor], block: str, tokens: torch.Tensor, heads: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    joined = _linear(state, f"{block}attn.qkv", _norm(state, f"{block}norm1", tokens))
    batch, count, triple = joined.shape
    return joined.reshape(batch, count, 3, heads, triple // 3 // heads).permute(2, 0, 3, 1, 4).unbind(0)


def _attention(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return torch.softmax(query @ key.mT * key.shape[-1] ** -0.5, dim=-1)


def _norm(state: dict[str, torch.Tensor], name: str, tokens: torch.Tensor) -> torch.Tensor:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return functional.layer_norm(tokens, weight.shape, weight, bias, LAYER_NORM_EPSILON)


def _linear(state: dict[str, torch.Tensor], name: str, tokens: torch.Tensor) -> torch.Tensor:
    return functional.linear(tokens, state[f"{name}.weight"], state[f"{name}.bias"])
