"""U-Net with one encoder: the baseline, and the controls that give one encoder image, maps or both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diamant.config import ModelConfig
from napari_diamant.models.blocks import ConvBlock, Decoder, Encoder
from napari_diamant.models.entrance import MapEntrance, channels_last, check_image


class UNet(nn.Module):
    """U-Net of Ronneberger et al. (2015) with padding and normalisation.

    Level i is ``width · 2^i`` channels wide, the bottleneck ``width · 2^depth``: 7.76 M parameters at
    width 32, depth 4. What the encoder sees is ``config.unet_input``: the image, the attention maps, or both
    concatenated as channels.

    Examples
    --------
    >>> network = UNet(ModelConfig(arch="unet"))
    >>> network(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 2, 64, 64])
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(config.depth)]
        bottom = config.width * 2**config.depth
        channels = {
            "image": config.image_channels,
            "maps": config.maps,
            "image+maps": config.image_channels + config.maps,
        }[config.unet_input]
        self.entrance = MapEntrance(config.maps, config.map_control, config.head_dropout)
        self.encoder = Encoder(channels, widths, config.norm)
        self.bottleneck = ConvBlock(widths[-1], bottom, config.norm)
        self.decoder = Decoder(widths, widths, bottom, len(config.classes), config.norm)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Segment a batch.

        Parameters
        ----------
        image
            ``(B, C, H, W)`` in [0, 1].
        maps
            ``(B, M, H, W)`` in [0, 1]; not looked at when the encoder sees the image alone.

        Returns
        -------
        Tensor
            Logits ``(B, K, H, W)``.

        Raises
        ------
        UserError
            When a size or a number of channels does not fit.
        """
        check_image(image, self.config)
        skips, bottom = self.encoder(channels_last(self._input(image, maps)))
        logits: Tensor = self.decoder(skips, self.bottleneck(bottom))
        return logits

    def _input(self, image: Tensor, maps: Tensor | None) -> Tensor:
        if self.config.unet_input == "image":
            return image
        seen: Tensor = self.entrance(maps, image)
        return seen if self.config.unet_input == "maps" else torch.cat([image, seen], dim=1)
