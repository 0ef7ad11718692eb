"""One image through one network: whole where it fits, else window by window with Gaussian blending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_diamant.config import ModelCard
from napari_diamant.engine.device import precision
from napari_diamant.engine.upsampling import to_pixels
from napari_diamant.types import AttentionMaps, Progress, Report

OVERLAP = 0.25
"""Part of a window's side that neighbours share: at 1024 pixels twice the reach of a network of depth 4."""

SIGMA = 0.125
"""Width of the Gaussian that a window is weighted by, as part of its side."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What a network looks at: one image, and the maps that lie on it.

    Attributes
    ----------
    unit
        ``(Y, X, C)`` in [0, 1], with the network's number of channels.
    maps
        Of the whole image, scaled to [0, 1] as in training; None for a network that takes none.
    heads
        Heads that are switched on; the others' maps are zero, as head dropout makes them in training.
    card
        The network's card.
    """

    unit: NDArray[np.float32]
    maps: AttentionMaps | None
    heads: tuple[int, ...]
    card: ModelCard

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (int(self.unit.shape[0]), int(self.unit.shape[1]))

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width that the network can take, the next above `shape`."""
        multiple = self.card.model.size_multiple
        height, width = (max(2 * multiple, ceil(side / multiple) * multiple) for side in self.shape)
        return height, width

    def image(self) -> Tensor:
        """Give the image ``(1, C, H, W)``, mirrored below and on the right until the network can take it."""
        beyond = [(0, side - there) for side, there in zip(self.padded, self.shape, strict=True)]
        padded = np.pad(self.unit, (*beyond, (0, 0)), mode="reflect")
        return torch.from_numpy(padded).permute(2, 0, 1)[None]

    def maps_in(self, rows: slice, columns: slice) -> Tensor | None:
        """Give the maps ``(1, M, h, w)`` of a window of `image`, at the resolution of pixels."""
        if self.maps is None or self.card.attention is None:
            return None
        bottom, right = min(rows.stop, self.shape[0]), min(columns.stop, self.shape[1])
        box = (rows.start, columns.start, bottom, right)
        inside = to_pixels(self.maps, box, self.card.attention.upsampling)
        values = np.pad(inside, ((0, 0), (0, rows.stop - bottom), (0, columns.stop - right)), mode="reflect")
        values[[head for head in range(len(values)) if head not in self.heads]] = 0
        return torch.from_numpy(values)[None]


@dataclass
class _Look:
    """The network as the sliding window calls it: one window in, its probabilities out."""

    network: nn.Module
    scene: Scene
    device: torch.device
    total: int
    report: Report
    done: int = 0

    def __call__(self, window: Tensor, places: Sequence[Sequence[slice]]) -> Tensor:
        """Give ``(1, K, h, w)`` float32 for the window ``(1, C, h, w)`` that lies at ``places[0]``."""
        maps = self.scene.maps_in(places[0][2], places[0][3])
        maps = None if maps is None else maps.to(self.device)
        dtype = precision("auto", self.device)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32):
            logits = self.network(window, maps)
        self.done += 1
        self.report(Progress("Prediction", self.done, self.total))
        return torch.softmax(logits.float(), dim=1)


def segment(network: nn.Module, scene: Scene, device: torch.device, tile: int, report: Report) -> Tensor:
    """Give the probabilities of every class at every pixel.

    With batch normalisation windows agree with the whole image but for what a window's border hides. Instance
    and group normalisation take the window's statistics in place of the image's; blending spreads that
    difference over the overlap, so that it shows no seam.

    Parameters
    ----------
    network
        In evaluation mode, on `device`.
    scene
        The image and its maps.
    device
        Where windows are computed; they are joined in the computer's main memory.
    tile
        Longest side that is computed at once, in pixels.
    report
        Hears of every window.

    Returns
    -------
    Tensor
        ``(K, Y, X)`` float32 on the CPU: 4 K bytes per pixel of the image, whatever the tile.
    """
    image = scene.image()
    multiple = scene.card.model.size_multiple
    (tall, down), (wide, across) = (windows(side, tile, multiple) for side in scene.padded)
    look = _Look(network, scene, device, down * across, report)
    with torch.inference_mode():
        if look.total == 1:
            joined = look(image.to(device), [[slice(1), slice(None), slice(0, tall), slice(0, wide)]]).cpu()
        else:
            joined = _slide(image, (tall, wide), look)
    probabilities: Tensor = joined[0, :, : scene.shape[0], : scene.shape[1]]
    return probabilities


def _slide(image: Tensor, size: tuple[int, int], look: _Look) -> Tensor:
    """Join the windows of an image, each weighted by a Gaussian around its centre."""
    # Imported here because it takes seconds, and most images need no windows.
    from monai.inferers import sliding_window_inference

    # MONAI's own weights stop falling at a thousandth, which leaves seams near the image's borders.
    down, across = (torch.signal.windows.gaussian(side, std=SIGMA * side) for side in size)
    joined: Tensor = sliding_window_inference(
        image,
        size,
        sw_batch_size=1,
        predictor=look,
        overlap=OVERLAP,
        roi_weight_map=torch.outer(down, across),
        sw_device=look.device,
        device="cpu",
        with_coord=True,
    )
    return joined


def windows(side: int, tile: int, multiple: int) -> tuple[int, int]:
    """Choose equal windows along one axis: their length, and how many there are.

    The fewest windows of at most `tile` pixels are taken and then made as short as they can be, which for an
    image slightly longer than a tile nearly halves the work.

    Parameters
    ----------
    side
        Length to cover, a multiple of `multiple`.
    tile
        Longest window, in pixels; rounded down to what the network can take.
    multiple
        What a network's sides are multiples of.
    """
    longest = max(2 * multiple, tile // multiple * multiple)
    if side <= longest:
        return side, 1
    step = 1 - OVERLAP
    count = 1 + ceil((side - longest) / int(longest * step))
    length = max(2 * multiple, ceil(side / (1 + step * (count - 1)) / multiple) * multiple)
    return length, 1 + ceil((side - length) / int(length * step))
