"""DIAMANT: one encoder for the image, one for the attention maps of a frozen transformer, one decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diamant.config import ModelConfig
from napari_diamant.models.blocks import ConvBlock, Decoder, Encoder
from napari_diamant.models.entrance import MapEntrance, channels_last, check_image


class Diamant(nn.Module):
    """Dual encoder, an independent reconstruction of the idea of Yeganeh et al. (arXiv 2304.14571).

    Each encoder is f, 2f, 4f, 4f wide (the last level does not widen), so that both together enter the
    bottleneck as wide as a U-Net's only encoder, and at the same ``width`` the two networks have about the
    same number of parameters: at width 32, depth 4 it is 7.95 M (7.46 M with ``fusion="bottleneck"``) against
    7.76 M. With ``fusion="skips"`` the decoder sees both encoders at every level; with ``"bottleneck"`` the
    maps join at the bottleneck alone. With ``second_input="image"`` the second encoder sees the image again
    and no maps are needed.

    Examples
    --------
    >>> network = Diamant(ModelConfig())
    >>> network(torch.rand(1, 3, 64, 64), torch.rand(1, 6, 64, 64)).shape
    torch.Size([1, 2, 64, 64])
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(config.depth)]
        narrow = [*widths[:-1], widths[max(config.depth - 2, 0)]]
        bottom = config.width * 2**config.depth
        second = config.maps if config.second_input == "maps" else config.image_channels
        skips = [2 * width for width in narrow] if config.fusion == "skips" else narrow
        self.entrance = MapEntrance(config.maps, config.map_control, config.head_dropout)
        self.image_encoder = Encoder(config.image_channels, narrow, config.norm)
        self.map_encoder = Encoder(second, narrow, config.norm)
        self.bottleneck = ConvBlock(2 * narrow[-1], bottom, config.norm)
        self.decoder = Decoder(widths, skips, bottom, len(config.classes), config.norm)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Segment a batch.

        Parameters
        ----------
        image
            ``(B, C, H, W)`` in [0, 1].
        maps
            ``(B, M, H, W)`` in [0, 1]; not looked at with ``second_input="image"``.

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
        second = self.entrance(maps, image) if self.config.uses_maps else image
        skips, bottom = self.image_encoder(channels_last(image))
        map_skips, map_bottom = self.map_encoder(channels_last(second))
        if self.config.fusion == "skips":
            skips = [torch.cat(pair, dim=1) for pair in zip(skips, map_skips, strict=True)]
        logits: Tensor = self.decoder(skips, self.bottleneck(torch.cat([bottom, map_bottom], dim=1)))
        return logits
