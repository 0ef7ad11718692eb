"""From a configuration to a network, and how large it would be."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import nn

from napari_diamant.config import ModelConfig
from napari_diamant.models import NETWORKS


def build_network(config: ModelConfig) -> nn.Module:
    """Build the network a configuration describes; equal configurations build equal graphs.

    The weights are drawn with torch's seeded generator.

    Parameters
    ----------
    config
        The whole choice of architecture, widths, inputs and controls.

    Returns
    -------
    nn.Module
        ``forward(image (B, C, H, W), maps (B, M, H, W) | None) -> logits (B, K, H, W)``.
    """
    module, name = NETWORKS[config.arch].split(":")
    network: nn.Module = getattr(import_module(module), name)(config)
    return network


def parameters(config: ModelConfig) -> int:
    """Count the trainable parameters of a configuration without making them."""
    with torch.device("meta"):
        network = build_network(config)
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def match_width(config: ModelConfig, other: ModelConfig) -> ModelConfig:
    """Choose the width at which one architecture has about as many parameters as another has.

    Widths are whole numbers and the count grows with their square, so two networks agree within about
    ``1 / width``: 2 % or better from a width of 50 on, and often earlier.

    Parameters
    ----------
    config
        The configuration whose width is chosen.
    other
        The configuration whose number of parameters is to be met.

    Returns
    -------
    ModelConfig
        `config` with the width of the nearest count.
    """
    wanted = parameters(other)
    low, high = 1, 2
    while parameters(config.model_copy(update={"width": high})) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if parameters(config.model_copy(update={"width": middle})) < wanted:
            low = middle
        else:
            high = middle
    candidates = [config.model_copy(update={"width": width}) for width in (low, high)]
    return min(candidates, key=lambda candidate: abs(parameters(candidate) - wanted))
