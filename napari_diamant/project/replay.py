"""What a row of the journal holds, and what the rows of a sample add up to."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_diamant.types import IGNORED, JSON, Array

Overlay = NDArray[np.int16]

FIRST = "0" * 64
"""What the first row names as the hash of the row before it."""

_CHAINED = ("id", "y", "x", "height", "width", "tool", "target", "reviewed", "model", "created", "previous")


@dataclass
class Replay:
    """The state of one sample after its rows so far.

    Attributes
    ----------
    overlay
        ``(Y, X)``, `IGNORED` where the user has not worked.
    undoable, redoable
        Ids of rows, the next one last.
    reviewed
        The user has said that the whole mask is right.
    last
        Id of the newest row taken in.
    """

    overlay: Overlay
    undoable: list[int] = field(default_factory=list)
    redoable: list[int] = field(default_factory=list)
    reviewed: bool = False
    last: int = 0

    def take(self, row: sqlite3.Row) -> None:
        """Take in the next row of the sample."""
        y, x = row["y"], row["x"]
        self.overlay[y : y + row["height"], x : x + row["width"]] = unpack(row, "after")
        if row["tool"] == "undo":
            self.redoable.append(self.undoable.pop())
        elif row["tool"] == "redo":
            self.undoable.append(self.redoable.pop())
        else:
            self.undoable.append(row["id"])
            self.redoable.clear()
        self.reviewed = bool(row["reviewed"])
        self.last = row["id"]


def compose(overlay: Overlay, predicted: Array | None) -> Overlay:
    """Give the mask on the screen: the overlay, elsewhere the prediction, elsewhere 0."""
    under = np.zeros_like(overlay) if predicted is None else predicted
    return np.where(overlay == IGNORED, under, overlay).astype(np.int16)


def pack(overlay: Array) -> bytes:
    """Compress a piece of an overlay: int16, little-endian, row by row, zlib."""
    return zlib.compress(np.ascontiguousarray(overlay, dtype="<i2").tobytes(), level=1)


def unpack(row: sqlite3.Row, name: Literal["before", "after"]) -> Overlay:
    """Give the ``(height, width)`` piece of overlay in a row's column."""
    values = np.frombuffer(zlib.decompress(row[name]), dtype="<i2")
    return values.reshape(row["height"], row["width"]).astype(np.int16)


def row_hash(row: sqlite3.Row | JSON, content_hash: str) -> str:
    """Give the SHA-256 that binds a row's values to its image and to the row before it."""
    head = json.dumps([content_hash, *(row[name] for name in _CHAINED)]).encode()
    pieces = (hashlib.sha256(row[name]).digest() for name in ("before", "after"))
    return hashlib.sha256(b"".join((head, *pieces))).hexdigest()
