"""How long a fit lasts and how fast it learns at each moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, pi
from typing import Literal

from napari_diamant.config import TrainConfig

WARM_UP = 20
"""Optimiser steps over which the learning rate rises."""

FLOOR = 0.01
"""Share of the learning rate that is left at the end."""


@dataclass(frozen=True)
class Budget:
    """Epochs and minutes, whichever end first.

    Attributes
    ----------
    steps
        Optimiser steps in all, None when time alone decides.
    seconds
        Of the whole fit, None when epochs alone decide.
    """

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, config: TrainConfig, steps_per_epoch: int) -> Budget:
        """Read the budget of a configuration."""
        steps = None if config.epochs is None else config.epochs * steps_per_epoch
        return cls(steps, None if config.minutes is None else config.minutes * 60)

    def progress(self, step: int, elapsed: float, reserve: float = 0.0) -> float:
        """Give the part that is used up, in [0, 1], after `step` steps and `elapsed` seconds.

        `reserve` is the time that is needed after the last step; at most half of the budget is set aside.
        """
        by_steps = step / self.steps if self.steps else 0.0
        by_time = (elapsed + min(reserve, self.seconds / 2)) / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_time))

    def seconds_left(self, step: int, elapsed: float, seconds_per_step: float) -> float:
        """Estimate how many seconds the fit still takes."""
        by_steps = (self.steps - step) * seconds_per_step if self.steps else float("inf")
        by_time = self.seconds - elapsed if self.seconds else float("inf")
        return max(0.0, min(by_steps, by_time))


@dataclass
class Costs:
    """Seconds that the newest of each took: an optimiser step, a held-out score, a saved state."""

    step: float = 0.0
    score: float = 0.0
    keep: float = 0.0

    @contextmanager
    def measured(self, what: Literal["step", "score", "keep"]) -> Iterator[None]:
        """Time what is done inside."""
        began = time.monotonic()
        yield
        setattr(self, what, time.monotonic() - began)


def learning_rate(progress: float, step: int) -> float:
    """Give the factor of the learning rate: a linear warm-up, then half a cosine down to `FLOOR`."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm * (FLOOR + (1 - FLOOR) * (1 + cos(pi * progress)) / 2)
