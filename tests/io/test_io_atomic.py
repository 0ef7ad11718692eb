from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_diamant.errors import UserError
from napari_diamant.io import atomic


def test_a_file_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path):
    target = tmp_path / "new folder" / "result.bin"
    with atomic(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == ".bin"
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def _write_half(target: Path) -> None:
    with atomic(target) as temporary:
        temporary.write_bytes(b"ha")
        raise RuntimeError("half way")


def test_a_failure_keeps_the_old_file_and_removes_the_new_one(tmp_path: Path):
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"):
        _write_half(target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def _write_until_full(target: Path) -> None:
    with atomic(target) as temporary:
        temporary.write_bytes(b"begun")
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path):
    target = tmp_path / "result.bin"
    with pytest.raises(UserError, match=r"full disk\. Free some space"):
        _write_until_full(target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX users")
def test_a_read_only_folder_is_told_in_a_sentence(tmp_path: Path):
    tmp_path.chmod(0o555)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)  # root writes everywhere, so step down for a moment
    try:
        with (
            pytest.raises(UserError, match="can be written to"),
            atomic(tmp_path / "result.bin") as temporary,
        ):
            temporary.write_bytes(b"x")
    finally:
        os.seteuid(me)
        tmp_path.chmod(0o755)


def test_a_folder_below_a_file_is_told_in_a_sentence(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="can be written to"), atomic(tmp_path / "file" / "result.bin"):
        pass


def test_a_name_too_long_for_the_disk_is_told_in_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="shorter"), atomic(tmp_path / ("x" * 300)) as temporary:
        temporary.write_bytes(b"x")


def test_faults_that_are_not_the_disks_pass_unchanged(tmp_path: Path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "result.bin"):
        (tmp_path / "never made").read_bytes()


_WRITER = """
import sys
from pathlib import Path
from napari_diamant.io import atomic
number = 0
while True:
    number += 1
    with atomic(Path(sys.argv[1])) as temporary:
        with temporary.open("wb") as file:
            for _ in range(64):
                file.write(bytes([number % 256]) * 4096)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path):
    target = tmp_path / "result.bin"
    for attempt in range(5):
        process = subprocess.Popen([sys.executable, "-c", _WRITER, str(target)])
        try:
            deadline = time.monotonic() + 30
            before = target.stat().st_mtime_ns if target.exists() else 0
            while not target.exists() or target.stat().st_mtime_ns == before:
                assert time.monotonic() < deadline, "the writer never finished a file"
                time.sleep(0.002)
            time.sleep(0.003 * attempt)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        content = target.read_bytes()
        assert len(content) == 64 * 4096
        assert len(set(content)) == 1
