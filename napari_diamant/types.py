"""What flows between the floors: frozen values over numpy arrays, nothing heavier.

Arrays are in napari's order: images ``(Y, X)`` or ``(Y, X, C)``, attention maps ``(head, Y/p, X/p)``,
probabilities ``(class, Y, X)``, labels integer ``(Y, X)`` with 0 = background.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

IGNORED = -1
"""Label of a pixel that counts nowhere: not corrected by the user, not learned from, not scored."""

JSON: TypeAlias = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Image:
    """An image as it lies in its file, before any scaling of intensities.

    Attributes
    ----------
    pixels
        ``(Y, X)`` or ``(Y, X, C)``, the file's own type.
    spacing
        Size of a pixel along Y and X, in `unit`.
    unit
        Unit of `spacing`: ``"pixel"`` when the file does not say.
    path
        Where it was read from.
    """

    pixels: Array
    spacing: tuple[float, float] = (1.0, 1.0)
    unit: str = "pixel"
    path: Path | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (int(self.pixels.shape[0]), int(self.pixels.shape[1]))


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """How much the class token attends to each patch, one map per head.

    Attributes
    ----------
    maps
        ``(head, rows, columns)`` float32: softmax weights of the CLS row times the number of patches, so
        that 1 is what a head pays to each patch when it prefers none. Not scaled to [0, 1] yet.
    scale
        Size of a map cell along Y and X, in image pixels. The map lies on the image with napari's
        ``scale=maps.scale, translate=maps.translate``.
    image_shape
        Height and width of the image the maps were computed on, in pixels. The last row and column of cells
        may reach beyond it.
    backbone
        Name of the vision transformer.
    weights_hash
        SHA-256 of its weights.
    trained
        False for randomly initialised weights.
    block
        Index of the transformer block, counted from 0.
    """

    maps: NDArray[np.float32]
    scale: tuple[float, float]
    image_shape: tuple[int, int]
    backbone: str
    weights_hash: str
    trained: bool
    block: int

    @property
    def heads(self) -> int:
        """Number of maps."""
        return int(self.maps.shape[0])

    @property
    def translate(self) -> tuple[float, float]:
        """Centre of the first cell, in image pixels (pixel centres are at whole numbers)."""
        return ((self.scale[0] - 1) / 2, (self.scale[1] - 1) / 2)

    def stretched(self, shape: tuple[int, int]) -> AttentionMaps:
        """Lay these maps on an image of another size: the control "maps of another image"."""
        rows, columns = self.maps.shape[1:]
        return replace(self, scale=(shape[0] / rows, shape[1] / columns), image_shape=shape)


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask made by a model.

    Attributes
    ----------
    labels
        ``(Y, X)`` unsigned integer, the image's size.
    probabilities
        ``(class, Y, X)`` float16 or None when it was not kept.
    model_id
        Which model made it.
    heads
        Heads that were switched on; None for all of them.
    """

    labels: Array
    model_id: str
    probabilities: Array | None = None
    heads: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Sample:
    """One image of a project.

    Attributes
    ----------
    id
        Number within the project, from 1.
    content_hash
        SHA-256 of the decoded pixels (type, shape and values), so a renamed file is still found.
    path
        Where the file lay when it was last seen.
    shape
        Height and width in pixels.
    reviewed
        True once the user has said that the whole mask is right.
    name
        Stem of the file, unique within the project's listings by its id only.
    """

    id: int
    content_hash: str
    path: Path
    shape: tuple[int, int]
    reviewed: bool = False

    @property
    def name(self) -> str:
        """The file's stem."""
        return self.path.stem


@dataclass(frozen=True, eq=False)
class Correction:
    """One finished stroke or edit of a user, as the journal keeps it.

    Attributes
    ----------
    sample_id
        The image it was made on.
    origin
        Row and column of the box's upper left pixel.
    before, after
        The overlay of corrections inside the box, ``(h, w)`` int16, `IGNORED` where the user had not worked.
    tool
        ``"paint"``, ``"erase"``, ``"fill"``, ``"polygon"``, ``"start"`` (a mask taken from elsewhere),
        ``"undo"``, ``"redo"``, ``"review"``, ``"unreview"``, ``"edit"`` (anything else).
    """

    sample_id: int
    origin: tuple[int, int]
    before: NDArray[np.int16]
    after: NDArray[np.int16]
    tool: str


@dataclass(frozen=True)
class Progress:
    """One line of news from a long job.

    Attributes
    ----------
    message
        What is being done, in a few words.
    done, total
        Steps; `total` is 0 when it is not known.
    values
        Numbers of the moment, such as ``loss``, ``val_dice``, ``epoch``, ``seconds_left``, ``device``.
    """

    message: str
    done: int = 0
    total: int = 0
    values: JSON = field(default_factory=dict)

    def as_json(self) -> JSON:
        """Give the object that ``--json`` prints, less its newline."""
        return {
            "event": "progress",
            "message": self.message,
            "done": self.done,
            "total": self.total,
            **self.values,
        }


Report: TypeAlias = Callable[[Progress], None]
"""Takes the news of a job; a job without listeners gets `silent`."""


def silent(progress: Progress) -> None:
    """Drop the news."""
