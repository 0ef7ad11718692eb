"""The newest prediction of each sample, one ``.npz`` file each."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_diamant.errors import UserError
from napari_diamant.io.atomic import atomic
from napari_diamant.types import Array, Prediction, Sample


class Predictions:
    """The folder ``predictions/``. A file appears whole or not at all, and may be deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sample: Sample) -> Path:
        """Give the file that a sample's prediction has or would have."""
        return self._folder / f"{sample.id}.npz"

    def save(self, sample: Sample, prediction: Prediction) -> Path:
        """Replace a sample's prediction; the file holds ``labels``, ``model`` and, if known, the rest."""
        if prediction.labels.shape != sample.shape:
            raise UserError(
                f"A prediction must have its image's size {sample.shape}, got {prediction.labels.shape}."
                " Predict the image again."
            )
        arrays = {"labels": prediction.labels, "model": np.array(prediction.model_id)}
        if prediction.probabilities is not None:
            arrays["probabilities"] = prediction.probabilities
        if prediction.heads is not None:
            arrays["heads"] = np.array(prediction.heads, np.int64)
        path = self.path(sample)
        with atomic(path) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)
        return path

    @contextmanager
    def _opened(self, sample: Sample) -> Iterator[Any]:
        # numpy leaves a file open that it opened itself and found damaged.
        with self.path(sample).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            yield file

    def load(self, sample: Sample) -> Prediction | None:
        """Give a sample's prediction; None when there is none, or only an unreadable or foreign one."""
        # A prediction can be made again: a damaged one counts as none instead of stopping the work.
        try:
            with self._opened(sample) as file:
                prediction = Prediction(
                    labels=file["labels"],
                    model_id=str(file["model"]),
                    probabilities=file.get("probabilities"),
                    heads=tuple(map(int, file["heads"])) if "heads" in file else None,
                )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        return prediction if prediction.labels.shape == sample.shape else None

    def labels(self, sample: Sample) -> Array | None:
        """Give the labels alone, without reading the probabilities."""
        try:
            with self._opened(sample) as file:
                labels: Array = file["labels"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        return labels if labels.shape == sample.shape else None

    def model(self, sample: Sample) -> str | None:
        """Give the model that made a sample's prediction, without reading the arrays."""
        try:
            with self._opened(sample) as file:
                return str(file["model"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None
