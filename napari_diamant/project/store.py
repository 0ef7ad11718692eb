"""One SQLite file, opened safely: durable commits, several processes, faults in words."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_diamant.errors import UserError
from napari_diamant.project.schema import APPLICATION_ID, MIGRATIONS

BUSY_SECONDS = 30.0
"""How long a write waits for another process; each of ours holds the file for milliseconds."""

_FAULTS = (
    (
        "SQLITE_BUSY",
        "The project {path} is held by another program for more than 30 s. Close it and try again.",
    ),
    ("SQLITE_LOCKED", "The project {path} is held by another program. Close it and try again."),
    (
        "SQLITE_FULL",
        "The disk that holds the project {path} is full. Free some space; nothing written so far is lost.",
    ),
    (
        "SQLITE_READONLY",
        "The project {path} cannot be written to. Copy it to a folder of your own and open the copy.",
    ),
    (
        "SQLITE_CANTOPEN",
        "The project {path} cannot be opened for writing. Check that the folder is yours and exists.",
    ),
    ("SQLITE_NOTADB", "{path} is not a project: its project.db is no database. Choose another folder."),
    (
        "SQLITE_CORRUPT",
        "The project {path} is damaged: its project.db cannot be read. Restore it from a backup.",
    ),
    (
        "SQLITE_IOERR",
        "The disk that holds the project {path} does not answer properly. Check the drive or the network.",
    ),
)


class Store:
    """A connection to ``project.db``.

    Every write is on the disk when its transaction ends (WAL with ``synchronous=FULL``, or the rollback
    journal where the file system refuses WAL). One object may be used from several threads, one file
    from several processes.

    Parameters
    ----------
    folder
        The project folder, which must exist.

    Attributes
    ----------
    lock
        Held during every query and transaction; what is kept in memory beside the file is changed under it.

    Raises
    ------
    UserError
        When the file is missing, damaged, read-only, foreign, or written by a newer version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "project.db"
        self.lock = threading.RLock()
        if not os.access(folder, os.W_OK):
            raise UserError(self._sentence("SQLITE_READONLY"))
        with self._faults():
            self._connection = self._connect()
            try:
                self._migrate()
            except BaseException:
                self._connection.close()
                raise

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make the database of a new project in `folder`."""
        path = folder / "project.db"
        if path.exists() and path.stat().st_size:
            raise UserError(f"{folder} already holds a project. Open it, or choose an empty folder.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise UserError(
                f"The folder {folder} cannot be made ({error.strerror}). Choose another one."
            ) from error
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the database of an existing project."""
        path = folder / "project.db"
        if not path.is_file() or not path.stat().st_size:
            raise UserError(
                f"{folder} is not a project: it holds no project.db. Choose a project folder or make one."
            )
        return cls(folder)

    def close(self) -> None:
        """Close the connection; the object is of no further use."""
        with self.lock:
            self._connection.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Run a query and give all of its rows."""
        with self.lock, self._faults():
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Run a query and give its first row, or None."""
        with self.lock, self._faults():
            found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock: everything inside is on disk when the block ends, or nothing of it is."""
        with self.lock, self._faults():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite has already rolled back on some faults
                    self._connection.execute("ROLLBACK")
                raise

    def integrity(self) -> list[str]:
        """Give SQLite's own findings about the file, none when it is sound."""
        return [row[0] for row in self.rows("PRAGMA integrity_check") if row[0] != "ok"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        try:
            _choose_journal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone stops at the drive's cache
            connection.execute("PRAGMA foreign_keys=ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.transaction() as connection:
            # Read again: another process may have migrated while this one waited for the lock.
            for statements in MIGRATIONS[self._version() :]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")

    def _version(self) -> int:
        application = self._connection.execute("PRAGMA application_id").fetchone()[0]
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        tables = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if application != APPLICATION_ID and (tables or version):
            raise UserError(f"{self.folder} is not a project: its project.db belongs to another program.")
        if version > len(MIGRATIONS):
            raise UserError(
                f"The project {self.folder} is of version {version}, this program knows {len(MIGRATIONS)}."
                " Update napari-diamant to open it."
            )
        return version

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            sentence = self._sentence(getattr(error, "sqlite_errorname", ""))
            if not sentence:
                raise
            raise UserError(sentence) from error

    def _sentence(self, name: str) -> str:
        return next((text.format(path=self.folder) for start, text in _FAULTS if name.startswith(start)), "")


def _choose_journal(connection: sqlite3.Connection) -> None:
    """Take WAL, which lets one process read while another writes; fall back where it does not work."""
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_READONLY", "SQLITE_FULL")):
            raise
        # A network share has no shared memory: an exclusive lock does without, long enough to leave WAL.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA locking_mode=NORMAL")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
