"""The clients of the child processes, against a real small process that plays the engine or a fit."""

import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

pytest.importorskip("pytestqt")

from qtpy.QtCore import QTimer

from napari_diamant.gui.child import ChildProcess, JsonLines
from napari_diamant.gui.jobs import MAX_CRASHES, EngineProcess, FineTuneJob, option_words

PRELUDE = """
import json, os, subprocess, sys, time
def say(**event):
    print(json.dumps(event), flush=True)
"""

ENGINE = """
print("Downloading 100%", flush=True)
say(event="ready", device="CPU", weights="RANDOM weights", trained=False)
for line in sys.stdin:
    request = json.loads(line)
    number, verb = request["id"], request["verb"]
    if verb == "crash":
        print("RuntimeError: CUDA out of memory", file=sys.stderr, flush=True)
        os._exit(3)
    if verb == "refuse":
        say(event="error", id=number, message="No such head: 9.")
    elif verb == "supersede":
        say(event="superseded", id=number)
    elif verb == "halves":
        text = json.dumps({"event": "result", "id": number, "words": "äää"}, ensure_ascii=False) + "\\n"
        for byte in text.encode():
            os.write(1, bytes([byte]))
            time.sleep(0.001)
    else:
        say(event="progress", id=number, message="tile", done=1, total=2)
        say(event="result", id=number, echo=request)
"""

FIT = """
workers = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
say(event="progress", message="epoch", workers=[worker.pid for worker in workers], arguments=sys.argv[1:])
if "--finish" in sys.argv:
    for worker in workers:
        worker.kill()
    say(event="result", model="m2", before=0.5, after=0.75)
    sys.exit()
if "--refuse" in sys.argv:
    for worker in workers:
        worker.kill()
    say(event="error", message="Nothing to learn from yet. Correct an image first.")
    sys.exit(1)
time.sleep(60)
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], list[str]]:
    def write(body: str) -> list[str]:
        path = tmp_path / "child.py"
        path.write_text(PRELUDE + textwrap.dedent(body), encoding="utf-8")
        return [sys.executable, str(path)]

    return write


@pytest.fixture
def engine(qtbot, script, tmp_path) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path, script(ENGINE))
    yield process
    process.close()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_lines_are_put_together_however_they_were_cut() -> None:
    stream = b'noise\n{"event": "ready"}\n{"no": "event"}\n[1]\n{"event": "x", "n": 1}\n'
    for size in (1, 2, 7, len(stream)):
        lines = JsonLines()
        events = [e for at in range(0, len(stream), size) for e in lines.feed(stream[at : at + size])]
        assert events == [{"event": "ready"}, {"event": "x", "n": 1}]
        assert list(lines.log) == ["noise", '{"no": "event"}', "[1]"]


def test_engine_is_ready_and_answers_under_the_request_s_number(qtbot, engine) -> None:
    with qtbot.waitSignals([engine.ready, engine.progress, engine.result]) as heard:
        number = engine.request("predict", sample=3, heads=[0, 2])
    events = [s.args for s in heard.all_signals_and_args]
    assert events[0][0]["weights"] == "RANDOM weights"
    assert events[1][0] == number
    assert events[2][0] == number
    assert events[2][1]["echo"] == {"id": number, "verb": "predict", "sample": 3, "heads": [0, 2]}
    assert not engine.busy


def test_answer_that_arrives_byte_by_byte_is_one_answer(qtbot, engine) -> None:
    with qtbot.waitSignal(engine.result) as heard:
        engine.request("halves")
    assert heard.args[1]["words"] == "äää"


def test_refusal_and_superseded_request_are_told_apart_from_answers(qtbot, engine) -> None:
    with qtbot.waitSignal(engine.failed) as refusal:
        first = engine.request("refuse")
    with qtbot.waitSignal(engine.superseded) as dropped:
        second = engine.request("supersede")
    assert refusal.args == [first, "No such head: 9."]
    assert dropped.args == [second]
    assert not engine.busy


def test_crash_is_told_in_words_and_the_next_request_starts_the_engine_again(qtbot, engine) -> None:
    with qtbot.waitSignal(engine.stopped) as crash:
        engine.request("crash")
    assert "CUDA out of memory" in crash.args[0]
    assert not engine.running
    assert not engine.busy
    with qtbot.waitSignal(engine.result):
        engine.request("predict")


def test_engine_that_only_crashes_is_left_off_and_says_why(qtbot, engine) -> None:
    for _ in range(MAX_CRASHES):
        with qtbot.waitSignal(engine.stopped):
            engine.request("crash")
    with qtbot.waitSignal(engine.failed) as left_off:
        number = engine.request("crash")
    assert left_off.args[0] == number
    assert "CUDA out of memory" in left_off.args[1]
    assert not engine.running


def test_program_that_does_not_exist_is_a_sentence(qtbot, tmp_path) -> None:
    engine = EngineProcess(tmp_path, ["no-such-program-at-all"])
    with qtbot.waitSignal(engine.stopped) as stopped:
        engine.request("attend", sample=1)
    assert "no-such-program-at-all" in stopped.args[0]


def test_closing_ends_an_engine_that_listens_and_one_that_does_not(qtbot, script, tmp_path) -> None:
    for body in (ENGINE, "say(event='ready')\ntime.sleep(60)"):
        engine = EngineProcess(tmp_path, script(body))
        with qtbot.waitSignal(engine.ready):
            engine.start()
        pid, started = engine.pid, time.perf_counter()
        engine.close()
        assert gone(pid)
        assert time.perf_counter() - started < 2


def test_killed_engine_is_gone_silently_and_may_start_again(qtbot, engine) -> None:
    with qtbot.waitSignal(engine.ready):
        engine.start()
    pid = engine.pid
    with qtbot.assertNotEmitted(engine.stopped, wait=300):
        engine.kill()
    assert gone(pid)
    with qtbot.waitSignal(engine.result):
        engine.request("predict")


def test_cancel_kills_the_fit_and_its_workers_within_a_second(qtbot, script, tmp_path) -> None:
    job = FineTuneJob(script(FIT))
    with qtbot.waitSignal(job.progress) as news:
        job.start(tmp_path)
    pids = [job.pid, *news.args[0]["workers"]]
    started = time.perf_counter()
    with qtbot.waitSignal(job.cancelled, timeout=1000):
        job.cancel()
    qtbot.waitUntil(lambda: all(gone(pid) for pid in pids), timeout=1000)
    assert time.perf_counter() - started < 1
    assert not job.running


def test_finished_fit_gives_its_result_after_the_process_has_left(qtbot, script, tmp_path) -> None:
    job = FineTuneJob(script(FIT))
    with qtbot.waitSignals([job.progress, job.finished]) as heard:
        job.start(tmp_path, ["--finish", *option_words({"minutes": 2.5, "restart": True, "seed": None})])
    news, result = (s.args[0] for s in heard.all_signals_and_args)
    arguments = ["fine-tune", str(tmp_path), "--json", "--finish", "--minutes", "2.5", "--restart"]
    assert news["arguments"] == arguments
    assert result["after"] == 0.75
    assert not job.running


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (FIT, "Correct an image first."),
        ("print('ValueError: no space left', file=sys.stderr)\nsys.exit(1)", "no space left"),
        ("os.kill(os.getpid(), 9)", "memory ran out"),
        ("pass", "gave no reason"),
    ],
)
def test_fit_that_fails_says_why_in_a_sentence(qtbot, script, tmp_path, body, words) -> None:
    if "os.kill" in body and sys.platform == "win32":
        pytest.skip("signals are POSIX")
    job = FineTuneJob(script(body))
    with qtbot.waitSignal(job.failed) as failure:
        job.start(tmp_path, ["--refuse"])
    assert words in failure.args[0]
    assert not job.running


def test_window_keeps_its_beat_while_a_child_floods_it_with_lines(qtbot, script) -> None:
    child = ChildProcess()
    heard: list[int] = []
    beats: list[float] = []
    child.told.connect(lambda event: heard.append(event["done"]))
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start(1)
    with qtbot.waitSignal(child.ended, timeout=10_000):
        child.start(script("for n in range(5000):\n    say(event='progress', done=n)\n    print('noise')"))
    assert heard == list(range(5000))
    assert len(child.log) == 200
    assert max(after - before for before, after in pairwise(beats)) < 0.25
