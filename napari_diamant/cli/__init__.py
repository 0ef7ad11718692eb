"""The command line: every verb for terminals, scripts, clusters and the window's child processes.

Importing this package is quick: torch, Qt and the libraries of file formats are loaded inside the verbs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    Parameters
    ----------
    argv
        The words after the program's name; None takes them from the process.
    """
    # Threads that spin for long while they wait take the cores from each other as soon as anything else runs,
    # such as the window; threads that never spin took twice as long on a quiet machine. Torch reads this when
    # it is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from napari_diamant.cli.app import app
    from napari_diamant.cli.failures import INTERRUPTED, announce, prepare_terminal

    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    prepare_terminal()
    try:
        code = app(words, prog_name="napari-diamant", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place that turns errors into sentences
        return announce(error, words)
    # Newer typer returns 130 for an interrupt instead of raising it.
    return announce(KeyboardInterrupt(), words) if code == INTERRUPTED else int(code or 0)
