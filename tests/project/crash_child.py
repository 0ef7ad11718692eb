"""What the process does that `test_crash_safety` kills; it imports little, so that many can be started."""

from __future__ import annotations

import random
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from napari_diamant.project import Project
from napari_diamant.types import Correction, Prediction


def work(folder: Path, finished: Connection, seed: int) -> None:
    """Draw, undo and review without end, and announce each row once it is said to be on the disk."""
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
