"""PNG, JPEG, BMP and GIF through imageio."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io.raw import Raw


def read(path: Path) -> Raw:
    """Read colours as they are shown: ``YX``, or ``YXS`` with two to four samples.

    A header that claims too many pixels is refused by Pillow before it is decoded.

    Raises
    ------
    UserError
        When it is an animation.
    """
    import imageio.v3 as imageio

    with imageio.imopen(path, "r", plugin="pillow") as file:
        frames = list(islice(file.iter(), 2))
        if len(frames) > 1:
            raise UserError(
                f"An image must be a still, got an animation in {path.name}. Save one frame of it."
            )
        palette = file.metadata(index=0)["mode"] == "P"
        indices = np.asarray(file.read(index=0, mode="P")) if palette else None
    pixels = np.asarray(frames[0])
    return Raw(pixels, "YXS"[: pixels.ndim], lossy=_is_jpeg(path), indices=indices)


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\xff\xd8"
