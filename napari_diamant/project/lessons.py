"""Which pixels of a sample a fit may learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_diamant.types import IGNORED, Sample

if TYPE_CHECKING:
    from napari_diamant.project.project import Project

REACH = 12
"""Pixels around a correction within which the user has seen the mask, and let it stand."""


def labels_to_learn(project: Project, sample: Sample) -> NDArray[np.int16] | None:
    """Give ``(Y, X)`` int16 labels, `IGNORED` where nothing is known; None when nothing is known at all.

    A reviewed image counts whole. Elsewhere the corrections count, and what the mask on the screen showed
    within `REACH` pixels of them.
    """
    overlay = project.overlay(sample.id)
    worked = overlay != IGNORED
    if not worked.any():
        return None
    labels = project.labels(sample.id).astype(np.int16)
    if not sample.reviewed and not worked.all():
        labels[~near(worked, REACH)] = IGNORED
    return labels


def near(mask: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Mark every pixel at most `reach` pixels from a pixel of `mask`, which has at least one."""
    from scipy.ndimage import distance_transform_edt

    seen: NDArray[np.bool_] = distance_transform_edt(~mask) <= reach
    return seen
