"""From an image and its attention maps to a mask, whatever the image's size and whatever the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from napari_diamant.config import ModelCard
from napari_diamant.engine.checkpoint import identity
from napari_diamant.engine.sliding import Scene, segment
from napari_diamant.errors import UserError
from napari_diamant.preprocess import as_channels, scale_maps, to_unit
from napari_diamant.types import Array, AttentionMaps, Prediction, Progress, Report, silent

LEAST_TILE = 256
"""Shortest window, in pixels, that is tried when memory runs out: smaller ones show too little context."""


def predict(
    network: nn.Module,
    card: ModelCard,
    pixels: Array,
    maps: AttentionMaps | None,
    *,
    heads: Sequence[int] | None = None,
    device: torch.device | None = None,
    tile: int = 1024,
    report: Report = silent,
) -> Prediction:
    """Segment an image.

    Parameters
    ----------
    network, card
        As `napari_diamant.engine.checkpoint.load` gives them.
    pixels
        ``(Y, X)`` or ``(Y, X, C)``, any real type, any size.
    maps
        Attention maps of this image, made as ``card.attention`` says; not looked at when the network takes
        none. For the control ``map_control="shuffled"`` the caller gives another image's maps, of any size:
        they are laid over this image.
    heads
        Heads that stay switched on, the others' maps become zero; None for all of them.
    device
        Where to compute; the network is moved there. None takes where it is.
    tile
        Images with a longer side are computed in overlapping windows of at most this many pixels.
    report
        Hears of every window, and when memory runs out and smaller windows or the CPU are tried.

    Returns
    -------
    Prediction
        Labels are the most probable class of each pixel; probabilities are float16. The model is named by the
        `napari_diamant.engine.checkpoint.identity` of its weights.

    Raises
    ------
    UserError
        When maps are missing or were made otherwise, heads do not exist, or memory does not suffice.
    """
    chosen = chosen_heads(heads, card)
    unit = as_channels(to_unit(pixels), card.model.image_channels)
    fitting = fitting_maps(maps, card, (int(unit.shape[0]), int(unit.shape[1])))
    scene = Scene(unit, fitting, chosen, card)
    probabilities = _within_memory(network, scene, device or _device_of(network), tile, report)
    if not bool(torch.isfinite(probabilities).all()):
        raise UserError("A model must give finite numbers, got NaN. Its weights are damaged: train it again.")
    labels = probabilities.numpy().argmax(axis=0)  # seven times as fast as torch's own along the first axis
    return Prediction(
        labels=labels.astype(np.min_scalar_type(len(card.model.classes) - 1)),
        model_id=identity(network),
        probabilities=probabilities.half().numpy(),
        heads=None if heads is None else chosen,
    )


def chosen_heads(heads: Sequence[int] | None, card: ModelCard) -> tuple[int, ...]:
    """Give the heads that are switched on, in order; None stands for all the network takes.

    Raises
    ------
    UserError
        When a head does not exist.
    """
    there = card.model.maps if card.model.uses_maps else 0
    if heads is None:
        return tuple(range(there))
    if there == 0:
        raise UserError(
            f"This model looks at no attention maps, so heads cannot be chosen, got {tuple(heads)}. "
            "Leave the heads out, or choose a model that takes maps."
        )
    if any(not 0 <= head < there for head in heads):
        raise UserError(
            f"Heads must lie between 0 and {there - 1}, got {tuple(heads)}. "
            f"Choose among the model's {there} heads."
        )
    return tuple(sorted({int(head) for head in heads}))


def fitting_maps(maps: AttentionMaps | None, card: ModelCard, shape: tuple[int, int]) -> AttentionMaps | None:
    """Give the maps that the network is to see, in [0, 1], or say why these cannot be used."""
    if not card.model.uses_maps:
        return None
    if maps is None:
        raise UserError("This model takes attention maps, got none. Compute the image's attention first.")
    if card.attention is None:
        raise UserError(
            "The card of a model that takes maps must say how they are made. Train the model again."
        )
    if maps.heads != card.model.maps:
        raise UserError(
            f"This model takes {card.model.maps} attention maps, got {maps.heads} of {maps.backbone}. "
            f"Compute the attention with {card.attention.backbone.name}."
        )
    if card.backbone_hash is not None and maps.weights_hash != card.backbone_hash:
        raise UserError(
            f"Maps must come from the backbone the model was trained with ({card.attention.backbone.name}, "
            f"weights {card.backbone_hash[:12]}), got {maps.backbone}, weights {maps.weights_hash[:12]}. "
            "Compute the attention with those weights."
        )
    if card.model.map_control == "shuffled":
        maps = maps.stretched(shape)
    if maps.image_shape != shape:
        raise UserError(
            f"Attention maps must belong to their image: it has {shape} pixels, the maps were computed for "
            f"{maps.image_shape}. Compute them again."
        )
    return replace(maps, maps=scale_maps(maps.maps, card.attention.scaling))


def _within_memory(
    network: nn.Module, scene: Scene, device: torch.device, tile: int, report: Report
) -> Tensor:
    """Compute with windows as large as memory allows, on the CPU when the device has too little."""
    training = network.training
    try:
        for place, size in attempts(device, min(tile, max(scene.padded))):
            probabilities = _attempt(network, scene, place, size, report)
            if probabilities is not None:
                return probabilities
            # The failed attempt's tensors are gone only once its frame is, so this cannot move into it.
            torch.cuda.empty_cache()
    finally:
        network.to(device).train(training)
    raise UserError(
        f"Prediction needs more memory than is free for an image of {scene.shape} pixels. "
        "Close other programs, or cut the image."
    )


def attempts(device: torch.device, tile: int) -> Iterator[tuple[torch.device, int]]:
    """Give where and how large to try: halved windows on the device, then the same on the CPU."""
    for place in [device] if device.type == "cpu" else [device, torch.device("cpu")]:
        size = tile
        yield place, size
        while size > LEAST_TILE:
            size = max(LEAST_TILE, size // 2)
            yield place, size


def _attempt(
    network: nn.Module, scene: Scene, device: torch.device, tile: int, report: Report
) -> Tensor | None:
    try:
        return segment(network.to(device).eval(), scene, device, tile, report)
    except (RuntimeError, MemoryError) as fault:
        if not _is_out_of_memory(fault):
            raise
        report(Progress(f"Out of memory with windows of {tile} pixels on {device.type}; trying with less"))
        return None


def _is_out_of_memory(fault: Exception) -> bool:
    """Tell a lack of memory from a defect; only CUDA has a type of its own for it."""
    words = str(fault).lower()
    lacking = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(fault, (torch.OutOfMemoryError, MemoryError)) or any(word in words for word in lacking)


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
