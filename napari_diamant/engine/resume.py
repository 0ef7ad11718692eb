"""What a fit leaves on the disk after every epoch, so that a killed one can go on as if never killed."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from napari_diamant.config import Config
from napari_diamant.engine.dataset import TrainingImage
from napari_diamant.io.atomic import atomic

State = dict[str, Any]
"""Tensors, numbers, strings, and lists and dictionaries of them: nothing that would need code to be read."""


def state_path(out: Path) -> Path:
    """Give the place of the state of the fit that will write `out`."""
    return out.with_name(out.name + ".state")


def fingerprint(images: Sequence[TrainingImage], configs: Sequence[Config | None], parent: str | None) -> str:
    """Compute what must be equal for a fit to be continued: images, labels, maps, configurations, parent."""
    digest = hashlib.sha256(str(parent).encode())
    for config in configs:
        digest.update((config.model_dump_json() if config else "none").encode())
    for image in images:
        digest.update(f"{image.content_hash} {image.labels.shape}".encode())
        digest.update(image.labels.astype("<i2").tobytes())
        digest.update((image.maps.weights_hash if image.maps else "none").encode())
    return digest.hexdigest()


def save_state(path: Path, state: State, fingerprint: str) -> None:
    """Write the state, whole or not at all."""
    with atomic(path) as temporary:
        torch.save({"fingerprint": fingerprint, **state}, temporary)


def load_state(path: Path, fingerprint: str) -> State | None:
    """Read the state of the same fit; None when there is none, or a damaged one, or another fit's."""
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        return None
    return state if state.get("fingerprint") == fingerprint else None
