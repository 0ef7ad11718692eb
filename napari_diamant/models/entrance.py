"""What stands between a batch and a network: checks, memory layout, controls and head dropout."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from napari_diamant.config import ModelConfig
from napari_diamant.errors import UserError


class MapEntrance(nn.Module):
    """Where attention maps enter a network: checks them, applies the control, drops random heads in training.

    Parameters
    ----------
    count
        Number of maps.
    control
        ``"constant"`` replaces each map by its mean. ``"shuffled"`` gives each image of a training batch the
        maps of another one; outside training an image comes alone, so there the caller gives other maps.
    dropout
        Probability with which a head is set to zero in training; one head of each image always stays.
    """

    def __init__(self, count: int, control: Literal["none", "shuffled", "constant"], dropout: float) -> None:
        super().__init__()
        self.count, self.control, self.dropout = count, control, dropout

    def forward(self, maps: Tensor | None, image: Tensor) -> Tensor:
        """Give the maps as the network sees them, ``(B, M, H, W)``.

        Raises
        ------
        UserError
            When maps are missing or do not lie on the image, or cannot be shuffled.
        """
        expected = (image.shape[0], self.count, *image.shape[2:])
        if maps is None or tuple(maps.shape) != expected:
            came = "none" if maps is None else str(tuple(maps.shape))
            raise UserError(
                f"This network takes attention maps of shape {expected}, got {came}. "
                f"Use a backbone with {self.count} heads."
            )
        if self.control == "constant":
            maps = maps.mean(dim=(2, 3), keepdim=True).expand_as(maps)
        if self.control == "shuffled" and self.training:
            maps = maps[derangement(len(maps), maps.device)]
        if self.training and self.dropout > 0:
            maps = maps * kept_heads(len(maps), self.count, self.dropout, maps.device)[:, :, None, None]
        return maps


def derangement(count: int, device: torch.device) -> Tensor:
    """Draw a random order of `count` things in which none keeps its place: one cycle through all of them.

    Raises
    ------
    UserError
        When there is only one thing.
    """
    if count < 2:
        raise UserError(
            f"Shuffled maps need at least 2 images in every batch, got {count}. Raise batch_size to 2."
        )
    cycle = torch.randperm(count, device=device)
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)
    return order


def kept_heads(batch: int, heads: int, dropout: float, device: torch.device) -> Tensor:
    """Draw which heads each image keeps: boolean ``(batch, heads)``, at least one per row."""
    chance = torch.rand(batch, heads, device=device)
    # The head with the highest draw is the last to go, so it is the one that stays when all would.
    return (chance >= dropout) | (chance == chance.amax(dim=1, keepdim=True))


def check_image(image: Tensor, config: ModelConfig) -> None:
    """Refuse a batch of images that the network of a configuration cannot take.

    The bottleneck must be larger than one pixel, because a single pixel has no spread to normalise by.

    Parameters
    ----------
    image
        What is about to enter, ``(B, C, H, W)``.
    config
        The network's configuration.

    Raises
    ------
    UserError
        With the number of channels to convert to, or the size to pad to.
    """
    channels, multiple = config.image_channels, config.size_multiple
    if image.ndim != 4 or image.shape[1] != channels:
        raise UserError(
            f"This network takes images of shape (batch, {channels}, height, width), "
            f"got {tuple(image.shape)}. Convert the image to {channels} channels."
        )
    size = tuple(image.shape[2:])
    padded = tuple(max(2 * multiple, -(-side // multiple) * multiple) for side in size)
    if size != padded:
        raise UserError(
            f"Height and width must be multiples of {multiple} and at least {2 * multiple}, got {size}. "
            f"Pad to {padded}."
        )


def channels_last(x: Tensor) -> Tensor:
    """Lay a batch out with its channels innermost, as convolutions on CPUs and NVIDIA cards read it fastest.

    The layout passes from layer to layer, so laying out what enters a network is enough; it changes no value.
    """
    return x if x.device.type == "mps" else x.contiguous(memory_format=torch.channels_last)
