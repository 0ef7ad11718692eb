"""Asks the warm engine for maps and masks of the open image, and drops answers nobody waits for any more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_diamant.gui.jobs import EngineProcess
from napari_diamant.types import JSON, Array


class Predictor(QObject):
    """What the window wants to know of the engine: the newest answer of each kind for the open image.

    Signals
    -------
    ready : dict
        The engine's words about device and weights.
    maps_made : dict
        Answer to `attend`; read it with `load_maps`.
    mask_made : dict
        Answer to `predict`; read it with `load_labels`.
    maps_failed : str
        Why there are no maps.
    configured
        Another vision transformer is in use.
    status : str
        What the engine does, empty when it waits.
    failed : str
        One sentence.

    Parameters
    ----------
    project
        Folder of the project.
    command
        Words that start the program, None for the window's interpreter.
    """

    ready = Signal(object)
    maps_made = Signal(object)
    mask_made = Signal(object)
    maps_failed = Signal(str)
    configured = Signal()
    status = Signal(str)
    failed = Signal(str)

    def __init__(
        self, project: Path, command: Sequence[str] | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.process = EngineProcess(project, command, self)
        self._wanted: dict[str, int] = {}
        self.process.ready.connect(self.ready)
        self.process.result.connect(self._on_result)
        self.process.progress.connect(self._on_progress)
        self.process.superseded.connect(self._forget)
        self.process.failed.connect(self._on_failed)
        self.process.stopped.connect(self._on_stopped)

    def attend(self, sample_id: int) -> None:
        """Ask for the attention maps of an image; an earlier question of the same kind is void."""
        self._ask("attend", "Computing attention…", sample=sample_id)

    def predict(self, sample_id: int, heads: Sequence[int] | None = None, model: str | None = None) -> None:
        """Ask for a mask made with these heads, None for all; an earlier question is void."""
        chosen = None if heads is None else list(heads)
        self._ask("predict", "Predicting…", sample=sample_id, heads=chosen, model=model)

    def configure(self, backbone: str, weights: str | None) -> None:
        """Take another vision transformer; `ready` tells when it is there."""
        self._ask("configure", "Loading weights…", backbone=backbone, weights=weights)

    def forget(self) -> None:
        """Drop the answers that are still to come: another image is open."""
        self._wanted.clear()
        self.status.emit("")

    def close(self) -> None:
        """End the engine."""
        self._wanted.clear()
        self.process.close()

    def _ask(self, verb: str, words: str, **fields: Any) -> None:
        self._wanted[verb] = self.process.request(verb, **fields)
        self.status.emit(words)

    def _forget(self, number: int) -> bool:
        """Cross out a question; False when nobody waits for its answer."""
        verb = next((verb for verb, wanted in self._wanted.items() if wanted == number), None)
        if verb is None:
            return False
        del self._wanted[verb]
        if not self._wanted:
            self.status.emit("")
        return True

    def _on_result(self, number: int, event: JSON) -> None:
        verb = next((verb for verb, wanted in self._wanted.items() if wanted == number), None)
        if not self._forget(number):
            return
        if verb == "attend":
            self.maps_made.emit(event)
        elif verb == "predict":
            self.mask_made.emit(event)
        elif verb == "configure":
            self.configured.emit()

    def _on_progress(self, number: int, event: JSON) -> None:
        if number in self._wanted.values():
            self.status.emit(str(event.get("message", "")))

    def _on_failed(self, number: int, message: str) -> None:
        if number == self._wanted.get("attend"):
            self.maps_failed.emit(message)
        if self._forget(number):
            self.failed.emit(message)

    def _on_stopped(self, message: str) -> None:
        if "attend" in self._wanted:
            self.maps_failed.emit(message)
        self._wanted.clear()
        self.status.emit("")
        self.failed.emit(message)


def load_maps(answer: JSON) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Read the maps that an answer points to: ``(head, rows, columns)``, and the size of a cell in pixels."""
    with np.load(answer["maps"]) as arrays:
        maps = np.asarray(arrays["maps"], np.float32)
    height, width = answer["scale"]
    return maps, (float(height), float(width))


def load_labels(answer: JSON) -> Array:
    """Read the mask that an answer points to, ``(Y, X)``."""
    with np.load(answer["prediction"]) as arrays:
        return np.asarray(arrays["labels"])
