"""Stands in for ``python -m napari_diamant``: the same language, quick answers, no torch."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from napari_diamant.project import Project
from napari_diamant.types import Prediction

HEADS = 3
NO_WEIGHTS = "The weights could not be downloaded. Choose a file."
"""What an engine says that has no transformer: that of a project with the class "no weights"."""


def say(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def attend(project: Project, request: dict) -> dict:
    if "no weights" in project.classes:
        return {"event": "error", "message": NO_WEIGHTS}
    height, width = project.sample(request["sample"]).shape
    maps = np.random.default_rng(0).random((HEADS, -(-height // 8), -(-width // 8)), np.float32)
    path = project.folder / f"maps{request['sample']}.npz"
    np.savez(path, maps=maps)
    return {"maps": str(path), "scale": (8.0, 8.0), "backbone": "a stand-in", "trained": False}


def predict(project: Project, request: dict) -> dict:
    """Fill as many thirds of the image, from the left, as there are heads in use."""
    height, width = project.sample(request["sample"]).shape
    labels = np.zeros((height, width), np.uint8)
    heads = range(HEADS) if request["heads"] is None else request["heads"]
    labels[:, : width * len(heads) // HEADS] = 1
    path = project.save_prediction(request["sample"], Prediction(labels, "m1", heads=tuple(heads)))
    return {"prediction": str(path), "model": "m1", "heads": list(heads), "seconds": 0.1}


def engine(project: Project) -> None:
    words = NO_WEIGHTS if "no weights" in project.classes else "RANDOM weights"
    say(event="ready", device="CPU", weights=words, trained=False)
    for line in sys.stdin:
        request = json.loads(line)
        if request["verb"] == "quit":
            return
        answer = {"attend": attend, "predict": predict}[request["verb"]](project, request)
        say(**{"event": "result", "id": request["id"], **answer})


def fine_tune(epochs: int = 3) -> None:
    seconds = 60 if "9.0" in sys.argv else 0.05
    for epoch in range(1, epochs + 1):
        say(event="progress", message=f"Epoch {epoch}", done=epoch, total=epochs, epoch=epoch, loss=1 / epoch)
        time.sleep(seconds)
    say(event="result", model="m2", before=0.5, after=0.75, held_out="1 image", promoted=True, seconds=1.0)


if __name__ == "__main__":
    if sys.argv[1] == "engine":
        with Project.open(Path(sys.argv[2])) as opened:
            engine(opened)
    else:
        fine_tune()
