"""What a fit reads: images kept small in memory, and the windows that are cut out of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_diamant.config import AttentionConfig, ModelConfig
from napari_diamant.engine.upsampling import to_pixels
from napari_diamant.errors import UserError
from napari_diamant.preprocess import as_channels, scale_maps, to_unit
from napari_diamant.types import IGNORED, Array, AttentionMaps

Window = tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.int16]]
"""Image ``(C, h, w)`` in [0, 1], maps ``(M, h, w)`` in [0, 1] or None, labels ``(h, w)``."""

Batch = tuple[Tensor, Tensor | None, Tensor]
"""The same as tensors with a leading batch axis."""

ANCHORS = 4096
"""Most pixels of a class that are remembered as places to cut around: enough to reach all of an image."""

CLASS_TURNS = 1 / 3
"""Share of the crops that are cut around a class chosen with equal chance, so that rare classes are seen."""


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """One image to learn from, as the caller hands it in.

    Attributes
    ----------
    name
        For messages.
    content_hash
        Of the image; equal hashes are the same image and are never held out and learned from at once.
    pixels
        ``(Y, X)`` or ``(Y, X, C)`` of any type.
    labels
        ``(Y, X)`` int16, `IGNORED` where nothing is known.
    maps
        Attention maps, computed beforehand; None for networks that take none.
    """

    name: str
    content_hash: str
    pixels: Array
    labels: NDArray[np.int16]
    maps: AttentionMaps | None = None


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """One image with its intensities brought to the network's range, kept in one or two bytes per value.

    Attributes
    ----------
    name, content_hash, labels
        As in `TrainingImage`.
    maps
        Scaled to [0, 1] for the network, still a value per cell.
    unit
        ``(Y, X, C)``: uint8 with 255 standing for 1 where the file had 8 bits, float16 in [0, 1] otherwise.
    attention
        How maps are brought to pixels.
    """

    name: str
    content_hash: str
    unit: Array
    labels: NDArray[np.int16]
    maps: AttentionMaps | None
    attention: AttentionConfig | None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (int(self.labels.shape[0]), int(self.labels.shape[1]))

    def window(self, top: int, left: int, height: int, width: int) -> Window:
        """Cut a window, which may reach beyond the image: mirrored there, and `IGNORED` in the labels."""
        rows, columns = self.shape
        # The part that lies on the image is at least one pixel, so that there is something to mirror.
        y0, x0 = min(max(top, 0), rows - 1), min(max(left, 0), columns - 1)
        y1, x1 = max(min(top + height, rows), y0 + 1), max(min(left + width, columns), x0 + 1)
        pad = ((y0 - top, top + height - y1), (x0 - left, left + width - x1))
        values = self.unit[y0:y1, x0:x1].astype(np.float32).transpose(2, 0, 1)
        image = values / np.float32(255) if self.unit.dtype == np.uint8 else values
        labels = np.pad(self.labels[y0:y1, x0:x1], pad, constant_values=IGNORED)
        return _mirror(image, pad), self._maps((y0, x0, y1, x1), pad), labels

    def _maps(
        self, box: tuple[int, int, int, int], pad: tuple[tuple[int, int], tuple[int, int]]
    ) -> NDArray[np.float32] | None:
        if self.maps is None or self.attention is None:
            return None
        return _mirror(to_pixels(self.maps, box, self.attention.upsampling), pad)


def _mirror(values: NDArray[np.float32], pad: tuple[tuple[int, int], tuple[int, int]]) -> NDArray[np.float32]:
    return np.pad(values, ((0, 0), *pad), mode="reflect") if np.any(pad) else values


def prepare(image: TrainingImage, model: ModelConfig, attention: AttentionConfig | None) -> PreparedImage:
    """Bring an image to the network's range and channels; its maps are dropped when the network takes none.

    Raises
    ------
    UserError
        When labels or maps do not fit the image or the network.
    """
    shape = image.pixels.shape[:2]
    if image.labels.shape != shape:
        raise UserError(
            f"Labels must be as large as their image, got {image.labels.shape} on {shape} for {image.name}. "
            "Give the mask of this image."
        )
    known = image.labels[image.labels != IGNORED]
    if known.size and (known.min() < 0 or known.max() >= len(model.classes)):
        wrong = known.min() if known.min() < 0 else known.max()
        raise UserError(
            f"Labels must lie between 0 and {len(model.classes) - 1} for the classes "
            f"{', '.join(model.classes)}, got {wrong} in {image.name}. "
            "Name a class for every label, or mend the mask."
        )
    unit = as_channels(to_unit(image.pixels), model.image_channels)
    small = (
        np.round(unit * 255).astype(np.uint8) if image.pixels.dtype.itemsize == 1 else unit.astype(np.float16)
    )
    maps = _checked_maps(image, model, attention) if model.uses_maps else None
    return PreparedImage(
        image.name, image.content_hash, small, image.labels.astype(np.int16), maps, attention
    )


def _checked_maps(
    image: TrainingImage, model: ModelConfig, attention: AttentionConfig | None
) -> AttentionMaps:
    count = None if image.maps is None else image.maps.heads
    if image.maps is None or attention is None or count != model.maps:
        raise UserError(
            f"This network takes {model.maps} attention maps of every image, "
            f"got {count or 'none'} for {image.name}. Choose a backbone with {model.maps} heads."
        )
    return replace(image.maps, maps=scale_maps(image.maps.maps, attention.scaling))


def borrow_maps(images: Sequence[PreparedImage]) -> list[PreparedImage]:
    """Give every image the maps of the next one, stretched to its size: the control "shuffled maps"."""
    return [
        replace(image, maps=other.maps and other.maps.stretched(image.shape))
        for image, other in zip(images, [*images[1:], *images[:1]], strict=True)
    ]


class CropSampler:
    """Windows around labelled pixels, every image in its turn; the n-th window depends on `seed` and n alone.

    So nothing has to be remembered for a fit to be continued where it stopped.

    Parameters
    ----------
    images
        What is learned from; each has labelled pixels.
    crop
        Side of the crops that the labelled pixel is to lie in.
    window
        Side of what is cut, `crop` or more.
    seed
        Of the order and of the places.
    """

    def __init__(self, images: Sequence[PreparedImage], crop: int, window: int, seed: int) -> None:
        self.images, self.crop, self.side, self.seed = list(images), crop, window, seed
        self._anchors = [_anchors(image.labels) for image in self.images]

    def batch(self, first: int, count: int) -> Batch:
        """Cut the windows `first` to ``first + count``.

        Returns
        -------
        image, maps, labels
            ``(B, C, side, side)`` and ``(B, M, side, side)`` float32, ``(B, side, side)`` int16, on the CPU.
        """
        image, maps, labels = zip(
            *(self._window(index) for index in range(first, first + count)), strict=True
        )
        stacked = None if maps[0] is None else torch.from_numpy(np.stack(maps))
        return torch.from_numpy(np.stack(image)), stacked, torch.from_numpy(np.stack(labels))

    def batches(self, first: int, end: int, size: int, ahead: int = 0) -> Iterator[Batch]:
        """Cut the batches of `size` windows with the numbers `first` to `end`, some `ahead` in threads."""
        cut = partial(self.batch, count=size)
        if ahead == 0:
            yield from (cut(number * size) for number in range(first, end))
            return
        with ThreadPoolExecutor(ahead) as pool:
            waiting: deque[Future[Batch]] = deque()
            for number in range(first, end):
                waiting.append(pool.submit(cut, number * size))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _window(self, index: int) -> Window:
        turn, place = divmod(index, len(self.images))
        chosen = int(np.random.default_rng((self.seed, 0, turn)).permutation(len(self.images))[place])
        rng = np.random.default_rng((self.seed, 1, index))
        image = self.images[chosen]
        anchor = _draw(self._anchors[chosen], rng)
        reach = self.crop // 3
        centre = anchor + rng.integers(-reach, reach + 1, size=2)
        top, left = (
            self._inside(int(at), length) - self.side // 2
            for at, length in zip(centre, image.shape, strict=True)
        )
        return image.window(top, left, self.side, self.side)

    def _inside(self, centre: int, length: int) -> int:
        """Move a crop's centre so that the crop lies on the image, or in its middle when it is the larger."""
        half = self.crop // 2
        return length // 2 if length < self.crop else min(max(centre, half), length - (self.crop - half))


@dataclass(frozen=True, eq=False)
class _Anchors:
    """Some labelled pixels of each class that an image has, and the classes' shares of its labelled area."""

    places: tuple[NDArray[np.intp], ...]  # each (n, 2)
    shares: NDArray[np.float64]


def _anchors(labels: NDArray[np.int16]) -> _Anchors:
    places, sizes = [], []
    for label in np.unique(labels[labels != IGNORED]):
        flat = np.flatnonzero(labels == label)
        some = flat[:: max(1, flat.size // ANCHORS)]
        places.append(np.stack(np.unravel_index(some, labels.shape), axis=1))
        sizes.append(flat.size)
    return _Anchors(tuple(places), np.array(sizes) / np.sum(sizes))


def _draw(anchors: _Anchors, rng: np.random.Generator) -> NDArray[np.intp]:
    even = rng.random() < CLASS_TURNS
    label = rng.choice(len(anchors.places), p=None if even else anchors.shares)
    place: NDArray[np.intp] = rng.choice(anchors.places[label])
    return place
