"""Writer of a Labels layer as OME-TIFF, with the size of its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.types import Image


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write the labels of one layer and give the paths written.

    Parameters
    ----------
    path
        Target; ``.ome.tif`` or ``.tif``.
    data
        ``(Y, X)`` integer labels.
    attributes
        What napari knows of the layer; `scale` and `units` are kept.

    Raises
    ------
    UserError
        For labels with more than two axes.
    """
    from napari_diamant.io import write_labels as write

    labels = np.asarray(data)
    if labels.ndim != 2:
        raise UserError(f"A mask must have two axes, Y and X, got {labels.ndim}. Save one plane of it.")
    scale = [abs(float(step)) for step in attributes.get("scale", (1, 1))][-2:]
    unit = str((attributes.get("units") or ("pixel",))[-1])
    write(Path(path), labels, Image(labels, spacing=(scale[0], scale[1]), unit=unit))
    return [path]
