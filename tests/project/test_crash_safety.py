"""A kill at any moment loses at most the stroke that was being drawn."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from multiprocessing.connection import Connection

import pytest
from crash_child import work

from napari_diamant.project import Project

KILLS = 50


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
    context.set_forkserver_preload(["napari_diamant.project"])
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
            # A prediction is there whole or not at all, whatever was being written.
            assert opened.prediction_file(1).exists() == (opened.prediction(1) is not None)
    assert told > KILLS
    with Project.open(project.folder) as opened:
        assert opened.verify() == []


def hash_of(project: Project, row: int) -> str:
    found = project._store.row("SELECT hash FROM journal WHERE id = ?", (row,))
    assert found is not None
    return str(found["hash"])
