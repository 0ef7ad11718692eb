"""Where a fit starts: from new weights, or from those of another model as far as they fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from napari_diamant.config import ModelCard, ModelConfig
from napari_diamant.engine import checkpoint
from napari_diamant.models.build import build_network


@dataclass(frozen=True, eq=False)
class Start:
    """The network before the first step.

    Attributes
    ----------
    network
        On the CPU.
    card
        Of the model it was taken from; None for new weights.
    parent
        Identity of that model.
    renewed
        Names of parameters that did not fit and were drawn anew.
    """

    network: nn.Module
    card: ModelCard | None = None
    parent: str | None = None
    renewed: tuple[str, ...] = ()


def start(model: ModelConfig, seed: int, init: Path | None) -> Start:
    """Build the network, with seeded new weights or those of `init` where name and shape agree.

    Raises
    ------
    UserError
        When `init` is not a model.
    """
    torch.manual_seed(seed)
    network = build_network(model)
    if init is None:
        return Start(network)
    parent, card = checkpoint.load(init, torch.device("cpu"))
    theirs, ours = parent.state_dict(), network.state_dict()
    fitting = {
        name: value for name, value in theirs.items() if name in ours and value.shape == ours[name].shape
    }
    network.load_state_dict(fitting, strict=False)
    renewed = tuple(name for name in ours if name not in fitting)
    return Start(network, card, checkpoint.identity(init), renewed)
