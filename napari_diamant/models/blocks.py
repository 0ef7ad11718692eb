"""The parts both networks are made of: convolution blocks, encoder, decoder, and the entrance of the maps."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Literal

import torch
from torch import Tensor, nn

from napari_diamant.config import Norm
from napari_diamant.errors import UserError

GROUPS = 8
"""Most groups of a group normalisation; fewer where the channels do not divide by it."""


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Make the normalisation that follows a convolution, with a learned scale and shift per channel.

    Parameters
    ----------
    norm
        ``"instance"`` scales each image and channel by itself, which suits small batches of unlike images.
    channels
        Channels of the layer before.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(gcd(GROUPS, channels), channels)
    return nn.InstanceNorm2d(channels, affine=True)


class ConvBlock(nn.Sequential):
    """Two times 3×3 convolution, normalisation, ReLU; before a normalisation a bias would be lost."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            norm_layer(norm, outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            norm_layer(norm, outputs),
            nn.ReLU(inplace=True),
        )


class Encoder(nn.Module):
    """A convolution block per level, each followed by a 2×2 max-pooling.

    Parameters
    ----------
    channels
        Channels of the input.
    widths
        Channels of each level, the finest first.
    norm
        Normalisation after each convolution.
    """

    def __init__(self, channels: int, widths: Sequence[int], norm: Norm) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.levels = nn.ModuleList(ConvBlock(a, b, norm) for a, b in zip(inputs, widths, strict=True))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Give the features of every level, and the pooled features of the last one.

        Parameters
        ----------
        x
            ``(B, C, H, W)``.

        Returns
        -------
        skips, bottom
            ``[(B, w_i, H/2^i, W/2^i)]``, and ``(B, w_last, H/2^depth, W/2^depth)``.
        """
        skips = []
        for level in self.levels:
            skips.append(level(x))
            x = self.pool(skips[-1])
        return skips, x


class Decoder(nn.Module):
    """U-Net's way up: 2×2 transposed convolution, skip, convolution block per level; then a 1×1 head.

    A transposed convolution whose stride equals its kernel never overlaps itself, so it cannot leave the
    checkerboard of uneven overlap, and it mixes channels in the same step.

    Parameters
    ----------
    widths
        Channels of each level's output, the finest first.
    skips
        Channels of each level's skip connection.
    bottom
        Channels that come from the bottleneck.
    classes
        Channels of the logits.
    norm
        Normalisation after each convolution.
    """

    def __init__(
        self, widths: Sequence[int], skips: Sequence[int], bottom: int, classes: int, norm: Norm
    ) -> None:
        super().__init__()
        inputs = [*widths[1:], bottom]
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in zip(inputs, widths, strict=True)
        )
        self.levels = nn.ModuleList(ConvBlock(w + s, w, norm) for w, s in zip(widths, skips, strict=True))
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, skips: Sequence[Tensor], x: Tensor) -> Tensor:
        """Give the logits ``(B, K, H, W)`` from the skips, the finest first, and the bottleneck."""
        for up, level, skip in zip(reversed(self.ups), reversed(self.levels), reversed(skips), strict=True):
            x = level(torch.cat([skip, up(x)], dim=1))
        logits: Tensor = self.head(x)
        return logits


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


def check_size(image: Tensor, multiple: int) -> None:
    """Refuse an image that cannot be halved `depth` times, or whose bottleneck would be a single pixel.

    A single pixel has no spread, so instance normalisation is not defined on it.

    Raises
    ------
    UserError
        With the size to pad to.
    """
    height, width = image.shape[-2:]
    least = 2 * multiple
    if height % multiple or width % multiple or min(height, width) < least:
        padded = tuple(max(least, -(-side // multiple) * multiple) for side in (height, width))
        raise UserError(
            f"Height and width must be multiples of {multiple} and at least {least}, got {(height, width)}. "
            f"Pad to {padded}."
        )


def check_channels(image: Tensor, channels: int) -> None:
    """Refuse an image batch that is not ``(B, channels, H, W)``.

    Raises
    ------
    UserError
        With the shape that came.
    """
    if image.ndim != 4 or image.shape[1] != channels:
        raise UserError(
            f"This network takes images of shape (batch, {channels}, height, width), "
            f"got {tuple(image.shape)}. Convert the image to {channels} channels."
        )
