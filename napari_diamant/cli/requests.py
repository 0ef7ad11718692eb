"""Requests that arrive on standard input while an earlier one is still worked on."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from time import sleep

import psutil

from napari_diamant.types import JSON

WATCH_SECONDS = 1.0


class Requests:
    """A queue of JSON objects, filled by a thread from a stream of lines.

    Parameters
    ----------
    lines
        The stream; its end is the end of the queue.

    Examples
    --------
    >>> requests = Requests(['{"id": 1, "verb": "predict", "sample": 7}'])
    >>> requests.next()["sample"]
    7
    >>> requests.next() is None
    True
    """

    def __init__(self, lines: Iterable[str | bytes]) -> None:
        self._waiting: deque[JSON] = deque()
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, args=(lines,), name="requests", daemon=True).start()

    def next(self) -> JSON | None:
        """Wait for the next request; None when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            return self._waiting.popleft() if self._waiting else None

    def supersede(self, request: JSON) -> bool:
        """Tell whether a newer prediction of the same sample waits."""
        if request.get("verb") != "predict":
            return False
        with self._changed:
            return any(
                later.get("verb") == "predict" and later.get("sample") == request.get("sample")
                for later in self._waiting
            )

    def _read(self, lines: Iterable[str | bytes]) -> None:
        for line in lines:
            if line.strip():
                self._put(_parse(line))
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _put(self, request: JSON) -> None:
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()


def _parse(line: str | bytes) -> JSON:
    """Read a line; one that is no object becomes a request that is answered with an error, in its turn."""
    with suppress(ValueError, RecursionError):
        request = json.loads(line)
        if isinstance(request, dict):
            return request
    return {"id": None, "verb": None}


def leave_with_parent() -> None:
    """End this process when its parent has died, even in the middle of a long computation.

    A closed standard input is not enough of a sign: another child of the same parent may hold its other end.
    """
    parent = psutil.Process().parent()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: psutil.Process) -> None:
    # The parent's number changes on POSIX as soon as it dies; on Windows it stays, and the process is gone.
    while os.getppid() == parent.pid and parent.is_running():
        sleep(WATCH_SECONDS)
    os._exit(0)
