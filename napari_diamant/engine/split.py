"""Which part of the labelled images is held out: the same every time, and not what was learned before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import groupby, product

import numpy as np
from numpy.typing import NDArray

from napari_diamant.engine.dataset import PreparedImage
from napari_diamant.types import IGNORED

LEAST_IMAGES = 5
"""From so many images on, whole images are held out; fewer give up blocks."""

MARGIN = 12
"""Most pixels around a held-out block that are not learned from either."""

_LEAST_UNITS = 5
_LEAST_SIDE = 16
_OVERSHOOT = 1.5

Box = tuple[slice, slice]
Counter = Callable[[NDArray[np.int16]], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Split:
    """Two parts of the labelled pixels.

    Attributes
    ----------
    learned, held
        Images with the labels of that part, `IGNORED` elsewhere; without images that have no label left.
    whole
        True when whole images are held out, False for blocks or nothing.
    words
        What is held out, for people.
    """

    learned: tuple[PreparedImage, ...]
    held: tuple[PreparedImage, ...]
    whole: bool
    words: str


@dataclass(frozen=True, eq=False)
class _Unit:
    """What is held out as one: all copies of an image, or the same block of all of them."""

    hash: str
    box: Box
    members: tuple[int, ...]
    sizes: NDArray[np.int64]  # labelled pixels of each class
    weight: float


def split(
    images: Sequence[PreparedImage], fraction: float, seed: int, known: Set[str] = frozenset()
) -> Split:
    """Hold out about `fraction` of the images; of the labelled area, in blocks, when there are few images.

    The order in which units are taken follows from content hash, position and seed alone: images that come
    later do not shuffle the ones before. No class loses its last labelled pixel to the held-out part.

    Parameters
    ----------
    images
        Each with labelled pixels.
    fraction
        0 holds nothing out.
    seed
        Of the order.
    known
        Content hashes of images that the starting model has learned from; they are held out last of all.
    """
    if fraction == 0:
        return Split(tuple(images), (), False, "nothing was held out")
    counts = _count_by_class(images)
    groups = _whole_images(images, counts)
    whole = len(groups) >= LEAST_IMAGES
    units = groups if whole else _blocks(images, counts)
    total = sum(unit.weight for unit in units)
    target = max(1.0, round(fraction * total)) if whole else fraction * total
    chosen = _choose(sorted(units, key=_order(seed, known)), target)
    if not chosen:
        return Split(tuple(images), (), False, "nothing was held out: too little is labelled to spare a part")
    learned, held = _divide(images, chosen, 0 if whole else MARGIN)
    if _classes(learned) != _classes(images):
        # The last pixels of a class lay in the margin; a score that is a little too good is the lesser evil.
        learned, held = _divide(images, chosen, 0)
    words = _words(images, held, chosen, total, whole)
    if whole and any(unit.hash in known for unit in chosen):
        words += ", some of which the starting model had learned from"
    return Split(learned, held, whole, words)


def _count_by_class(images: Sequence[PreparedImage]) -> Counter:
    """Make the function that counts the labelled pixels of each class in a part of an image."""
    classes = 1 + max(int(image.labels.max()) for image in images)

    def counts(labels: NDArray[np.int16]) -> NDArray[np.int64]:
        return np.bincount(labels[labels != IGNORED], minlength=classes).astype(np.int64)

    return counts


def _whole_images(images: Sequence[PreparedImage], counts: Counter) -> list[_Unit]:
    """Make one unit of each content hash; its weight is the number of its copies."""
    units = []
    for content, copies in _copies(images):
        sizes = np.sum([counts(images[index].labels) for index in copies], axis=0)
        units.append(_Unit(content, np.s_[:, :], copies, sizes, len(copies)))
    return units


def _blocks(images: Sequence[PreparedImage], counts: Counter) -> list[_Unit]:
    """Cut each image into a grid of blocks, finer until a few hold labels; weight is the labelled area."""
    units = []
    for content, copies in _copies(images):
        masks = {index: images[index].labels for index in copies}
        side = max(_LEAST_SIDE, min(images[copies[0]].shape) // 4)
        found = _labelled_blocks(masks, content, side, counts)
        while len(found) < _LEAST_UNITS and side > _LEAST_SIDE:
            side = max(_LEAST_SIDE, side // 2)
            found = _labelled_blocks(masks, content, side, counts)
        units += found
    return units


def _labelled_blocks(
    masks: Mapping[int, NDArray[np.int16]], content: str, side: int, counts: Counter
) -> list[_Unit]:
    height, width = next(iter(masks.values())).shape
    units = []
    for top, left in product(range(0, height, side), range(0, width, side)):
        box = np.s_[top : top + side, left : left + side]
        sizes = np.sum([counts(labels[box]) for labels in masks.values()], axis=0)
        if sizes.any():
            units.append(_Unit(content, box, tuple(masks), sizes, float(sizes.sum())))
    return units


def _copies(images: Sequence[PreparedImage]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Group the images' indices by content hash."""
    order = sorted(range(len(images)), key=lambda index: images[index].content_hash)
    for content, group in groupby(order, key=lambda index: images[index].content_hash):
        yield content, tuple(group)


def _order(seed: int, known: Set[str]) -> Callable[[_Unit], tuple[bool, str]]:
    def key(unit: _Unit) -> tuple[bool, str]:
        place = f"{seed} {unit.hash} {unit.box[0].start} {unit.box[1].start}"
        return unit.hash in known, hashlib.sha256(place.encode()).hexdigest()

    return key


def _choose(units: Sequence[_Unit], target: float) -> list[_Unit]:
    """Take units in order up to the target, passing over what is too much or the last of its class."""
    left = np.sum([unit.sizes for unit in units], axis=0)
    # A unit of one class says little about a mask, so the first to be taken has more where there is one.
    first = next((unit for unit in units if np.count_nonzero(unit.sizes) > 1), units[0])
    chosen: list[_Unit] = []
    taken = 0.0
    for unit in [first, *(unit for unit in units if unit is not first)]:
        too_much = bool(chosen) and taken + unit.weight > _OVERSHOOT * target
        if too_much or np.any((left > 0) & (left <= unit.sizes)):
            continue
        chosen.append(unit)
        left = left - unit.sizes
        taken += unit.weight
        if taken >= target:
            break
    return chosen


def _divide(
    images: Sequence[PreparedImage], chosen: Sequence[_Unit], margin: int
) -> tuple[tuple[PreparedImage, ...], tuple[PreparedImage, ...]]:
    learned, held = [], []
    for index, image in enumerate(images):
        ours, theirs = image.labels.copy(), np.full_like(image.labels, IGNORED)
        for unit in chosen:
            if index in unit.members:
                theirs[unit.box] = image.labels[unit.box]
                ours[_widened(unit.box, margin)] = IGNORED
        learned.append(replace(image, labels=ours))
        held.append(replace(image, labels=theirs))
    return _with_labels(learned), _with_labels(held)


def _widened(box: Box, margin: int) -> Box:
    """Add the margin, at most an eighth of the block's side, so that small blocks stay cheap."""
    if box[0].start is None:
        return box
    y, x = (
        slice(max(0, side.start - wide), side.stop + wide)
        for side, wide in ((side, min(margin, (side.stop - side.start) // 8)) for side in box)
    )
    return y, x


def _classes(images: Sequence[PreparedImage]) -> set[int]:
    return {int(label) for image in images for label in np.unique(image.labels) if label != IGNORED}


def _with_labels(images: Sequence[PreparedImage]) -> tuple[PreparedImage, ...]:
    return tuple(image for image in images if (image.labels != IGNORED).any())


def _words(
    images: Sequence[PreparedImage],
    held: Sequence[PreparedImage],
    chosen: Sequence[_Unit],
    total: float,
    whole: bool,
) -> str:
    if whole:
        return f"{len(held)} of {len(images)} images"
    share = round(100 * sum(unit.weight for unit in chosen) / total)
    of = "the corrected image" if len(images) == 1 else f"the {len(images)} corrected images"
    return f"blocks covering {share} % of {of}: neighbours of what was learned, so this score is optimistic"
