"""The doctor's report, and the window's verb where no window can open."""

from __future__ import annotations

import pytest

from napari_diamant.cli import checkup, main, window
from napari_diamant.cli.checkup import Finding, examine


def test_a_machine_that_passes_its_tests_is_healthy(run_json):
    code, events = run_json("doctor")
    assert (code, events[-1]["healthy"]) == (0, True)
    names = {finding["name"] for finding in events[-1]["findings"]}
    assert {"program", "libraries", "device", "memory", "window", "data folder"} <= names


def test_what_is_not_well_comes_with_advice(run_json):
    _, events = run_json("doctor")
    assert all(item["advice"] for item in events[-1]["findings"] if item["state"] != "ok")


def test_a_missing_library_fails_with_the_line_that_installs_it(monkeypatch, run_json):
    monkeypatch.setattr(checkup, "LIBRARIES", ("torch", "no-such-library"))
    code, events = run_json("doctor")
    assert (code, events[-1]["event"], events[-1]["healthy"]) == (1, "result", False)
    (broken,) = (item for item in events[-1]["findings"] if item["state"] == "broken")
    assert broken["advice"] == "Run: pip install no-such-library"


def test_a_check_that_raises_is_a_finding():
    def check():
        yield Finding("driver", "found")
        raise RuntimeError("CUDA error:\n out of order")

    (finding,) = examine("device", check)
    assert (finding.state, finding.words) == ("broken", "RuntimeError: CUDA error: out of order")


def test_a_data_folder_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(
        "platformdirs.user_data_dir", lambda *args, **kwargs: str(tmp_path / "file" / "below")
    )
    (finding,) = examine("data folder", checkup.CHECKS["data folder"])
    assert finding.state == "warning"
    assert "cannot be written" in finding.words


def test_people_read_a_mark_a_fact_and_an_advice(monkeypatch, capsys):
    monkeypatch.setattr(window, "QT_BINDINGS", ())
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("OK")]
    assert (
        'WARN  window: no Qt binding is installed. To open the window, run: pip install "napari-diamant[all]"'
        in lines
    )


def test_open_without_a_qt_binding_gives_the_line_that_installs_it(monkeypatch, capsys):
    monkeypatch.setattr(window, "QT_BINDINGS", ())
    assert main(["open"]) == 1
    assert capsys.readouterr().err.endswith('Run: pip install "napari-diamant[all]"\n')


@pytest.mark.skipif(window.sys.platform != "linux", reason="only Linux can be without a display")
def test_open_without_a_display_is_one_sentence(monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(window, "qt_binding", lambda: "PyQt6")
    assert main(["open"]) == 1
    assert "needs a display" in capsys.readouterr().err
