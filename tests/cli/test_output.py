"""What programs and people get to read."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_diamant.cli.output import JsonOutput, PeopleOutput, json_line, numbers, output
from napari_diamant.types import Progress


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_values_that_json_lacks_become_null():
    line = json_line({"hd95": float("nan"), "deep": [{"x": float("inf")}], "single": np.float32("nan")})
    assert json.loads(line) == {"hd95": None, "deep": [{"x": None}], "single": None}


def test_numpy_and_paths_become_plain_values():
    fields = {"n": np.int64(3), "row": np.arange(2), "path": Path("a/é"), "pair": (1, 2)}
    assert json.loads(json_line(fields)) == {"n": 3, "row": [0, 1], "path": str(Path("a/é")), "pair": [1, 2]}


def test_an_object_is_one_line_whatever_it_holds():
    assert "\n" not in json_line({"message": "two\nlines\r\n"})


def test_a_result_comes_last_and_bears_its_fields():
    stream = io.StringIO()
    to = JsonOutput(stream)
    to.report(Progress("epoch 1", 1, 2, {"loss": 0.5}))
    to.result({"verb": "train"}, "for people only")
    assert lines_of(stream.getvalue()) == [
        {"event": "progress", "message": "epoch 1", "done": 1, "total": 2, "loss": 0.5},
        {"event": "result", "verb": "train"},
    ]


def test_warnings_stay_off_the_json_lines(capsys):
    with output(as_json=True) as to:
        to.warn("RANDOM weights")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "RANDOM weights" in captured.err


def test_people_get_the_result_on_standard_output_and_news_on_standard_error(capsys):
    with output(as_json=False) as to:
        to.report(Progress("epoch 1", 1, 2, {"loss": 0.5}))
        to.result({"verb": "x"}, "masks/a [1].tif")
    captured = capsys.readouterr()
    assert captured.out == "masks/a [1].tif\n"
    assert captured.err == "epoch 1 1/2 loss 0.500\n"


def test_a_log_file_is_not_flooded_with_progress(capsys):
    to = PeopleOutput()
    for step in range(1000):
        to.report(Progress("tiles", step, 1000))
    assert len(capsys.readouterr().err.splitlines()) < 5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ""),
        (
            {"loss": 0.25, "val_dice": 0.871, "seconds_left": 65.4},
            "loss 0.250, held-out Dice 0.871, 1:05 left",
        ),
        ({"loss": None, "device": "CPU"}, ""),
    ],
)
def test_only_known_numbers_are_shown(values, words):
    assert numbers(values) == words


NOISY = """
import os, sys
from napari_diamant.cli.output import output
with output(as_json=True) as to:
    print("a library prints")
    os.write(1, b"a C library prints\\n")
    os.system("echo a child prints")
    to.result({"verb": "x"})
print("afterwards")
"""


def test_prints_of_libraries_never_reach_the_json_lines():
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ['{"event":"result","verb":"x"}', "afterwards"]
    assert {"a library prints", "a C library prints", "a child prints"} <= set(done.stderr.splitlines())


ENDLESS = """
from napari_diamant.cli.output import output
from napari_diamant.types import Progress
with output(as_json={as_json}) as to:
    while True:
        try:
            to.{call}
        except Exception:
            pass  # as a library that swallows the errors of a callback
"""


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe shows as another error on Windows")
@pytest.mark.parametrize(
    ("as_json", "call"), [(True, "report(Progress('x'))"), (False, "result({}, 'line')")]
)
def test_a_reader_that_goes_away_ends_the_process_without_a_word(as_json, call):
    code = ENDLESS.format(as_json=as_json, call=call)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=20) == 1
        assert process.stderr.read() == b""
