"""PNG, JPEG, BMP and GIF through imageio."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_diamant.io.raw import Raw


def read(path: Path) -> Raw:
    """Read colours as they are shown: ``YX`` or ``YXS``, with ``T`` before them for an animation.

    A header that claims too many pixels is refused by Pillow before it is decoded.
    """
    import imageio.v3 as imageio

    with imageio.imopen(path, "r", plugin="pillow") as file:
        frames = [np.asarray(frame) for frame in file.iter()]
        palette = file.metadata(index=0)["mode"] == "P"
        indices = np.asarray(file.read(index=0, mode="P")) if palette else None
    axes = "YXS"[: frames[0].ndim]
    if len(frames) == 1:
        return Raw(frames[0], axes, lossy=_is_jpeg(path), indices=indices)
    return Raw(np.stack(frames), "T" + axes)


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\xff\xd8"
