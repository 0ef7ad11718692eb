"""The corrections of a project as rows that are only ever added, chained by their hashes.

Undo and redo are rows as well, so the stack of what can be undone follows from the rows alone and is still
there after closing, a crash, or a new prediction.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.project.cache import ByteCache
from napari_diamant.project.replay import FIRST, Overlay, Replay, compose, pack, row_hash, unpack
from napari_diamant.project.store import Store
from napari_diamant.types import IGNORED, JSON, Array, Correction, Sample

_KEPT_BYTES = 512 * 2**20


class Journal:
    """Append to the journal and replay it.

    The overlays in use are kept in memory and brought up to date by the rows that are new, whichever process
    has written them; a stroke costs no more than its box.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._replays: ByteCache[int, Replay] = ByteCache(lambda replay: replay.overlay.nbytes, _KEPT_BYTES)

    def state(self, sample: Sample) -> Replay:
        """Give the newest state of a sample. The caller must not change it."""
        with self._store.lock:
            replay = self._replays.get(sample.id)
            if replay is None:
                replay = Replay(np.full(sample.shape, IGNORED, np.int16))
                self._replays.put(sample.id, replay)
            new = "SELECT * FROM journal WHERE sample = ? AND id > ? ORDER BY id"
            for row in self._store.rows(new, (sample.id, replay.last)):
                replay.take(row)
            return replay

    def record(
        self, sample: Sample, origin: tuple[int, int], after: Array, tool: str, model: str | None
    ) -> Correction:
        """Append one stroke; it is on the disk when this returns.

        A stroke that changes nothing adds no row.
        """
        with self._store.transaction() as connection:
            state = self.state(sample)
            box = _box(origin, after.shape)
            before = state.overlay[box].copy()
            correction = Correction(sample.id, origin, before, after.astype(np.int16), tool)
            if not np.array_equal(before, after):
                self._append(connection, sample, correction, None, state.reviewed, model)
        self._catch_up(sample)
        return correction

    def review(
        self, sample: Sample, reviewed: bool, predicted: Array | None, model: str | None
    ) -> Correction | None:
        """Append the user's word that the mask on the screen is right, or that it is not.

        A review takes `predicted` into the overlay wherever the user had not worked: what was approved is
        that mask, and a later prediction must not slip under the approval. Withdrawing it gives back the
        pixels that were taken so and not touched since.
        """
        with self._store.transaction() as connection:
            state = self.state(sample)
            if state.reviewed == reviewed:
                return None
            before = state.overlay.copy()
            after = compose(before, predicted) if reviewed else self._before_review(sample, before)
            tool = "review" if reviewed else "unreview"
            correction = Correction(sample.id, (0, 0), before, after, tool)
            self._append(connection, sample, correction, None, reviewed, model)
        self._catch_up(sample)
        return correction

    def step(
        self, sample: Sample, direction: Literal["undo", "redo"], model: str | None
    ) -> Correction | None:
        """Append the undoing of the last stroke, or the redoing of the last undone one; None without one."""
        with self._store.transaction() as connection:
            state = self.state(sample)
            stack = state.undoable if direction == "undo" else state.redoable
            if not stack:
                return None
            target = connection.execute("SELECT * FROM journal WHERE id = ?", (stack[-1],)).fetchone()
            origin = (target["y"], target["x"])
            before = state.overlay[_box(origin, (target["height"], target["width"]))].copy()
            after = unpack(target, "before" if direction == "undo" else "after")
            correction = Correction(sample.id, origin, before, after, direction)
            reviewed = state.reviewed
            if target["tool"] in ("review", "unreview"):
                reviewed = (target["tool"] == "review") == (direction == "redo")
            self._append(connection, sample, correction, target["id"], reviewed, model)
        self._catch_up(sample)
        return correction

    def effort(self, sample: Sample, pause: float = 120.0) -> JSON:
        """Count strokes and minutes of work; a gap longer than `pause` seconds counts as an absence."""
        rows = self._store.rows(
            "SELECT tool, created FROM journal WHERE sample = ? ORDER BY id", (sample.id,)
        )
        times = [datetime.fromisoformat(row["created"]).timestamp() for row in rows]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        strokes = sum(row["tool"] not in ("undo", "redo", "review", "unreview") for row in rows)
        return {"strokes": strokes, "minutes": round(sum(gap for gap in gaps if 0 <= gap <= pause) / 60, 2)}

    def tip(self) -> tuple[int, str]:
        """Give the id and the hash of the newest row."""
        row = self._store.row("SELECT id, hash FROM journal ORDER BY id DESC LIMIT 1")
        return (0, FIRST) if row is None else (row["id"], row["hash"])

    def _catch_up(self, sample: Sample) -> None:
        # Only after the commit: memory must never be ahead of the disk.
        self.state(sample)

    def _before_review(self, sample: Sample, overlay: Overlay) -> Overlay:
        row = self._store.row(
            "SELECT * FROM journal WHERE sample = ? AND tool = 'review' ORDER BY id DESC LIMIT 1",
            (sample.id,),
        )
        if row is None:  # pragma: no cover - a reviewed sample has such a row
            raise UserError(
                "The journal holds a review without its row. Run `napari-diamant project verify`."
            )
        return np.where(overlay == unpack(row, "after"), unpack(row, "before"), overlay)

    def _append(
        self,
        connection: sqlite3.Connection,
        sample: Sample,
        correction: Correction,
        target: int | None,
        reviewed: bool,
        model: str | None,
    ) -> None:
        last, previous = self.tip()
        values = {
            "id": last + 1,
            "sample": sample.id,
            "y": int(correction.origin[0]),
            "x": int(correction.origin[1]),
            "height": correction.after.shape[0],
            "width": correction.after.shape[1],
            "before": pack(correction.before),
            "after": pack(correction.after),
            "tool": correction.tool,
            "target": target,
            "reviewed": int(reviewed),
            "model": model,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "previous": previous,
        }
        values["hash"] = row_hash(values, sample.content_hash)
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        connection.execute(f"INSERT INTO journal ({names}) VALUES ({marks})", values)


def check_box(origin: tuple[int, int], box: Array, sample: Sample, classes: int) -> None:
    """Refuse what is no box of labels within the image.

    Raises
    ------
    UserError
        When the values are no whole numbers of the project's classes, or the box reaches beyond the image.
    """
    if box.ndim != 2 or not box.size or box.dtype.kind not in "biu":
        raise UserError(f"A correction must be a box of whole numbers, got {box.dtype} of shape {box.shape}.")
    ends = (origin[0] + box.shape[0], origin[1] + box.shape[1])
    if min(origin) < 0 or ends[0] > sample.shape[0] or ends[1] > sample.shape[1]:
        raise UserError(
            f"A correction must lie within its image of {sample.shape}, got {box.shape} at {tuple(origin)}."
            " Take a mask of the image's size."
        )
    low, high = int(box.min()), int(box.max())
    if low < IGNORED or high >= classes:
        raise UserError(
            f"Labels must be 0 to {classes - 1}, the project's classes, got {low if low < IGNORED else high}."
            " Choose one of these, or add a class to the project."
        )


def _box(origin: tuple[int, int], shape: tuple[int, ...]) -> tuple[slice, slice]:
    return (slice(origin[0], origin[0] + shape[0]), slice(origin[1], origin[1] + shape[1]))
