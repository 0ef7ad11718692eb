"""One SQLite file: durable, shared between processes, and its faults in words."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from napari_diamant.errors import UserError
from napari_diamant.project import schema, store
from napari_diamant.project.store import Store

WRITER = """
import sys
from pathlib import Path
from napari_diamant.project.store import Store
with Store.open(Path(sys.argv[1])) as store:
    for number in range(40):
        with store.transaction() as connection:
            connection.execute("INSERT INTO settings VALUES (?, '0')", (f"{sys.argv[2]} {number}",))
"""

READER = """
import os, sys
from pathlib import Path
from napari_diamant.project.store import Store
if os.getuid() == 0:
    os.setuid(65534)  # nothing is read-only for root: ask as nobody
Store.open(Path(sys.argv[1]))
"""


def insert(opened: Store, key: str) -> None:
    with opened.transaction() as connection:
        connection.execute("INSERT INTO settings VALUES (?, '1')", (key,))


def insert_half(opened: Store) -> None:
    with opened.transaction() as connection:
        connection.execute("INSERT INTO settings VALUES ('half', '1')")
        raise UserError("stopped")


def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    with Store.create(tmp_path / "deep" / "p") as made:
        insert(made, "kept")
    with Store.open(tmp_path / "deep" / "p") as again:
        assert [row["key"] for row in again.rows("SELECT key FROM settings")] == ["kept"]


def test_every_commit_waits_for_the_disk_in_wal_mode(tmp_path: Path) -> None:
    with Store.create(tmp_path) as made:
        assert made.rows("PRAGMA journal_mode")[0][0] == "wal"
        assert made.rows("PRAGMA synchronous")[0][0] == 2  # FULL


def test_a_file_system_without_shared_memory_gets_the_rollback_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.create(tmp_path) as made:
        insert(made, "written in WAL")

    connect = sqlite3.connect

    def without_shared_memory(path: Path, **options: object) -> sqlite3.Connection:
        return connect(f"file:{path}?vfs=unix-dotfile", uri=True, **options)

    if os.name != "posix":
        pytest.skip("this VFS of SQLite exists on POSIX systems only")
    monkeypatch.setattr(store.sqlite3, "connect", without_shared_memory)
    with Store.open(tmp_path) as opened:
        assert opened.rows("PRAGMA journal_mode")[0][0] == "delete"
        insert(opened, "written without")
        assert len(opened.rows("SELECT key FROM settings")) == 2


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    with Store.create(tmp_path) as made:
        with pytest.raises(UserError, match="stopped"):
            insert_half(made)
        assert made.rows("SELECT * FROM settings") == []
        insert(made, "the next one works")


def test_two_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    with Store.create(tmp_path) as made:
        children = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name])
            for name in ("left", "right")
        ]
        for number in range(40):
            insert(made, f"own {number}")
        assert [child.wait(60) for child in children] == [0, 0]
        assert len(made.rows("SELECT * FROM settings")) == 120


def test_an_older_version_is_brought_up_to_date_with_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.create(tmp_path) as made:
        insert(made, "old")
    newer = (*schema.MIGRATIONS, ("ALTER TABLE settings ADD COLUMN note TEXT",))
    monkeypatch.setattr(store, "MIGRATIONS", newer)
    with Store.open(tmp_path) as opened:
        assert dict(opened.rows("SELECT * FROM settings")[0]) == {"key": "old", "value": "1", "note": None}
    with Store.open(tmp_path) as again:
        assert again.rows("PRAGMA user_version")[0][0] == len(newer)


def test_a_newer_version_is_refused_in_words(tmp_path: Path) -> None:
    with Store.create(tmp_path) as made:
        made.rows("PRAGMA user_version=99")
    with pytest.raises(UserError, match=r"version 99.*Update"):
        Store.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "not a project"),
        (b"", "not a project"),
        (b"these are no pages of a database" * 64, "not a project"),
        (b"SQLite format 3\x00" + bytes(4096), "not a project|damaged"),
    ],
    ids=["missing", "empty", "text", "header only"],
)
def test_what_is_no_project_is_refused_in_words(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "project.db").write_bytes(content)
    with pytest.raises(UserError, match=words):
        Store.open(tmp_path)


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "project.db") as other:
        other.execute("CREATE TABLE theirs (value)")
    other.close()
    with pytest.raises(UserError, match="another program"):
        Store.open(tmp_path)
    with sqlite3.connect(tmp_path / "project.db") as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


def test_damaged_pages_are_told_in_words(tmp_path: Path) -> None:
    with Store.create(tmp_path) as made:
        for number in range(300):
            insert(made, f"{number} {'x' * 200}")
    path = tmp_path / "project.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xff" * (len(content) - 4096 * 3)
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"), Store.open(tmp_path) as opened:
        opened.rows("SELECT * FROM settings")


def test_a_project_is_not_made_over_another(tmp_path: Path) -> None:
    Store.create(tmp_path).close()
    with pytest.raises(UserError, match="already holds a project"):
        Store.create(tmp_path)


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        Store.create(tmp_path / "file" / "project")


def test_a_read_only_folder_is_told_in_words() -> None:
    if os.name != "posix":
        pytest.skip("permissions of folders work otherwise on Windows")
    with tempfile.TemporaryDirectory() as name:  # not pytest's folder, which other users cannot enter
        folder = Path(name)
        Store.create(folder).close()
        folder.chmod(0o555)
        child = subprocess.run(
            [sys.executable, "-c", READER, name], capture_output=True, text=True, check=False
        )
        folder.chmod(0o755)
    assert "UserError" in child.stderr
    assert "cannot be written to" in child.stderr


def test_a_project_held_by_another_program_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.05)
    with (
        Store.create(tmp_path) as made,
        Store.open(tmp_path) as second,
        made.transaction(),
        pytest.raises(UserError, match="held by another program"),
    ):
        insert(second, "too late")


def test_a_full_disk_is_told_in_words_and_costs_nothing_written_before(tmp_path: Path) -> None:
    with Store.create(tmp_path) as made:
        insert(made, "before")
        pages = made.rows("PRAGMA page_count")[0][0]
        made.rows(f"PRAGMA max_page_count={pages}")
        with pytest.raises(UserError, match="full"):
            insert(made, "x" * 100_000)
        assert [row["key"] for row in made.rows("SELECT key FROM settings")] == ["before"]
