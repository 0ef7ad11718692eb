"""How good predictions are against the truth: per image, and the mean with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.metrics import bootstrap_interval, score_image
from napari_diamant.types import IGNORED, JSON, Array, Progress, Report, silent

Scored = tuple[str, Array, Array, tuple[float, float]]
"""Name, predicted labels, true labels, size of a pixel along Y and X."""

SCORES = ("dice", "iou", "hd95", "nsd")
"""What is measured; HD95 in units of the spacing, the smaller the better."""


@dataclass(frozen=True)
class Mean:
    """The mean of one score over images.

    Attributes
    ----------
    value
        The mean.
    low, high
        The 95 % bootstrap interval over images; both are `value` when there is one image.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ImageScores:
    """What one image scored.

    Attributes
    ----------
    name
        The image.
    classes
        Class to ``dice``, ``iou``, ``hd95``, ``nsd``.
    mean
        Each score's mean over the foreground classes.
    """

    name: str
    classes: dict[str, dict[str, float]]
    mean: dict[str, float]


@dataclass(frozen=True)
class EmptyMasks:
    """In how many images a class is missing; these decide what a mean of overlaps is worth.

    Attributes
    ----------
    truth
        Images whose truth has none of the class.
    prediction
        Images whose prediction has none of it.
    both
        Images where neither has, which score a Dice of 1.
    """

    truth: int
    prediction: int
    both: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of a set of images.

    Attributes
    ----------
    images
        One entry per image, in the order they came.
    mean
        Each score's mean over images of the mean over foreground classes.
    classes
        Class to score to mean over images.
    empty
        Class to counts of empty masks. No image is left out of any mean: `napari_diamant.metrics` says what
        an empty mask scores.
    """

    images: tuple[ImageScores, ...]
    mean: dict[str, Mean]
    classes: dict[str, dict[str, Mean]]
    empty: dict[str, EmptyMasks]

    def as_json(self) -> JSON:
        """Give what `json.dumps` takes."""
        return asdict(self)


def evaluate(
    results: Iterable[Scored], classes: Sequence[str], *, seed: int = 0, report: Report = silent
) -> Evaluation:
    """Score predictions at the resolution of their images.

    Parameters
    ----------
    results
        ``(name, prediction, truth, spacing)`` for each image, taken one at a time, so that a generator keeps
        one image in memory. `IGNORED` pixels of the truth count nowhere.
    classes
        Names, background first.
    seed
        Of the bootstrap.
    report
        Hears of every image.

    Raises
    ------
    UserError
        When there are no images, or a mask does not fit.
    """
    images: list[ImageScores] = []
    labels: list[tuple[set[int], set[int]]] = []
    for name, prediction, truth, spacing in results:
        labels.append((_labels(prediction, truth), _labels(truth, truth)))
        _check(name, *labels[-1], len(classes))
        scores = score_image(prediction, truth, classes, spacing)
        overall = {score: fmean(row[score] for row in scores.values()) for score in SCORES}
        images.append(ImageScores(name, scores, overall))
        report(Progress(f"Scored {name}", len(images), values={"dice": overall["dice"]}))
    if not images:
        raise UserError("An evaluation needs at least one image with its truth, got none. Name both folders.")
    return Evaluation(
        images=tuple(images),
        mean=_means([image.mean for image in images], seed),
        classes={name: _means([image.classes[name] for image in images], seed) for name in classes[1:]},
        empty={name: _empty(labels, index) for index, name in enumerate(classes[1:], start=1)},
    )


def _labels(labels: Array, truth: Array) -> set[int]:
    """Give the labels that occur where the truth counts."""
    # Masks of different sizes are for `score_image` to refuse.
    counted = labels[truth != IGNORED] if labels.shape == truth.shape else labels
    return {int(label) for label in np.unique(counted)}


def _check(name: str, ours: set[int], theirs: set[int], classes: int) -> None:
    if not theirs:
        raise UserError(
            f"A truth must say something, got only ignored pixels in {name}. Leave this image out."
        )
    if max(ours | theirs) >= classes:
        raise UserError(
            f"Labels must lie between 0 and {classes - 1} to be scored, got {max(ours | theirs)} in {name}. "
            "Give masks of classes, not of single objects."
        )


def _means(rows: Sequence[dict[str, float]], seed: int) -> dict[str, Mean]:
    """Give each score's mean over rows, one row per image."""
    means = {}
    for score in SCORES:
        values = [row[score] for row in rows]
        means[score] = Mean(fmean(values), *bootstrap_interval(values, seed))
    return means


def _empty(labels: Sequence[tuple[set[int], set[int]]], index: int) -> EmptyMasks:
    return EmptyMasks(
        truth=sum(index not in theirs for _, theirs in labels),
        prediction=sum(index not in ours for ours, _ in labels),
        both=sum(index not in ours | theirs for ours, theirs in labels),
    )
