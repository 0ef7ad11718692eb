"""The window's two child processes: the warm engine that answers, and the fine-tuning that lives for one fit.

Nothing here waits: every answer is a signal. See "Processes and their language" in docs/architecture.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from napari_diamant.gui.child import ChildProcess
from napari_diamant.types import JSON

MAX_CRASHES = 3
"""So many crashes without an answer between them, and the engine is not started again by itself."""

CLOSE_MS = 1000
LINGER_MS = 5000


def default_command() -> list[str]:
    """Give the words that start this program: the interpreter of the window."""
    return [sys.executable, "-m", "napari_diamant"]


def option_words(options: Mapping[str, Any]) -> list[str]:
    """Turn options into words of a command line; True is a bare flag, None and False are left out.

    Examples
    --------
    >>> option_words({"minutes": 5, "restart": True, "seed": None})
    ['--minutes', '5', '--restart']
    """
    words: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return words


class EngineProcess(QObject):
    """Client of ``napari-diamant engine PROJECT``, the child that keeps the networks warm.

    Signals
    -------
    ready : dict
        The engine's first words, and again after ``configure``: device, weights, trained.
    result : int, dict
        Answer to the request of this number.
    progress : int, dict
        News of a request; number 0 belongs to none.
    superseded : int
        This request was dropped because a newer one of the same kind waits.
    failed : int, str
        One sentence instead of an answer; number 0 belongs to no request.
    stopped : str
        The process ended by itself; requests without an answer stay without one. The next request starts it
        again, at most `MAX_CRASHES` times in a row.

    Parameters
    ----------
    project
        Folder of the project.
    command
        Words that replace `default_command`, such as ``["ssh", "gpubox", "napari-diamant"]``.
    parent
        Qt's owner.
    """

    ready = Signal(object)
    result = Signal(int, object)
    progress = Signal(int, object)
    superseded = Signal(int)
    failed = Signal(int, str)
    stopped = Signal(str)

    def __init__(
        self, project: Path, command: Sequence[str] | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._words = [*(command or default_command()), "engine", str(project)]
        self._child: ChildProcess | None = None
        self._numbers = count(1)
        self._pending: set[int] = set()
        self._crashes = 0
        self._reason = ""
        QCoreApplication.instance().aboutToQuit.connect(self.close)

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._child is not None

    @property
    def busy(self) -> bool:
        """True while a request waits for its answer."""
        return bool(self._pending)

    @property
    def pid(self) -> int:
        """Process id, 0 when it does not run."""
        return self._child.pid if self._child else 0

    def start(self) -> None:
        """Start the process unless it runs, and forget earlier crashes."""
        self._crashes = 0
        if self._child is None:
            self._launch()

    def request(self, verb: str, **fields: Any) -> int:
        """Ask for something and give the number its answer will bear; starts the process when it is down."""
        number = next(self._numbers)
        if self._child is None and self._crashes >= MAX_CRASHES:
            words = f"The engine stopped {self._crashes} times in a row and was left off: {self._reason}."
            QTimer.singleShot(0, lambda: self.failed.emit(number, words))
            return number
        self._pending.add(number)
        (self._child or self._launch()).send({"id": number, "verb": verb, **fields})
        return number

    def kill(self) -> None:
        """Kill the process and all it started; no signal follows."""
        if child := self._release():
            child.kill()

    def close(self) -> None:
        """End the process with the window: its standard input closes, and after a second it is killed."""
        if child := self._release():
            child.close(CLOSE_MS)

    def _launch(self) -> ChildProcess:
        child = self._child = ChildProcess(self)
        child.told.connect(self._hear)
        child.ended.connect(self._end)
        child.ended.connect(child.deleteLater)
        self._reason = ""
        child.start(self._words)
        return child

    def _release(self) -> ChildProcess | None:
        child, self._child = self._child, None
        self._pending.clear()
        if child is not None:
            child.told.disconnect(self._hear)
            child.ended.disconnect(self._end)
        return child

    def _hear(self, event: JSON) -> None:
        kind, number = event["event"], event.get("id")
        number = number if isinstance(number, int) else 0
        if kind == "progress":
            self.progress.emit(number, event)
            return
        if kind == "error" and not number:
            self._reason = str(event.get("message", ""))  # said by `stopped` if it was the end of it
            return
        self._pending.discard(number)
        if kind == "error":
            self.failed.emit(number, str(event.get("message", "")))
            return
        if kind == "ready":
            self.ready.emit(event)
        if kind == "superseded":
            self.superseded.emit(number)
        elif number:
            self._crashes = 0
            self.result.emit(number, event)

    def _end(self, code: int, words: str) -> None:
        self._release()
        self._crashes += 1
        self._reason = (self._reason or words).rstrip(".")
        self.stopped.emit(f"The engine stopped: {self._reason}. The next request starts it again.")


class FineTuneJob(QObject):
    """One run of ``napari-diamant fine-tune PROJECT --json`` at a time.

    Signals
    -------
    progress : dict
        News of the fit.
    finished : dict
        The result, once the process has left (and with it its memory).
    failed : str
        One sentence.
    cancelled
        The process and all it started are gone.

    Parameters
    ----------
    command
        Words that replace `default_command`.
    parent
        Qt's owner.
    """

    progress = Signal(object)
    finished = Signal(object)
    failed = Signal(str)
    cancelled = Signal()

    def __init__(self, command: Sequence[str] | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = list(command or default_command())
        self._child: ChildProcess | None = None
        self._result: JSON | None = None
        self._reason = ""
        self._cancelling = False
        QCoreApplication.instance().aboutToQuit.connect(self.close)

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._child is not None

    @property
    def pid(self) -> int:
        """Process id, 0 when it does not run."""
        return self._child.pid if self._child else 0

    def start(self, project: Path, arguments: Sequence[str] = ()) -> None:
        """Start a fit of this project; does nothing while one runs.

        Parameters
        ----------
        project
            Folder of the project.
        arguments
            Further words of the command line, see `option_words`.
        """
        if self._child is not None:
            return
        self._result, self._reason, self._cancelling = None, "", False
        child = self._child = ChildProcess(self)
        child.told.connect(self._hear)
        child.ended.connect(self._end)
        child.ended.connect(child.deleteLater)
        child.start([*self._command, "fine-tune", str(project), "--json", *arguments], polite=True)

    def cancel(self) -> None:
        """Kill the fit and everything it started; `cancelled` follows when they are gone."""
        if self._child is not None:
            self._cancelling = True
            self._child.kill()

    def close(self) -> None:
        """Kill the fit with the window; it may be taken up again later."""
        child, self._child = self._child, None
        if child is not None:
            child.told.disconnect(self._hear)
            child.ended.disconnect(self._end)
            child.kill()
            child.close(CLOSE_MS)

    def _hear(self, event: JSON) -> None:
        kind = event["event"]
        if kind == "progress":
            self.progress.emit(event)
        elif kind == "error":
            self._reason = str(event.get("message", ""))
        elif kind == "result":
            self._result = event
            if self._child is not None:  # a library's thread may keep a finished process from leaving
                self._child.kill_after(LINGER_MS)

    def _end(self, code: int, words: str) -> None:
        self._child = None
        if self._result is not None:
            self.finished.emit(self._result)
        elif self._cancelling:
            self.cancelled.emit()
        else:
            reason = self._reason or f"The fine-tuning stopped: {words.rstrip('.')}."
            self.failed.emit(reason)
