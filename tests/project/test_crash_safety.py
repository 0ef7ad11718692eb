"""A kill at any moment loses at most the stroke that was being drawn."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from napari_diamant.project import Project
from napari_diamant.types import Correction, Prediction

KILLS = 30


def work(folder: Path, finished: Connection, seed: int) -> None:
    """Draw, undo and review without end, and announce each piece of work once it is said to be on the disk."""
    rng = random.Random(seed)
    with Project.open(folder) as project:
        while True:
            for _ in range(rng.randrange(1, 8)):
                origin = (rng.randrange(40), rng.randrange(50))
                value = rng.randrange(2)
                project.record(1, origin, np.full((8, 14), value, np.int16), "paint")
                finished.send(project.journal_tip())
            steps = [project.undo, project.redo, lambda sample: project.set_reviewed(sample, True)]
            done: Correction | None = rng.choice(steps)(1)
            if done is not None:
                finished.send(project.journal_tip())
            labels = np.full((48, 64), rng.randrange(2), np.uint8)
            project.save_prediction(1, Prediction(labels, f"model {rng.random()}"))


def drain(finished: Connection) -> list[tuple[int, str]]:
    """Read what a process that is gone has announced; its last message may be cut off."""
    announced = []
    try:
        while finished.poll():
            announced.append(finished.recv())
    except (EOFError, OSError):
        pass
    return announced


@pytest.mark.skipif(
    os.name != "posix", reason="children are made ready by a fork server, which POSIX alone has"
)
def test_a_kill_at_any_moment_loses_at_most_the_stroke_being_drawn(project: Project) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_crash_safety"])
    rng = random.Random()
    told = 0
    for number in range(KILLS):
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=work, args=(project.folder, sender, number))
        child.start()
        sender.close()
        assert receiver.poll(60)
        time.sleep(rng.uniform(0, 0.03))
        child.kill()
        child.join()
        announced = drain(receiver)
        receiver.close()
        told += len(announced)
        row, digest = announced[-1]
        with Project.open(project.folder) as opened:
            # The hash of a row stands for all rows before it, so the last one announced proves the rest.
            assert hash_of(opened, row) == digest
            assert row <= opened.journal_tip()[0] <= row + 1
            assert opened.verify() == []
            assert opened.prediction(1) is None or opened.prediction(1).labels.shape == (48, 64)
    assert told > KILLS


def hash_of(project: Project, row: int) -> str:
    found = project._store.row("SELECT hash FROM journal WHERE id = ?", (row,))
    assert found is not None
    return str(found["hash"])
