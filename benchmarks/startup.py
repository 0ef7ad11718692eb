"""How long the package takes to import and the command line to answer, each in fresh processes.

Run ``python benchmarks/startup.py``. The limits are those of the documentation: 0.2 s for the import, 0.5 s for
``--help``; both as the median of several runs, less what an empty interpreter takes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 7
CASES = {
    "import napari_diamant": (["-c", "import napari_diamant"], 0.2),
    "import napari_diamant.project": (["-c", "import napari_diamant.project"], None),
    "napari-diamant --help": (["-m", "napari_diamant", "--help"], 0.5),
}


def seconds(words: list[str], runs: int = RUNS) -> float:
    """Give the median wall time of a fresh interpreter with these arguments."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    empty = seconds(["-c", "pass"])
    print(f"{'':32}{'seconds':>9}{'limit':>9}   (an empty interpreter: {empty:.3f} s)")
    for name, (words, limit) in CASES.items():
        took = seconds(words) - empty
        verdict = "" if limit is None else "  ok" if took < limit else "  TOO SLOW"
        print(f"{name:32}{took:9.3f}{limit or '':>9}{verdict}")


if __name__ == "__main__":
    main()
