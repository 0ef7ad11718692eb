"""Proof that a project is what its users have made of it, row by row."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io import content_hash, read_image
from napari_diamant.project.registry import Registry
from napari_diamant.project.replay import FIRST, Replay, row_hash, unpack
from napari_diamant.project.samples import Samples
from napari_diamant.project.store import Store
from napari_diamant.types import IGNORED, Sample


def faults(store: Store, samples: Samples, registry: Registry) -> list[str]:
    """Give one sentence per fault, naming the row, file or model; none when all is sound.

    Recomputed are the chain of hashes, the replay of each image, and the hashes of the models' files and of
    those originals that are there.
    """
    damage = [f"The database is damaged: {finding}." for finding in store.integrity()]
    if damage:
        return damage
    everything = samples.all()
    found = list(_chain(store, {sample.id: sample.content_hash for sample in everything}))
    for sample in everything:
        found.extend(_replay(store, sample))
        found.extend(_original(sample))
    found.extend(fault for record in registry.all() if (fault := registry.check(record)))
    return found


def _chain(store: Store, contents: dict[int, str]) -> Iterator[str]:
    previous, last = FIRST, 0
    first = 0
    # By portions: a journal of many thousand strokes need not be in memory at once.
    while rows := store.rows("SELECT * FROM journal WHERE id > ? ORDER BY id LIMIT 500", (first,)):
        for row in rows:
            if row["id"] != last + 1:
                yield f"Journal row {last + 1} is missing: {row['id'] - last - 1} rows were taken out there."
            elif row["previous"] != previous:
                yield f"{_name(row)} does not follow the row before it: one of them was replaced."
            if row_hash(row, contents.get(row["sample"], "")) != row["hash"]:
                yield f"{_name(row)} does not match its hash: it was changed after it was written."
            previous, last = row["hash"], row["id"]
        first = last
    written = store.row("SELECT seq FROM sqlite_sequence WHERE name = 'journal'")
    if written is not None and written["seq"] != last:
        yield f"Journal rows {last + 1} to {written['seq']} are missing: the newest rows were taken out."


def _replay(store: Store, sample: Sample) -> Iterator[str]:
    replay = Replay(np.full(sample.shape, IGNORED, np.int16))
    for row in store.rows("SELECT * FROM journal WHERE sample = ? ORDER BY id", (sample.id,)):
        fault = _step(replay, row)
        if fault is not None:
            yield f"{_name(row)} {fault}"
            return  # every later row would only repeat it


def _step(replay: Replay, row: sqlite3.Row) -> str | None:
    y, x = row["y"], row["x"]
    stacks = {"undo": replay.undoable, "redo": replay.redoable}
    stack = stacks.get(row["tool"])
    if stack is not None and (not stack or stack[-1] != row["target"]):
        return f"takes up row {row['target']}, which was not the next one to {row['tool']}."
    try:
        before = unpack(row, "before")
        if not np.array_equal(replay.overlay[y : y + row["height"], x : x + row["width"]], before):
            return "does not start from what the rows before it have left."
        replay.take(row)
    except (zlib.error, ValueError):
        return "cannot be unpacked."
    return None


def _original(sample: Sample) -> Iterator[str]:
    if not sample.path.exists():  # allowed: originals are referenced, not owned
        return
    try:
        if content_hash(read_image(sample.path).pixels) != sample.content_hash:
            yield f"Image {sample.id}: the pixels of {sample.path} are not those that were added."
    except UserError as error:
        yield f"Image {sample.id}: {error}"


def _name(row: sqlite3.Row) -> str:
    return f"Journal row {row['id']} (image {row['sample']}, {row['tool']}, {row['created']})"
