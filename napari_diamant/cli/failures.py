"""From an exception to one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

import typer

from napari_diamant.cli.output import json_line, private_stdout, write_line
from napari_diamant.errors import UserError

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
DEBUG = "NAPARI_DIAMANT_DEBUG"
"""Environment variable: set, tracebacks and the libraries' warnings are shown."""

# typer carries its own copy of click from 0.26 on and used the real one before: this is the base of both.
WrongUse = typer.BadParameter.__mro__[2]


def prepare_terminal() -> None:
    """Keep libraries' warnings off the terminal, and letters it lacks from ending the program."""
    if not sys.warnoptions and not os.environ.get(DEBUG):
        warnings.simplefilter("ignore")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def announce(error: BaseException, words: Sequence[str]) -> int:
    """Say what went wrong, to programs on standard output too, and give the exit code."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    sentence = explain(error)
    write_line(sys.stderr, sentence)
    if "--json" in words or words[:1] == ["engine"]:
        with private_stdout() as stream:
            write_line(stream, json_line({"event": "error", "message": sentence}))
    return exit_code(error)


def exit_code(error: BaseException) -> int:
    """Tell a wrong use from an interrupt from a failure."""
    from pydantic import ValidationError

    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    return WRONG_USE if isinstance(error, WrongUse | ValidationError) else FAILED


def explain(error: BaseException) -> str:
    """Give the sentence for an error; for a defect of this program it names the log file."""
    from pydantic import ValidationError

    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "Interrupted: what was finished is on disk."
    if isinstance(error, ValidationError):
        return _wrong_values(error.errors(include_url=False))
    if isinstance(error, WrongUse):
        return _wrong_words(error)
    return _defect(error)


def _wrong_values(faults: Sequence[object]) -> str:
    """Name each setting with what is wrong about it; `faults` are pydantic's error dictionaries."""
    parts = []
    for fault in faults:
        assert isinstance(fault, dict)
        message = str(fault["msg"]).removeprefix("Value error, ")
        where = ".".join(str(step).replace("_", "-") for step in fault["loc"])
        parts.append(f"{where}: {message}, got {fault['input']!r}" if where else message)
    return "; ".join(parts).rstrip(".") + "."


def _wrong_words(error: BaseException) -> str:
    """Give typer's message with the command to ask for help."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "napari-diamant"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{' '.join(message.split()).rstrip('.')}. See {command} --help."


def _defect(error: BaseException) -> str:
    """Write the traceback of an unexpected error to a file and point there."""
    kind = type(error).__name__
    reason = " ".join(str(error).split())[:200]
    try:
        place = f"the full report is in {_log(error)}"
    except OSError:
        place = f"set {DEBUG}=1 to see the full report"
    return f"Unexpected {kind}{': ' + reason if reason else ''}; {place}."


def _log(error: BaseException) -> Path:
    """Write the traceback beside earlier ones in the user's log folder."""
    import platformdirs

    folder = platformdirs.user_log_path("napari-diamant", appauthor=False, ensure_exists=True)
    path: Path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return path
