"""One fit in a process of its own, which another one kills; ``fit_child.py OUT``."""

import json
import sys
from pathlib import Path

import torch
from blobs import blob

from napari_diamant.config import AttentionConfig, ModelConfig, TrainConfig
from napari_diamant.engine.train import fit

MODEL = ModelConfig(maps=3, width=4, depth=2)
RECIPE = TrainConfig(epochs=16, steps_per_epoch=3, batch_size=2, crop=32, precision="float32", device="cpu")


def task():
    """Give what is learned, so that every process learns the same."""
    return [blob(index, with_maps=True) for index in range(6)], MODEL, RECIPE


def say(progress):
    """Print one line per news."""
    print(json.dumps(progress.as_json()), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    fit(*task(), Path(sys.argv[1]), attention=AttentionConfig(), report=say)
