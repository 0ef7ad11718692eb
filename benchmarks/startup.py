"""How long the package takes to import and the command line to answer, each in fresh processes.

Run ``python benchmarks/startup.py``. Wall and processor time are the least of several runs, less what an
empty interpreter takes; the limits are held against processor time, which other programs do not stretch.
"""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

RUNS = 7
CASES: dict[str, tuple[list[str], float | None]] = {
    "import napari_diamant": (["-c", "import napari_diamant"], 0.2),
    "import napari_diamant.project": (["-c", "import napari_diamant.project"], None),
    "napari-diamant --help": (["-m", "napari_diamant", "--help"], 0.5),
}


def least(words: list[str], runs: int = RUNS) -> tuple[float, float]:
    """Give the least wall and processor seconds of a fresh interpreter with these arguments."""
    walls, processors = [], []
    for _ in range(runs):
        start = time.perf_counter()
        before = _children()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - start)
        processors.append(_children() - before)
    return min(walls), min(processors)


def _children() -> float:
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def main() -> int:
    """Print the table; 1 when a limit is broken."""
    empty = least(["-c", "pass"])
    slow = False
    print(f"{'seconds above an empty interpreter':36}{'wall':>8}{'processor':>11}{'limit':>8}")
    for name, (words, limit) in CASES.items():
        wall, processor = (took - base for took, base in zip(least(words), empty, strict=True))
        slow |= limit is not None and processor > limit
        print(f"{name:36}{wall:8.3f}{processor:11.3f}{limit or '':>8}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
