"""The queue of the engine's requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from napari_diamant.cli.requests import Requests


@pytest.fixture
def pipe():
    """Give the writing end of a stream and the queue that reads it."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as end:
        yield end, Requests(os.fdopen(reader, "rb"))


def send(end, **request) -> None:
    end.write(json.dumps(request).encode() + b"\n")


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_requests_come_in_order_and_the_end_is_none(pipe):
    end, requests = pipe
    send(end, id=1, verb="attend", sample=1)
    send(end, id=2, verb="quit")
    end.close()
    assert [requests.next()["id"], requests.next()["id"], requests.next()] == [1, 2, None]


def test_a_newer_prediction_of_the_same_sample_supersedes(pipe):
    end, requests = pipe
    first = {"id": 1, "verb": "predict", "sample": 7}
    assert not requests.supersede(first)
    send(end, id=2, verb="predict", sample=7)
    wait_for(lambda: requests.supersede(first))


@pytest.mark.parametrize("other", [{"verb": "predict", "sample": 8}, {"verb": "attend", "sample": 7}])
def test_other_requests_do_not_supersede(pipe, other):
    end, requests = pipe
    send(end, id=2, **other)
    send(end, id=3, verb="predict", sample=9)
    wait_for(lambda: requests.supersede({"verb": "predict", "sample": 9}))
    assert not requests.supersede({"id": 1, "verb": "predict", "sample": 7})


@pytest.mark.parametrize("line", [b"no json\n", b"[1]\n", b'"text"\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
def test_a_line_that_is_no_request_is_answered_in_its_turn(line):
    requests = Requests([line, b'{"id": 1}\n'])
    assert requests.next() == {"id": None, "verb": None}
    assert requests.next() == {"id": 1}


BUSY_CHILD = """
from napari_diamant.cli.requests import leave_with_parent
leave_with_parent()
print("busy", flush=True)
while True:
    pass
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, stdin=sys.stdin)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_busy_process_ends_with_its_parent_even_when_its_input_stays_open():
    words = [sys.executable, "-c", PARENT, BUSY_CHILD]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        gone, _ = psutil.wait_procs([child], timeout=10)
        assert gone
