"""The loop of a fit: epochs, held-out scores, news, and a state from which it can be continued."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, isfinite

import torch
from torch import Tensor

from napari_diamant.config import TrainConfig
from napari_diamant.engine import device as devices
from napari_diamant.engine.dataset import Batch, CropSampler
from napari_diamant.engine.resume import State
from napari_diamant.engine.schedule import Budget, Costs, learning_rate
from napari_diamant.engine.step import Stepper
from napari_diamant.engine.validation import EPOCH_PIXELS, FINAL_PIXELS, HeldOut, Scores
from napari_diamant.errors import UserError
from napari_diamant.types import JSON, Progress, Report

AHEAD = 4
"""Batches that are cut while a GPU computes; on a CPU cutting and computing share the same cores."""

LEAST_STEPS = 25
"""Fewest steps of an epoch, so that the score after it is not most of the work when images are few."""

EPOCHS_IN_TIME = 10
"""Fewest epochs of a fit that minutes alone end, so that a slow machine has a curve to show as well."""

SCORE_SHARE, EPOCHS_AT_LEAST = 0.1, 4
"""Largest share of such a fit's time that goes into scores; the curve keeps this many points all the same."""

UNBOUNDED = 2**40
"""Steps that no epoch reaches: time ends it."""

STATE_SHARE = 0.05
"""Largest share of a fit's time that goes into saving its state, but for the first."""


@dataclass
class Moment:
    """Where a fit stands; all of it is saved.

    Attributes
    ----------
    step, epoch
        Optimiser steps and epochs that are done.
    elapsed
        Seconds the fit had run when the process began.
    stale
        Epochs since the best held-out Dice.
    best_scores, best
        The scores with that Dice, the loss deciding between equals, and their weights; None before there
        are any.
    history
        One object per epoch.
    before
        Held-out scores of the model the fit started from, where there is one.
    """

    step: int = 0
    epoch: int = 0
    elapsed: float = 0.0
    stale: int = 0
    best_scores: dict[str, float] | None = None
    best: dict[str, Tensor] | None = None
    history: list[JSON] = field(default_factory=list)
    before: dict[str, float] | None = None


class Loop:
    """Fits one network; `run` goes on from wherever `moment` stands.

    Parameters
    ----------
    stepper
        Makes the steps.
    config
        The recipe.
    sampler
        Where windows come from.
    held_out
        What is scored after every epoch.
    report
        Gets one `Progress` per epoch, and one about every second.
    """

    def __init__(
        self, stepper: Stepper, config: TrainConfig, sampler: CropSampler, held_out: HeldOut, report: Report
    ) -> None:
        self.stepper, self.config, self.sampler = stepper, config, sampler
        self.held_out, self.report = held_out, report
        self.moment = Moment()
        self.device = stepper.accelerator.device
        one_pass = -(-len(sampler.images) // config.batch_size)
        self.steps_per_epoch = config.steps_per_epoch or max(LEAST_STEPS, one_pass)
        self.budget = Budget.of(config, self.steps_per_epoch)
        self.costs = Costs()
        self._began, self._first_step, self._told, self._kept = time.monotonic(), 0, 0.0, -float("inf")

    @property
    def elapsed(self) -> float:
        """Seconds this fit has run, earlier processes included."""
        return self.moment.elapsed + time.monotonic() - self._began

    @property
    def progress(self) -> float:
        """Part of the budget that is used up, with what the end of the fit will take set aside."""
        last = self.costs.score * (1 + self.held_out.times_as_many(EPOCH_PIXELS, FINAL_PIXELS))
        return self.budget.progress(self.moment.step, self.elapsed, self.costs.step + last + self.costs.keep)

    @property
    def finished(self) -> bool:
        """True when the budget is used up, or patience is."""
        patience = self.config.patience
        return self.progress >= 1 or (patience is not None and self.moment.stale >= patience)

    def score(self, pixels: int) -> Scores | None:
        """Score the network as it is on the held-out part; None when nothing is held out."""
        if not self.held_out:
            return None
        return self.held_out.score(self.stepper.network, self.device, pixels)

    def run(self, keep: Callable[[State], None]) -> None:
        """Learn until the budget or the patience is used up, and hand states to `keep` after epochs.

        Where epochs are so short that saving would take a good part of the time, some are not saved.

        Raises
        ------
        UserError
            When the loss is no number any more, or a single crop does not fit into memory.
        """
        while not self.finished:
            self._epoch()
            if self.finished or STATE_SHARE * (self.elapsed - self._kept) >= self.costs.keep:
                with self.costs.measured("keep"):
                    keep(self.state())
                self._kept = self.elapsed

    def finish(self) -> dict[str, float] | None:
        """Go back to the weights that scored best on the held-out part, and give their final scores."""
        if self.moment.best is not None:
            self.stepper.bare.load_state_dict(self.moment.best)
            if self.held_out.times_as_many(EPOCH_PIXELS, FINAL_PIXELS) == 0:
                return self.moment.best_scores
        scores = self.score(FINAL_PIXELS)
        return scores.as_dict() if scores else None

    def state(self) -> State:
        """Give all that `load` needs to go on from here."""
        return {
            "network": self.stepper.bare.state_dict(),
            "optimizer": self.stepper.optimizer.state_dict(),
            "moment": {**vars(self.moment), "elapsed": self.elapsed},
        }

    def load(self, state: State) -> None:
        """Go on from a state."""
        self.stepper.bare.load_state_dict(state["network"])
        self.stepper.optimizer.load_state_dict(state["optimizer"])
        self.moment = Moment(**state["moment"])
        self._began, self._first_step = time.monotonic(), self.moment.step

    def _epoch(self) -> None:
        moment, began, first = self.moment, time.monotonic(), self.moment.step
        self.stepper.network.train()
        losses = []
        ahead = 0 if self.device.type == "cpu" else AHEAD
        longest = self.config.steps_per_epoch or (UNBOUNDED if self._by_time else self.steps_per_epoch)
        for batch in self.sampler.batches(first, first + longest, self.config.batch_size, ahead):
            with self.costs.measured("step"):
                losses.append(self._step(batch))
            if self._epoch_is_over(len(losses), time.monotonic() - began):
                break
        loss = float(torch.stack(losses).mean())
        if not isfinite(loss):
            raise UserError(
                f"The loss must stay a finite number, got {loss} in epoch {moment.epoch + 1}. "
                "Lower learning_rate, or set precision to float32."
            )
        rate = len(losses) * self.config.batch_size / (time.monotonic() - began)
        moment.epoch += 1
        self._judge({"epoch": moment.epoch, "loss": loss, "images_per_second": rate})

    @property
    def _by_time(self) -> bool:
        return self.config.epochs is None

    def _epoch_is_over(self, steps: int, seconds: float) -> bool:
        """Tell whether a score is due; where time ends the fit, not before it is worth its own time."""
        if self.progress >= 1:
            return True
        if not self._by_time or self.budget.seconds is None:
            return False
        worth = min(self.costs.score / SCORE_SHARE, self.budget.seconds / EPOCHS_AT_LEAST)
        long = steps >= self.steps_per_epoch or seconds >= self.budget.seconds / EPOCHS_IN_TIME
        return long and seconds >= worth

    def _step(self, batch: Batch) -> Tensor:
        part = self.stepper.part
        rate = learning_rate(self.progress, self.moment.step)
        loss = self.stepper.step(batch, self.moment.step, rate)
        self.moment.step += 1
        if self.stepper.part < part:
            self._tell(f"Out of memory: from here on {self.stepper.part} crops at a time", {})
        if self.elapsed - self._told >= 1:
            self._tell(f"Learning, epoch {self.moment.epoch + 1}", {})
        return loss

    def _judge(self, entry: JSON) -> None:
        """Score the network after an epoch, remember it when it is the best so far, and tell."""
        moment = self.moment
        with self.costs.measured("score"):
            scores = self.score(EPOCH_PIXELS)
        if scores is not None:
            entry |= {"val_loss": scores.loss, "val_dice": scores.dice}
            moment.stale += 1
            if moment.best_scores is None or _rank(scores.as_dict()) > _rank(moment.best_scores):
                moment.stale, moment.best_scores = 0, scores.as_dict()
                weights = self.stepper.bare.state_dict()
                moment.best = {name: value.detach().clone() for name, value in weights.items()}
        moment.history.append(entry)
        self._tell(f"Epoch {moment.epoch} learned", entry)

    def _tell(self, message: str, values: JSON) -> None:
        """Report, with an estimate of epochs and time, and where the fit runs."""
        self._told = self.elapsed
        done = max(1, self.moment.step - self._first_step)
        per_step = (time.monotonic() - self._began) / done
        left = (
            0.0 if self.progress >= 1 else self.budget.seconds_left(self.moment.step, self.elapsed, per_step)
        )
        epochs = self.config.epochs or ceil(max(1, self.moment.epoch) / max(self.progress, 0.01))
        outlook: JSON = {"epochs": epochs, "seconds_left": left, "device": devices.words(self.device)}
        if self.device.type == "cuda":
            outlook["peak_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 2**20
        self.report(Progress(message, round(100 * self.progress), 100, {**values, **outlook}))


def _rank(scores: dict[str, float]) -> tuple[float, float]:
    return scores["dice"], -scores["loss"]
