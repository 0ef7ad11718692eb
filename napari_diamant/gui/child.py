"""One child process that tells its news as JSON lines: started, heard, and killed with all it started."""

from __future__ import annotations

import json
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import psutil
from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from napari_diamant.types import JSON

LOG_LINES = 200


class JsonLines:
    r"""Cut a stream of bytes into events, and keep what is no event as a log.

    An event is a line that holds a JSON object with the key ``"event"``. Libraries write other lines to
    standard output as well; they go to `log`.

    Examples
    --------
    >>> lines = JsonLines()
    >>> lines.feed(b'Downloading ...\n{"event": "rea')
    []
    >>> lines.feed(b'dy"}\n')
    [{'event': 'ready'}]
    >>> list(lines.log)
    ['Downloading ...']
    """

    def __init__(self) -> None:
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._rest = b""

    def feed(self, chunk: bytes) -> list[JSON]:
        """Take the next bytes, wherever they were cut, and give the events that are complete by now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [event for line in lines if (event := self._event(line)) is not None]

    def _event(self, line: bytes) -> JSON | None:
        text = line.decode("utf-8", errors="replace").strip().rpartition("\r")[2]  # progress bars overwrite
        with suppress(ValueError, RecursionError):
            parsed = json.loads(text)
            if isinstance(parsed, dict) and "event" in parsed:
                return parsed
        if text:
            self.log.append(text)
        return None


class ChildProcess(QObject):
    """A child process for one life: `start` it once, listen to `told`, and it is over with `ended`.

    Attributes
    ----------
    told
        Signal with each event, a dict.
    ended
        Signal at the end, whatever the reason: the exit code (-1 when there is none) and, in words, the last
        thing the process said or what killed it.
    """

    told = Signal(object)
    ended = Signal(int, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._output = JsonLines()
        self._errors = JsonLines()
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._refuse)

    @property
    def pid(self) -> int:
        """Process id, 0 when it does not run."""
        return int(self._process.processId() or 0)

    @property
    def log(self) -> list[str]:
        """The last lines that were no events: standard output first, then standard error."""
        return [*self._output.log, *self._errors.log]

    def start(self, words: Sequence[str], polite: bool = False) -> None:
        """Start the command made of these words; a `polite` one yields the processor to the window."""
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONIOENCODING", "utf-8")
        self._process.setProcessEnvironment(environment)
        if polite:
            self._process.started.connect(self._lower_priority)
        self._process.start(words[0], list(words[1:]))

    def send(self, request: JSON) -> None:
        """Write one request to its standard input, without waiting for it to be read."""
        if self._process.state() != QProcess.ProcessState.NotRunning:
            self._process.write(json.dumps(request).encode() + b"\n")

    def kill(self) -> None:
        """Kill it and everything it started, now; `ended` follows as soon as the system has buried it."""
        if self.pid:
            kill_family(self.pid)
        self._process.kill()

    def kill_after(self, wait_ms: int) -> None:
        """Kill it unless it has left by itself within so many milliseconds."""
        timer = QTimer(self)  # owned, so that it dies with the process it would have killed
        timer.setSingleShot(True)
        timer.timeout.connect(self.kill)
        timer.start(wait_ms)

    def close(self, wait_ms: int) -> None:
        """Close its standard input, wait so long for it to leave by itself, then kill it.

        The only call here that blocks: for the moment when the window closes.
        """
        self._process.closeWriteChannel()
        if not self._process.waitForFinished(wait_ms):
            self.kill()
            self._process.waitForFinished(500)

    def _lower_priority(self) -> None:
        # On two cores a fit at equal priority makes the window wait; threads made later inherit this.
        with suppress(psutil.Error, OSError):
            psutil.Process(self.pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else 10)

    def _read(self) -> None:
        self._errors.feed(bytes(self._process.readAllStandardError()))
        for event in self._output.feed(bytes(self._process.readAllStandardOutput())):
            self.told.emit(event)

    def _finish(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self._errors.feed(b"\n")
        crashed = status == QProcess.ExitStatus.CrashExit
        self.ended.emit(code, _signal_words(code) if crashed else self._last_words(code))

    def _last_words(self, code: int) -> str:
        if self._errors.log:
            return self._errors.log[-1]
        return f"it ended with code {code} and gave no reason"

    def _refuse(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            program = self._process.program()
            self.ended.emit(-1, f"'{program}' could not be started ({self._process.errorString()})")


def kill_family(pid: int) -> None:
    """Kill a process and its descendants; one that is gone already is no fault."""
    try:
        root = psutil.Process(pid)
        # Held still first: a process that is starting workers cannot slip one past the list.
        root.suspend()
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return
    for member in family:
        with suppress(psutil.Error):
            member.kill()


def _signal_words(code: int) -> str:
    try:
        name = signal.Signals(code).name
    except ValueError:
        return f"it crashed (code {code})"
    if name == "SIGKILL":
        return "it was killed from outside, which is mostly a sign that the memory ran out"
    return f"it crashed ({name})"
