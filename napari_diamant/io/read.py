"""Images, labels and volumes from any known file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from napari_diamant.io.arrange import as_image, as_volume
from napari_diamant.io.formats import decode
from napari_diamant.io.labels import as_labels
from napari_diamant.types import Array, Image


def read_image(path: Path) -> Image:
    """Read a two-dimensional image, grey, colour or multi-channel, as it lies in its file.

    Raises
    ------
    UserError
        When the file is missing, broken, of no known format, or not an image in two dimensions.
    """
    path = Path(path)
    return as_image(decode(path), path)


def read_labels(path: Path) -> Array:
    """Read a mask as ``(Y, X)`` whole numbers; `napari_diamant.io.labels.as_labels` holds the rules.

    A palette of greys is read as its greys, a palette of colours as the numbers of its entries.

    Raises
    ------
    UserError
        As `read_image`; and when the values are not labels.
    """
    path = Path(path)
    raw = decode(path)
    pixels = as_image(raw, path).pixels
    if raw.indices is not None and np.ptp(pixels[..., :3], axis=2).any():
        pixels = raw.indices
    return as_labels(pixels, path, raw.lossy)


def read_volume(path: Path) -> tuple[Array, tuple[float, ...], str]:
    """Read a NIfTI file, a DICOM series folder, or any other file that names three axes in space.

    Returns
    -------
    values, spacing, unit
        ``(Z, Y, X)``, the size of a voxel along each of them, and its unit.

    Raises
    ------
    UserError
        As `read_image`; and when it is no volume.
    """
    path = Path(path)
    return as_volume(decode(path), path)


def content_hash(pixels: Array) -> str:
    """Give the SHA-256 over type, shape and values, the same for every byte order and memory layout."""
    values = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{values.dtype.str} {values.shape}".encode())
    digest.update(values.data.cast("B") if values.size else b"")
    return digest.hexdigest()
