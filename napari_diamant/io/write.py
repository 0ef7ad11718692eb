"""Results as compressed OME-TIFF that any microscopy program opens, with axes and size of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io.atomic import atomic
from napari_diamant.types import JSON, Array, AttentionMaps, Image

_SYMBOLS = {"nanometer": "nm", "micrometer": "µm", "millimeter": "mm", "centimeter": "cm", "meter": "m"}


def write_labels(path: Path, labels: Array, image: Image | None = None) -> None:
    """Write ``(Y, X)`` labels in the smallest unsigned type that holds them, with the image's spacing.

    Raises
    ------
    UserError
        When the labels are not whole numbers from 0 on, their size is not the image's, or the place cannot be
        written to.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "bui" or labels.min(initial=0) < 0:
        raise UserError(
            f"Labels must be whole numbers from 0 on with height and width, got {labels.dtype} of shape "
            f"{labels.shape}. Replace ignored pixels by a class before writing."
        )
    _require_same_size(labels.shape, image)
    stored = labels.astype(np.promote_types(np.uint8, np.min_scalar_type(int(labels.max(initial=0)))))
    _write(path, stored, "YX", _physical_size(image))


def write_probabilities(
    path: Path, probabilities: Array, classes: Sequence[str], image: Image | None = None
) -> None:
    """Write ``(class, Y, X)`` probabilities as float32, the channels named after the classes.

    Raises
    ------
    UserError
        When the numbers of classes or the sizes differ, or the place cannot be written to.
    """
    if probabilities.ndim != 3 or len(probabilities) != len(classes):
        raise UserError(
            f"Probabilities must have one plane per class, got shape {probabilities.shape} for classes "
            f"{tuple(classes)}. Give the classes of the model that made them."
        )
    _require_same_size(probabilities.shape[1:], image)
    names: JSON = {"Channel": {"Name": list(classes)}}
    _write(path, probabilities.astype(np.float32), "CYX", {**_physical_size(image), **names})


def write_maps(path: Path, maps: AttentionMaps) -> None:
    """Write ``(head, rows, columns)`` maps as float32, one channel per head; cells are measured in pixels."""
    metadata: JSON = {
        "Channel": {"Name": [f"head {head}" for head in range(maps.heads)]},
        "PhysicalSizeY": maps.scale[0],
        "PhysicalSizeYUnit": "pixel",
        "PhysicalSizeX": maps.scale[1],
        "PhysicalSizeXUnit": "pixel",
        "Description": f"CLS attention of block {maps.block}, {maps.backbone}, weights {maps.weights_hash}",
    }
    _write(path, maps.maps.astype(np.float32), "CYX", metadata)


def _require_same_size(shape: tuple[int, ...], image: Image | None) -> None:
    if image is not None and tuple(shape) != image.shape:
        raise UserError(
            f"A result must have the size of its image, got {tuple(shape)} for {image.shape}. "
            "Predict again on this image."
        )


def _physical_size(image: Image | None) -> JSON:
    if image is None or image.unit not in _SYMBOLS:
        return {}
    symbol = _SYMBOLS[image.unit]
    return {
        "PhysicalSizeY": image.spacing[0],
        "PhysicalSizeYUnit": symbol,
        "PhysicalSizeX": image.spacing[1],
        "PhysicalSizeXUnit": symbol,
    }


def _write(path: Path, array: Array, axes: str, metadata: dict[str, Any]) -> None:
    import tifffile

    with atomic(path) as temporary:
        tifffile.imwrite(
            temporary,
            array,
            ome=True,
            compression="zlib",
            photometric="minisblack",
            metadata={"axes": axes, **metadata},
        )
