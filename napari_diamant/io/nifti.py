"""NIfTI through nibabel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_diamant.io.raw import Raw, require_room

_UNITS = {"mm": "millimeter", "micron": "micrometer", "meter": "meter"}


def read(path: Path) -> Raw:
    """Read the stored grid with its axes reversed, so that NIfTI's (i, j, k) becomes ``ZYX``.

    Nothing is flipped or resampled: voxel (k, j, i) here is voxel (i, j, k) of the file. Slope and intercept
    are applied where they are set, else the stored type is kept. Files without a unit are in millimetres, as
    the field takes them to be.
    """
    import nibabel

    image = nibabel.load(path)
    header = image.header
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1.0, 0.0)
    itemsize = 4 if scaled else header.get_data_dtype().itemsize
    require_room(path, int(np.prod(image.shape, dtype=object)) * itemsize)
    array = image.get_fdata(dtype=np.float32, caching="unchanged") if scaled else np.asanyarray(image.dataobj)
    axes = "XYZTC"[: array.ndim][::-1] if array.ndim <= 5 else ""
    sizes = dict(zip("XYZ", (float(size) for size in header.get_zooms()[:3]), strict=False))
    unit = _UNITS.get(header.get_xyzt_units()[0], "millimeter")
    return Raw(np.ascontiguousarray(array.T), axes, sizes, unit)
