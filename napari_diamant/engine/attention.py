"""Attention maps of an image of any kind and size."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from napari_diamant.config import AttentionConfig
from napari_diamant.engine.attention_cache import AttentionCache
from napari_diamant.engine.attention_tiles import Box, Tiling, blend
from napari_diamant.engine.device import precision
from napari_diamant.errors import UserError
from napari_diamant.models.vit import Backbone
from napari_diamant.preprocess import IMAGENET_MEAN, IMAGENET_STD, as_channels, to_unit
from napari_diamant.types import Array, AttentionMaps, Progress, Report, silent

__all__ = ["AttentionCache", "attend"]

MIN_SIDE = 8
"""Images with fewer pixels along a side hold no structure that a patch could show."""


def attend(
    pixels: Array, config: AttentionConfig, backbone: Backbone, report: Report = silent
) -> AttentionMaps:
    """Compute how much the class token attends to each patch of an image.

    Parameters
    ----------
    pixels
        ``(Y, X)`` or ``(Y, X, C)``, any real type; see `napari_diamant.preprocess` for what becomes of
        intensities, alpha and channels.
    config
        Size, tiles, channels and block. ``config.backbone`` is not looked at: `backbone` is what it names.
    backbone
        The frozen transformer; its device computes, in bf16 where that is fast.
    report
        Hears of every tile.

    Returns
    -------
    AttentionMaps
        One cell per patch. The image is continued by reflection to whole patches, so that every pixel has a
        cell; DINO's script crops it instead.

    Raises
    ------
    UserError
        When a side is shorter than 8 pixels, or pixels, channels or block cannot be used.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise UserError(
            f"Height and width must be at least {MIN_SIDE} pixels, got {(height, width)}. "
            "Open a larger image."
        )
    image = _resized(as_channels(to_unit(pixels), 3, config.channels), config.size)
    patch = backbone.patch
    rows, columns = -(-image.shape[0] // patch), -(-image.shape[1] // patch)
    tiling = Tiling(rows, columns, max(1, config.tile // patch), config.overlap // patch)
    tiles = []
    for number, box in enumerate(tiling.boxes):
        report(Progress("Attention", number, len(tiling.boxes)))
        tiles.append(_attend_tile(image, box, config.block, backbone))
    report(Progress("Attention", len(tiles), len(tiles)))
    return AttentionMaps(
        maps=blend(tiles, tiling),
        scale=(patch * height / image.shape[0], patch * width / image.shape[1]),
        image_shape=(height, width),
        backbone=backbone.name,
        weights_hash=backbone.weights_hash,
        trained=backbone.trained,
        block=backbone.block_index(config.block),
    )


def _resized(image: NDArray[np.float32], size: Literal["native"] | int) -> NDArray[np.float32]:
    """Bring the shorter side to `size`: bilinear with antialiasing, as torchvision's ``Resize`` does."""
    if size == "native":
        return image
    height, width = image.shape[:2]
    shorter = min(height, width)
    target = (int(size * height / shorter), int(size * width / shorter))
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    resized = functional.interpolate(planes, target, mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def _attend_tile(image: NDArray[np.float32], box: Box, block: int, backbone: Backbone) -> NDArray[np.float32]:
    """Give the maps ``(head, h, w)`` of one tile, times its number of cells; `box` counts cells."""
    top, left, bottom, right = (edge * backbone.patch for edge in box)
    pixels = _continued(image[top:bottom, left:right], bottom - top, right - left)
    normal = (pixels - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
    device = next(backbone.parameters()).device
    planes = torch.from_numpy(normal).permute(2, 0, 1)[None].to(device)  # (1, 3, H, W)
    dtype = precision("auto", device)
    with torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
        weights = backbone.cls_attention(planes, block)[0]
    return (weights * weights[0].numel()).cpu().numpy()


def _continued(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Continue an image below and to the right by reflection, or by its edge where it is too small."""
    down, along = height - image.shape[0], width - image.shape[1]
    mode: Literal["reflect", "edge"] = (
        "reflect" if down < image.shape[0] and along < image.shape[1] else "edge"
    )
    return np.pad(image, ((0, down), (0, along), (0, 0)), mode=mode)
