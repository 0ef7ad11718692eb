"""The warm process that the window talks to, as a real process."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest


class Client:
    """Talks to one engine process."""

    def __init__(self, folder) -> None:
        words = [sys.executable, "-m", "napari_diamant", "engine", str(folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def send(self, *requests: dict | str) -> None:
        """Write requests in one go."""
        lines = (line if isinstance(line, str) else json.dumps(line) for line in requests)
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def answer(self) -> dict:
        """Give the next event that is no progress."""
        while (event := json.loads(self.process.stdout.readline()))["event"] == "progress":
            assert {"id", "message", "done", "total"} <= set(event)
        return event

    def close(self) -> int:
        """Close the input and give the exit code."""
        self.process.stdin.close()
        return self.process.wait(timeout=30)


@pytest.fixture
def client(project):
    made = Client(project)
    yield made
    made.process.kill()
    made.process.wait()
    for stream in (made.process.stdin, made.process.stdout, made.process.stderr):
        stream.close()


def test_the_whole_conversation(client):
    """One process answers everything, because starting one takes seconds."""
    ready = client.answer()
    assert ready["event"] == "ready"
    assert "RANDOM" in ready["weights"]
    assert not ready["trained"]

    client.send({"id": 1, "verb": "attend", "sample": 1})
    attended = client.answer()
    assert (attended["id"], attended["event"], attended["heads"]) == (1, "result", 6)
    with np.load(attended["maps"]) as file:
        assert file["maps"].shape == (6, 8, 8)

    burst = [{"id": 10 + n, "verb": "predict", "sample": 1, "heads": [n]} for n in range(5)]
    client.send(*burst, {"id": 20, "verb": "predict", "sample": 2})
    answers = [client.answer() for _ in range(6)]
    assert [answer["id"] for answer in answers] == [10, 11, 12, 13, 14, 20]
    done = {answer["id"]: answer for answer in answers if answer["event"] == "result"}
    assert {14, 20} <= set(done)
    assert all(answer["event"] == "superseded" for answer in answers if answer["id"] not in done)
    assert done[14]["heads"] == [4]
    assert done[20]["heads"] is None
    with np.load(done[20]["prediction"]) as file:
        assert file["labels"].shape == (64, 64)

    wrong = [
        {"id": 30, "verb": "predict", "sample": 1, "heads": [99]},
        {"id": 31, "verb": "predict", "sample": 77},
        {"id": 32, "verb": "attend", "sample": "first"},
        {"id": 33, "verb": "dance"},
        {"id": 34, "verb": "configure", "backbone": "nonsense"},
        "no request",
    ]
    client.send(*wrong)
    answers = [client.answer() for _ in wrong]
    assert [answer["id"] for answer in answers] == [30, 31, 32, 33, 34, None]
    assert {answer["event"] for answer in answers} == {"error"}
    assert not [answer for answer in answers if "Unexpected" in answer["message"]]

    client.send({"id": 40, "verb": "attend", "sample": 1})
    assert client.answer()["maps"] == attended["maps"]  # the refused transformer has left no trace
    client.send({"id": 41, "verb": "configure", "backbone": "dino-vits16", "weights": "random"})
    assert client.answer()["weights"].startswith("RANDOM weights, nothing learned: DINO ViT-S/16")
    client.send({"id": 42, "verb": "attend", "sample": 1})
    assert client.answer()["scale"] == [16.0, 16.0]

    client.send({"id": 50, "verb": "predict", "sample": 3})
    assert client.close() == 0
    assert json.loads(client.process.stdout.readlines()[-1])["id"] == 50


def test_a_folder_that_is_no_project_ends_it_with_an_error_event(tmp_path):
    client = Client(tmp_path)
    assert "is not a project" in client.answer()["message"]
    # Its input is still open: the thread that waits there must not keep it from ending.
    assert client.process.wait(timeout=30) == 1
    assert client.process.stderr.read().count("\n") == 1
