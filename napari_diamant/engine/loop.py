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
from napari_diamant.engine.schedule import Budget, learning_rate
from napari_diamant.engine.step import Stepper
from napari_diamant.engine.validation import EPOCH_PIXELS, HeldOut, Scores
from napari_diamant.errors import UserError
from napari_diamant.types import JSON, Progress, Report

AHEAD = 4
"""Batches that are cut while a GPU computes; on a CPU cutting and computing share the same cores."""

LEAST_STEPS = 25
"""Fewest steps of an epoch, so that the score after it is not most of the work when images are few."""

EPOCHS_IN_TIME = 10
"""Fewest epochs of a fit that minutes alone end, so that a slow machine has a curve to show as well."""


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
    best_score, best
        That Dice with the negative loss, which decides between equals, and their weights; None
        before there are any.
    history
        One object per epoch.
    before
        Held-out scores of the model the fit started from, where there is one.
    """

    step: int = 0
    epoch: int = 0
    elapsed: float = 0.0
    stale: int = 0
    best_score: tuple[float, float] | None = None
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
        by_time = config.minutes is not None and config.epochs is None
        self._longest_epoch = 60 * (config.minutes or 0) / EPOCHS_IN_TIME if by_time else float("inf")
        self._began, self._first_step, self._told = time.monotonic(), 0, 0.0

    @property
    def elapsed(self) -> float:
        """Seconds this fit has run, earlier processes included."""
        return self.moment.elapsed + time.monotonic() - self._began

    @property
    def progress(self) -> float:
        """Part of the budget that is used up."""
        return self.budget.progress(self.moment.step, self.elapsed)

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
        """Learn until the budget or the patience is used up, and hand a state to `keep` after every epoch.

        Raises
        ------
        UserError
            When the loss is no number any more, or a single crop does not fit into memory.
        """
        while not self.finished:
            self._epoch()
            keep(self.state())

    def restore_best(self) -> None:
        """Go back to the weights that scored best on the held-out part, where one was scored."""
        if self.moment.best is not None:
            self.stepper.bare.load_state_dict(self.moment.best)

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
        for batch in self.sampler.batches(first, first + self.steps_per_epoch, self.config.batch_size, ahead):
            losses.append(self._step(batch))
            if self.progress >= 1 or time.monotonic() - began >= self._longest_epoch:
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
        scores, moment = self.score(EPOCH_PIXELS), self.moment
        if scores is not None:
            entry |= {"val_loss": scores.loss, "val_dice": scores.dice}
            moment.stale += 1
            reached = (scores.dice, -scores.loss)
            if moment.best_score is None or reached > moment.best_score:
                moment.stale, moment.best_score = 0, reached
                weights = self.stepper.bare.state_dict()
                moment.best = {name: value.detach().clone() for name, value in weights.items()}
        moment.history.append(entry)
        self._tell(f"Epoch {moment.epoch} learned", entry)

    def _tell(self, message: str, values: JSON) -> None:
        """Report, with an estimate of epochs and time, and where the fit runs."""
        self._told = self.elapsed
        done = max(1, self.moment.step - self._first_step)
        per_step = (time.monotonic() - self._began) / done
        left = self.budget.seconds_left(self.moment.step, self.elapsed, per_step)
        epochs = self.config.epochs or ceil(max(1, self.moment.epoch) / max(self.progress, 0.01))
        outlook: JSON = {"epochs": epochs, "seconds_left": left, "device": devices.words(self.device)}
        if self.device.type == "cuda":
            outlook["peak_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 2**20
        self.report(Progress(message, round(100 * self.progress), 100, {**values, **outlook}))
