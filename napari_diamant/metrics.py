"""Scores of one class of one image, and the interval of their mean.

Empty masks are never dropped: two empty masks agree (Dice, IoU and NSD 1, HD95 0); when only one is empty,
Dice, IoU and NSD are 0 and HD95 is the diagonal of the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_diamant.errors import UserError
from napari_diamant.types import IGNORED, Array

Mask = NDArray[np.bool_]
Spacing = tuple[float, float]

TOLERANCE_PIXELS = 2.0
"""Tolerance of the NSD that `score_image` gives, in (the larger side of) pixels."""

_RESAMPLES = 2000


def dice(prediction: Mask, truth: Mask) -> float:
    """Give twice the overlap over the sum of both areas, for bool masks of one shape."""
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(truth))
    return 2 * int(np.count_nonzero(prediction & truth)) / total if total else 1.0


def iou(prediction: Mask, truth: Mask) -> float:
    """Give the overlap over the union."""
    union = int(np.count_nonzero(prediction | truth))
    return int(np.count_nonzero(prediction & truth)) / union if union else 1.0


def hd95(prediction: Mask, truth: Mask, spacing: Spacing = (1.0, 1.0)) -> float:
    """Give the 95th percentile of the distances from each border to the other, the larger of both ways.

    In units of `spacing` (Y, X). A border is the outermost layer of a mask's own pixels, as MONAI takes it.
    """
    distances = _border_distances(prediction, truth, spacing)
    if distances is None:
        return 0.0 if prediction.any() == truth.any() else _diagonal(truth.shape, spacing)
    return float(max(np.percentile(one_way, 95) for one_way in distances))


def nsd(
    prediction: Mask, truth: Mask, spacing: Spacing = (1.0, 1.0), tolerance: float = TOLERANCE_PIXELS
) -> float:
    """Give the share of both borders that lies within `tolerance`, in units of `spacing`, of the other one.

    Normalised surface Dice: Nikolov et al., arXiv 1809.04430, on border pixels.
    """
    distances = _border_distances(prediction, truth, spacing)
    if distances is None:
        return 1.0 if prediction.any() == truth.any() else 0.0
    near = sum(int(np.count_nonzero(one_way <= tolerance)) for one_way in distances)
    return near / sum(len(one_way) for one_way in distances)


def score_image(
    prediction: Array, truth: Array, classes: Sequence[str], spacing: Spacing = (1.0, 1.0)
) -> dict[str, dict[str, float]]:
    """Score every class but the background: class → ``dice``, ``iou``, ``hd95``, ``nsd``.

    Pixels that are `IGNORED` in `truth` belong to no class on either side.

    Parameters
    ----------
    prediction, truth
        ``(Y, X)`` labels of one size.
    classes
        Names, background first.
    spacing
        Size of a pixel along Y and X.

    Raises
    ------
    UserError
        When the sizes differ.
    """
    if prediction.shape != truth.shape:
        raise UserError(
            f"A prediction must have the size of its truth, got {prediction.shape} and {truth.shape}. "
            "Compare masks of the same image."
        )
    counted = truth != IGNORED
    scores = {}
    for index, name in enumerate(classes[1:], start=1):
        ours, theirs = (prediction == index) & counted, truth == index
        scores[name] = {
            "dice": dice(ours, theirs),
            "iou": iou(ours, theirs),
            "hd95": hd95(ours, theirs, spacing),
            "nsd": nsd(ours, theirs, spacing, TOLERANCE_PIXELS * max(spacing)),
        }
    return scores


def bootstrap_interval(values: Sequence[float], seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Give the percentile interval of the mean over images drawn again with replacement.

    Raises
    ------
    UserError
        When there are no values.
    """
    if len(values) == 0:
        raise UserError("An interval needs at least one score, got none. Evaluate at least one image.")
    sample = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(seed).integers(len(sample), size=(_RESAMPLES, len(sample)))
    low, high = np.quantile(sample[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _diagonal(shape: tuple[int, ...], spacing: Spacing) -> float:
    return float(np.hypot(shape[0] * spacing[0], shape[1] * spacing[1]))


def _border_distances(prediction: Mask, truth: Mask, spacing: Spacing) -> tuple[Array, Array] | None:
    """Give the distance of each border pixel to the other mask's border, both ways; None if one is empty.

    Nearest neighbours among border pixels: for masks with outlines, several times quicker than distance
    transforms of whole images, and as exact.
    """
    from scipy.spatial import KDTree

    if not prediction.any() or not truth.any():
        return None
    ours, theirs = (np.argwhere(_border(mask)) * spacing for mask in (prediction, truth))
    return KDTree(theirs).query(ours)[0], KDTree(ours).query(theirs)[0]


def _border(mask: Mask) -> Mask:
    """Keep the pixels with a side open to the outside; beyond the image is outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)
