"""The parts both networks are made of: normalisation, convolution block, encoder, decoder."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_diamant.config import Norm

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
    return InstanceNorm(channels, affine=True)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation that keeps channels-last memory on a CPU.

    torch's own goes through channels-first memory there and makes every convolution convert back. Batch
    normalisation of one image at a time is the same formula, and one with a channels-last kernel.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Give each image and channel mean 0 and variance 1, then the learned scale and shift."""
        if input.device.type != "cpu":
            return super().forward(input)
        images = [
            functional.batch_norm(image, None, None, self.weight, self.bias, training=True, eps=self.eps)
            for image in torch.split(input, 1)
        ]
        return images[0] if len(images) == 1 else torch.cat(images)


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
    checkerboard of uneven overlap, and it mixes channels in the same step. Its four taps start equal (Aitken
    et al., arXiv 1707.02937), so that a network which has seen little draws no pattern of single pixels.

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
        self.ups = nn.ModuleList(_doubling(a, b) for a, b in zip(inputs, widths, strict=True))
        self.levels = nn.ModuleList(ConvBlock(w + s, w, norm) for w, s in zip(widths, skips, strict=True))
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, skips: Sequence[Tensor], x: Tensor) -> Tensor:
        """Give the logits ``(B, K, H, W)`` from the skips, the finest first, and the bottleneck."""
        for up, level, skip in zip(reversed(self.ups), reversed(self.levels), reversed(skips), strict=True):
            x = level(torch.cat([skip, up(x)], dim=1))
        logits: Tensor = self.head(x)
        return logits


def _doubling(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Make a transposed convolution that doubles height and width, and starts as nearest interpolation."""
    up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
    with torch.no_grad():
        up.weight.copy_(up.weight[..., :1, :1].expand_as(up.weight))
    return up
