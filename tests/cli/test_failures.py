"""Every failure is one sentence and an exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from napari_diamant.cli import main
from napari_diamant.cli.failures import announce, explain
from napari_diamant.config import ModelConfig, TrainConfig
from napari_diamant.errors import UserError


@pytest.fixture
def logs(tmp_path, monkeypatch) -> Path:
    """Put the log files where the test can see them."""
    monkeypatch.setattr("platformdirs.user_log_path", lambda *args, **kwargs: tmp_path)
    return tmp_path


def wrong(config, **values) -> Exception:
    with pytest.raises(ValueError, match="validation error") as caught:
        config(**values)
    return caught.value


def test_a_users_fault_exits_with_1_and_its_own_words(capsys):
    assert announce(UserError("Give another file."), []) == 1
    assert capsys.readouterr() == ("", "Give another file.\n")


def test_with_json_the_sentence_stands_on_both_streams(capsys):
    announce(UserError("Give another file."), ["attend", "--json"])
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"event": "error", "message": "Give another file."}
    assert captured.err == "Give another file.\n"


def test_a_wrong_value_exits_with_2_and_names_its_option(capsys):
    assert announce(wrong(TrainConfig, epochs=1, batch_size=0), []) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("batch-size: ")
    assert "got 0" in sentence
    assert sentence.count("\n") == 1


def test_a_rule_over_several_values_is_told_without_pydantics_words():
    assert explain(wrong(TrainConfig)) == "one of epochs and minutes must be given, got neither."
    assert "Value error" not in explain(wrong(ModelConfig, classes=("a", "a")))


def test_an_interrupt_exits_with_130_and_no_traceback(capsys):
    assert announce(KeyboardInterrupt(), []) == 130
    assert capsys.readouterr().err.startswith("Interrupted")


def test_a_defect_is_one_sentence_and_its_traceback_goes_to_a_file(logs, capsys):
    assert announce(RuntimeError("CUDA\nexploded"), []) == 1
    sentence = capsys.readouterr().err
    (log,) = logs.iterdir()
    assert sentence == f"Unexpected RuntimeError: CUDA exploded; the full report is in {log}.\n"
    assert log.read_text() == "RuntimeError: CUDA\nexploded\n"


def test_a_defect_without_a_writable_log_folder_is_still_one_sentence(monkeypatch, capsys):
    def refuse(*args, **kwargs):
        raise PermissionError

    monkeypatch.setattr("platformdirs.user_log_path", refuse)
    assert announce(RuntimeError(), []) == 1
    assert (
        capsys.readouterr().err
        == "Unexpected RuntimeError; set NAPARI_DIAMANT_DEBUG=1 to see the full report.\n"
    )


def test_the_traceback_is_shown_on_request(monkeypatch, capsys, logs):
    monkeypatch.setenv("NAPARI_DIAMANT_DEBUG", "1")
    announce(RuntimeError("why"), [])
    assert capsys.readouterr().err.startswith("RuntimeError: why\n")


@pytest.mark.parametrize(
    "words",
    [
        ["models", "nonsense"],
        ["attend"],
        ["attend", "a.png", "--out"],
        ["project", "new"],
        ["train", "--images", "i", "--masks", "m", "--out", "o", "--arch", "vnet"],
        ["train", "--images", "i", "--masks", "m", "--out", "o", "--epochs", "many"],
        ["train", "--images", "i", "--masks", "m", "--out", "o", "--crop", "8"],
        ["train", "--images", "i", "--masks", "m", "--out", "o", "--classes", "one"],
        ["attend", "a.png", "--out", "o", "--size", "big"],
        ["attend", "a.png", "--out", "o", "--size", "8"],
        ["predict", "a.png", "--model", "m", "--out", "o", "--heads", "a,b"],
    ],
)
def test_wrong_use_exits_with_2_and_one_line(words, capsys):
    assert main([words[0], "--json", *words[1:]]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert json.loads(captured.out)["message"] == captured.err.rstrip("\n")


def test_without_words_the_help_is_shown(capsys):
    assert main([]) == 0
    assert "fine-tune" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("napari-diamant ")


@pytest.mark.parametrize(("chosen", "kept"), [(None, "10000"), ("7", "7")])
def test_threads_spin_shortly_while_they_wait_unless_the_user_wants_otherwise(monkeypatch, chosen, kept):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if chosen is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", chosen)
    assert main(["--version"]) == 0
    assert os.environ["GOMP_SPINCOUNT"] == kept
