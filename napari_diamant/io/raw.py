"""What every format reader gives: an array with named axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_diamant.errors import UserError
from napari_diamant.types import Array

LARGEST_BYTES = 2 * 1024**3
"""Larger images are refused before any memory is taken: their float copies need several times as much."""

_UNITS = {
    "nm": "nanometer",
    "nanometre": "nanometer",
    "µm": "micrometer",  # micro sign
    "μm": "micrometer",  # Greek mu
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "micrometre": "micrometer",
    "mm": "millimeter",
    "millimetre": "millimeter",
    "cm": "centimeter",
    "centimetre": "centimeter",
    "m": "meter",
    "metre": "meter",
}
_NAMES = frozenset({"angstrom", "picometer", *_UNITS.values()})


@dataclass(frozen=True, eq=False)
class Raw:
    """A decoded file.

    Attributes
    ----------
    array
        All of its values, the file's own type.
    axes
        One letter per axis: ``Y X Z T``, ``C`` for channels, ``S`` for the samples of a colour; an empty text
        when the file does not name them.
    spacing
        Size of a step along ``Y``, ``X`` and ``Z`` where the file says so.
    unit
        Unit of `spacing`, spelled out (``"micrometer"``), else ``"pixel"``.
    lossy
        True for JPEG, whose values are only nearly what was stored.
    indices
        Of an image with a palette: the entry of each pixel, ``(Y, X)``; `array` holds the colours.
    """

    array: Array
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    unit: str = "pixel"
    lossy: bool = False
    indices: Array | None = None


def unit_name(text: str | None) -> str | None:
    """Spell a unit of length out; None for what is not one."""
    word = (text or "").strip().replace("\\u00B5", "µ")
    word = _UNITS.get(word, word.lower())
    word = _UNITS.get(word, word)
    return word if word in _NAMES else None


def require_room(path: Path, size: int) -> None:
    """Refuse a file that claims to hold more than can be held.

    Raises
    ------
    UserError
        When `size`, the decoded bytes, is beyond `LARGEST_BYTES`.
    """
    if size > LARGEST_BYTES:
        raise UserError(
            f"An image must have at most {LARGEST_BYTES / 1024**3:g} GiB when it is decoded, got "
            f"{size / 1024**3:.1f} GiB in {path.name}. Cut out a region, or export it at a lower resolution."
        )
