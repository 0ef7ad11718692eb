"""How fast strokes reach the disk, and how much room they take.

Run with ``python benchmarks/journal.py``; prints one JSON object.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from napari_diamant.project import Project

STROKES = 400
SIDE = 1024


def discs(rng: np.random.Generator, radius: int) -> tuple[tuple[int, int], np.ndarray]:
    """Give a round dab of a brush: where its box lies, and the labels inside."""
    side = 2 * radius + 1
    rows, columns = np.indices((side, side)) - radius
    dab = np.where(rows**2 + columns**2 <= radius**2, rng.integers(2), -1).astype(np.int16)
    y, x = (int(at) for at in rng.integers(0, SIDE - side, 2))
    return (y, x), dab


def per_second(work: Callable[[], object], times: int) -> float:
    """Count how often something is done in a second."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return times / (time.perf_counter() - start)


def size(folder: Path) -> int:
    """Add up the database's files."""
    return sum(path.stat().st_size for path in folder.glob("project.db*"))


def measure(folder: Path) -> dict[str, float]:
    """Draw, undo, close, open and verify, and say how long each takes."""
    rng = np.random.default_rng(0)
    imageio.imwrite(folder / "image.png", rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8))
    with Project.create(folder / "project") as project:
        project.add([folder / "image.png"])
    empty = size(folder / "project")

    def stroke() -> None:
        origin, dab = discs(rng, 15)
        project.record(1, origin, dab, "paint")

    with Project.open(folder / "project") as project:
        strokes = per_second(stroke, STROKES)
    room = size(folder / "project") - empty
    with Project.open(folder / "project") as project:
        undos = per_second(lambda: project.undo(1), 100)
        reviews = per_second(lambda: project.set_reviewed(1, not project.sample(1).reviewed), 10)
        rows = project.journal_tip()[0]
    start = time.perf_counter()
    with Project.open(folder / "project") as project:
        project.overlay(1)
        opened = time.perf_counter() - start
        start = time.perf_counter()
        if faults := project.verify():
            raise SystemExit(faults[0])
        verified = time.perf_counter() - start
    return {
        "strokes_per_second": round(strokes),
        "ms_per_stroke": round(1e3 / strokes, 2),
        "undos_per_second": round(undos),
        "reviews_per_second_1024": round(reviews),
        "rows": rows,
        "bytes_per_stroke": round(room / STROKES),
        "open_and_replay_ms": round(1e3 * opened, 1),
        "verify_ms": round(1e3 * verified, 1),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(Path(name))))
