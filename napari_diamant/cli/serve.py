"""The hidden verb ``engine``: a child process of the window that keeps the networks warm.

It reads one JSON request per line on standard input and answers on standard output, in order; the language
stands in docs/architecture.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from pydantic import BaseModel, StrictInt

from napari_diamant.cli.failures import explain
from napari_diamant.cli.options import ProjectFolder
from napari_diamant.cli.output import JsonOutput, output
from napari_diamant.cli.requests import Requests, leave_with_parent
from napari_diamant.config import STAND_IN, AttentionConfig, BackboneConfig
from napari_diamant.errors import UserError
from napari_diamant.types import JSON, Progress, Report

if TYPE_CHECKING:
    from napari_diamant.project import Project

Answer = Callable[[JSON, Report], JSON]


class AttendRequest(BaseModel):
    """Asks for the maps of an image."""

    sample: StrictInt


class PredictRequest(AttendRequest):
    """Asks for the mask of an image; None stands for all heads, and for the active model."""

    heads: list[StrictInt] | None = None
    model: str | None = None


class ConfigureRequest(BaseModel):
    """Chooses the vision transformer of the project."""

    backbone: str = STAND_IN
    weights: str | None = None


def engine(project: ProjectFolder) -> None:
    """Answer the window's requests until standard input closes."""
    leave_with_parent()
    # An object of its own: the interpreter cannot end while a thread holds the lock of sys.stdin's buffer.
    requests = Requests(open(sys.stdin.fileno(), "rb", closefd=False))  # noqa: SIM115 - lives with the process
    with output(as_json=True) as to:
        from napari_diamant.project import Project

        assert isinstance(to, JsonOutput)
        with Project.open(project) as opened:
            Engine(opened, to, requests).run()


class Superseded(Exception):
    """A newer prediction of the same sample waits, so this one need not be finished."""


class Engine:
    """Answers requests on one project.

    Parameters
    ----------
    project
        The project, which keeps the transformers and networks of the last requests loaded.
    to
        Where answers go.
    requests
        Where requests come from.
    """

    def __init__(self, project: Project, to: JsonOutput, requests: Requests) -> None:
        self._project = project
        self._to = to
        self._requests = requests
        self._answers: dict[str, Answer] = {
            "attend": self._attend,
            "predict": self._predict,
            "configure": self._configure,
        }

    def run(self) -> None:
        """Say what is ready, then answer until there are no more requests."""
        self._to.event(self._ready())
        while (request := self._requests.next()) is not None and request.get("verb") != "quit":
            self._answer(request)

    def _answer(self, request: JSON) -> None:
        number = request.get("id")

        def report(progress: Progress) -> None:
            if self._requests.supersede(request):
                raise Superseded
            self._to.event({**progress.as_json(), "id": number})

        try:
            if self._requests.supersede(request):
                raise Superseded
            event = self._find(request)(request, report)
        except Superseded:
            event = {"event": "superseded"}
        except Exception as error:  # noqa: BLE001 - one bad request must not end the process
            event = {"event": "error", "message": explain(error)}
        self._to.event({"event": "result", **event, "id": number})

    def _find(self, request: JSON) -> Answer:
        verb = request.get("verb")
        if not isinstance(verb, str) or verb not in self._answers:
            known = ", ".join([*self._answers, "quit"])
            raise UserError(f"A request is a JSON object with a verb of {known}, got {verb!r}.")
        return self._answers[verb]

    def _attend(self, request: JSON, report: Report) -> JSON:
        sample = AttendRequest.model_validate(request).sample
        maps = self._project.attend(sample, report)
        return {
            "maps": self._project.attention_file(sample),
            "heads": maps.heads,
            "scale": maps.scale,
            "translate": maps.translate,
            "backbone": self._project.backbone().words,
            "trained": maps.trained,
        }

    def _predict(self, request: JSON, report: Report) -> JSON:
        asked = PredictRequest.model_validate(request)
        start = perf_counter()
        prediction = self._project.predict(asked.sample, asked.heads, report, asked.model)
        return {
            "prediction": self._project.prediction_file(asked.sample),
            "model": prediction.model_id,
            "heads": prediction.heads,
            "seconds": perf_counter() - start,
        }

    def _configure(self, request: JSON, report: Report) -> JSON:
        asked = ConfigureRequest.model_validate(request)
        settings = self._project.settings
        before = settings.get("attention")
        kept = settings.config("attention", AttentionConfig())
        backbone = BackboneConfig(name=asked.backbone, weights=asked.weights)
        settings["attention"] = kept.model_copy(update={"backbone": backbone}).model_dump(mode="json")
        try:
            return {"event": "ready", **self._project.readiness()}
        except UserError:
            # Weights that cannot be loaded must not leave the project unable to work.
            if before is None:
                del settings["attention"]
            else:
                settings["attention"] = before
            raise

    def _ready(self) -> JSON:
        """Load the transformer; where it cannot be had, say why and go on: `configure` can choose another."""
        try:
            return {"event": "ready", **self._project.readiness()}
        except UserError as error:
            from napari_diamant.engine import device

            words = device.words(device.choose_device())
            return {"event": "ready", "device": words, "weights": str(error), "trained": False}
