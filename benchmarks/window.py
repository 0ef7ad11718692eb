"""How the window answers while a fit runs, and how soon it is idle after Cancel.

Run ``python benchmarks/window.py`` under a display. A timer of 5 ms runs in the window's event loop; what a
tick comes later than that is the time a click would have waited. The same window is measured without and with
a fit, with hands off and with somebody painting. The limits are those of the documentation: 50 ms for the
99th percentile while a fit runs, 1 s from Cancel to idle. A dab of paint redraws the canvas within one tick,
so with software OpenGL that time is the dab's own; the ratio tells what the fit adds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from qtpy.QtCore import QElapsedTimer, QEventLoop, Qt, QTimer

from napari_diamant.gui.launch import open_window
from napari_diamant.gui.widget import DiamantWidget
from napari_diamant.io import read_labels, sample_folder
from napari_diamant.project import Project

TICK_MS = 5
SECONDS = 10.0
CANCELS = 3
P99_LIMIT_MS = 50.0
CANCEL_LIMIT_S = 1.0


def spend(seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
    """Let the event loop run so long, or until something holds; tell whether it does."""
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    watch = QTimer()
    watch.timeout.connect(lambda: loop.quit() if until() else None)
    watch.start(20)
    loop.exec()
    return until()


def late_ms(seconds: float) -> np.ndarray:
    """Give how late each tick came, in milliseconds."""
    late: list[float] = []
    clock = QElapsedTimer()
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: late.append(clock.nsecsElapsed() / 1e6 - TICK_MS) or clock.start())
    clock.start()
    timer.start(TICK_MS)
    spend(seconds)
    return np.maximum(late, 0)


def make_project(folder: Path) -> Project:
    """Make a project whose two images are reviewed, so that there is something to learn."""
    sample = sample_folder() / "tissue"
    images = sorted((sample / "images").glob("*.png"))[:2]
    project = Project.create(folder)
    for added, path in zip(project.add(images), images, strict=True):
        project.start_from(added.id, (read_labels(sample / "masks" / path.name) > 0).astype(np.uint8))
        project.set_reviewed(added.id, True)
    return project


def start_fit(widget: DiamantWidget) -> None:
    """Start a fit that outlasts the measurement, and wait until it learns."""
    job = widget.controller.job
    learning: list[object] = []
    heard = job.progress.connect(lambda event: learning.append(event) if "seconds_left" in event else None)
    widget.controller.fine_tune({"minutes": 10.0, "restart": True})
    spend(120, lambda: bool(learning) or not job.running)
    job.progress.disconnect(heard)
    if not learning:
        raise SystemExit("The fit did not start; run `napari-diamant fine-tune` on a project to see why.")


def paint_by_hand(widget: DiamantWidget) -> QTimer:
    """Paint a dab every 100 ms, as a slow hand does."""
    layer = widget.controller.session.mask.layer
    height, width = layer.data.shape
    rng = np.random.default_rng(0)
    timer = QTimer()
    timer.timeout.connect(lambda: layer.paint((rng.integers(height), rng.integers(width)), 1))
    timer.start(100)
    return timer


def cancel_seconds(widget: DiamantWidget) -> float:
    """Give the time from Cancel until the child and all it started are gone."""
    job = widget.controller.job
    family = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    start = time.perf_counter()
    job.cancel()
    spend(10, lambda: not job.running and not any(member.is_running() for member in family))
    return time.perf_counter() - start


def line(name: str, late: np.ndarray, without: np.ndarray | None = None, limit: bool = False) -> None:
    """Print the percentiles of one phase, and its ratio to the same without a fit."""
    median, p99 = np.percentile(late, (50, 99))
    ratio = "" if without is None else f"{p99 / max(0.1, np.percentile(without, 99)):7.1f} x"
    verdict = ("  ok" if p99 < P99_LIMIT_MS else "  TOO SLOW") if limit else ""
    print(f"{name:30}{median:8.1f}{p99:8.1f}{late.max():8.1f}{ratio}{verdict}", flush=True)


def painted_ms(widget: DiamantWidget) -> np.ndarray:
    """Give how late each tick came while somebody paints."""
    hand = paint_by_hand(widget)
    late = late_ms(SECONDS)
    hand.stop()
    return late


def measure(project: Path) -> None:
    """Open the window on a project and measure it."""
    viewer = open_window([project])
    widget = viewer.window._qt_window.findChild(DiamantWidget)
    spend(60, lambda: bool(widget.heads.heads()))
    spend(3)
    print(
        f"{'late by, ms':30}{'median':>8}{'p99':>8}{'max':>8}  p99 to that without (limit {P99_LIMIT_MS:.0f})"
    )
    idle, painted = late_ms(SECONDS), painted_ms(widget)
    line("no fit, hands off", idle)
    line("no fit, painting", painted)
    start_fit(widget)
    line("a fit runs, hands off", late_ms(SECONDS), idle, limit=True)
    line("a fit runs, painting", painted_ms(widget), painted)
    times = [cancel_seconds(widget)]
    while len(times) < CANCELS:
        start_fit(widget)
        times.append(cancel_seconds(widget))
    verdict = "ok" if max(times) < CANCEL_LIMIT_S else "TOO SLOW"
    said = ", ".join(f"{took:.2f}" for took in times)
    print(f"cancel to idle, s: {said} (limit {CANCEL_LIMIT_S:.0f} s)  {verdict}")
    viewer.close()


def main() -> None:
    """Measure on a project of its own."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise SystemExit("A window needs a display. Run it as: xvfb-run -a python benchmarks/window.py")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        make_project(project).close()
        measure(project)


if __name__ == "__main__":
    main()
