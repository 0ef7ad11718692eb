"""Where the news of a verb go: JSON lines for programs, a progress bar and plain lines for people."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from napari_diamant.types import JSON, Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

LOG_INTERVAL = 5.0
"""Seconds between lines of progress where standard error is a file and no bar can be drawn."""


class Output(Protocol):
    """What a verb talks to."""

    def report(self, progress: Progress) -> None:
        """Pass on a piece of news."""

    def warn(self, message: str) -> None:
        """Say loudly what the user must know about the result."""

    def result(self, fields: JSON, *shown: RenderableType) -> None:
        """Finish with `fields` for programs and `shown`, lines or tables, for people."""


@contextlib.contextmanager
def output(as_json: bool) -> Iterator[Output]:
    """Open the way to the user for the length of one verb."""
    if as_json:
        with private_stdout() as stream:
            yield JsonOutput(stream)
    else:
        with contextlib.closing(PeopleOutput()) as people:
            yield people


class JsonOutput:
    """One JSON object per line on a stream that nothing else writes to.

    Examples
    --------
    >>> JsonOutput(sys.stdout).report(Progress("attention", 1, 2))
    {"event":"progress","message":"attention","done":1,"total":2}
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def report(self, progress: Progress) -> None:
        """Write a ``progress`` object."""
        self.event(progress.as_json())

    def warn(self, message: str) -> None:
        """Warn on standard error: the result object bears the same in its fields."""
        write_line(sys.stderr, f"Warning: {message}")

    def event(self, fields: JSON) -> None:
        """Write any object."""
        write_line(self._stream, json_line(fields))

    def result(self, fields: JSON, *shown: RenderableType) -> None:
        """Write the last object."""
        self.event({"event": "result", **fields})


class PeopleOutput:
    """A progress bar on standard error, the result on standard output."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
        news = TextColumn("{task.fields[news]}", markup=False)
        self._bar = Bar(*columns, news, TimeElapsedColumn(), console=self._console, transient=True)
        self._last = ("", 0.0)

    def report(self, progress: Progress) -> None:
        """Move the bar; without a terminal, write a line now and then."""
        if not self._console.is_terminal:
            self._log(progress)
            return
        if not self._bar.tasks:
            self._bar.start()
            self._bar.add_task("", news="")
        self._bar.update(
            self._bar.task_ids[0],
            description=progress.message,
            completed=progress.done,
            total=progress.total or None,
            news=numbers(progress.values),
        )

    def warn(self, message: str) -> None:
        """Write a line that stands out."""
        self._console.print(f"Warning: {message}", style="bold yellow")

    def result(self, fields: JSON, *shown: RenderableType) -> None:
        """Take the bar away and print what people want to read."""
        from rich.console import Console

        self.close()
        with _quiet_when_closed():
            console = Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)
            for item in shown:
                console.print(item)
            sys.stdout.flush()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar.tasks:
            self._bar.stop()

    def _log(self, progress: Progress) -> None:
        message, when = self._last
        if (
            progress.message == message
            and progress.done != progress.total
            and monotonic() - when < LOG_INTERVAL
        ):
            return
        self._last = (progress.message, monotonic())
        steps = f" {progress.done}/{progress.total}" if progress.total else ""
        write_line(sys.stderr, f"{progress.message}{steps} {numbers(progress.values)}".rstrip())


def numbers(values: Mapping[str, Any]) -> str:
    """Show the numbers of the moment that people follow.

    Examples
    --------
    >>> numbers({"loss": 0.25, "val_dice": 0.871, "seconds_left": 65.0, "device": "CPU"})
    'loss 0.250, held-out Dice 0.871, 1:05 left'
    """
    parts = [
        f"{word} {values[key]:.3f}"
        for key, word in (("loss", "loss"), ("val_dice", "held-out Dice"))
        if isinstance(values.get(key), int | float)
    ]
    left = values.get("seconds_left")
    if isinstance(left, int | float):
        parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
    return ", ".join(parts)


def json_line(fields: JSON) -> str:
    """Give an object as one line: NaN becomes null, paths and numpy scalars what they stand for."""
    from pydantic_core import to_json

    return to_json(fields, inf_nan_mode="null", fallback=_plain).decode()


def _plain(value: Any) -> Any:
    """Unwrap what pydantic does not know: numpy scalars and small arrays."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def write_line(stream: TextIO, line: str) -> None:
    """Write a line at once; where the reader has gone away, end the process quietly."""
    with _quiet_when_closed():
        stream.write(line + "\n")
        stream.flush()


@contextlib.contextmanager
def _quiet_when_closed() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # The interpreter flushes the streams once more at its end, which would complain on the closed pipe.
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        # SystemExit is no Exception: nothing between here and the verb's end mistakes it for a bad file.
        raise SystemExit(1) from None


@contextlib.contextmanager
def private_stdout() -> Iterator[TextIO]:
    """Yield standard output for our lines alone; what libraries print meanwhile goes to standard error.

    The file descriptor itself is moved, so that libraries written in C and child processes are held off too.
    Where standard output is no file (a notebook, a test's buffer) only Python's prints are redirected.
    """
    try:
        number, errors = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):
        kept = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            yield kept
        return
    sys.stdout.flush()
    duplicate = os.dup(number)
    os.dup2(errors, number)
    try:
        with (
            os.fdopen(os.dup(duplicate), "w", encoding="utf-8", newline="\n") as stream,
            contextlib.redirect_stdout(sys.stderr),
        ):
            yield stream
    finally:
        os.dup2(duplicate, number)
        os.close(duplicate)
