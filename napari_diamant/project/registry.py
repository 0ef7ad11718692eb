"""The models of a project: their files, where they come from, and which one is in use."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_diamant.config import ModelCard
from napari_diamant.errors import UserError
from napari_diamant.project.store import Store
from napari_diamant.types import JSON

Scores = dict[str, float]


@dataclass(frozen=True)
class ModelRecord:
    """One model of a project.

    Attributes
    ----------
    id
        Its name within the project: ``"m1"``, ``"m2"`` …
    path
        The safetensors file.
    identity
        SHA-256 of its weights, which other cards name as their parent.
    file_hash
        SHA-256 of the file.
    card
        What it is and what it learned from.
    before, after
        Scores on the held-out part at the start and at the end of its fit, where they are known.
    created
        ISO 8601, UTC.
    active
        It is the one that predicts.
    """

    id: str
    path: Path
    identity: str
    file_hash: str
    card: ModelCard
    before: Scores | None
    after: Scores | None
    created: str
    active: bool

    def as_json(self) -> JSON:
        """Give what a list of models shows."""
        return {
            "id": self.id,
            "path": str(self.path),
            "identity": self.identity,
            "parent": self.card.parent,
            "arch": self.card.model.arch,
            "classes": list(self.card.model.classes),
            "learned_from": len(self.card.learned_from),
            "before": self.before,
            "after": self.after,
            "created": self.created,
            "active": self.active,
        }


class Registry:
    """The table of models and the folder ``models/``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.folder / "models"

    def all(self) -> list[ModelRecord]:
        """Give every model, the oldest first."""
        active = self._active_id()
        rows = self._store.rows("SELECT * FROM models ORDER BY rowid")
        return [self._record(row, active) for row in rows]

    def get(self, model_id: str) -> ModelRecord:
        """Give one model."""
        row = self._store.row("SELECT * FROM models WHERE id = ?", (model_id,))
        if row is None:
            names = ", ".join(record.id for record in self.all()) or "none yet"
            raise UserError(f"The project has no model {model_id!r}, it has: {names}. Choose one of these.")
        return self._record(row, self._active_id())

    def active(self) -> ModelRecord | None:
        """Give the model that predicts, or None when the project has none of its own."""
        active = self._active_id()
        return None if active is None else self.get(active)

    def activate(self, model_id: str) -> ModelRecord:
        """Let this model predict from now on; each change of mind is kept."""
        record = self.get(model_id)
        if not record.path.is_file():
            raise UserError(f"The file of model {model_id} is gone ({record.path}). Choose another model.")
        with self._store.transaction() as connection:
            connection.execute("INSERT INTO activations (model, created) VALUES (?, ?)", (model_id, _now()))
        return self.get(model_id)

    def register(
        self, path: Path, card: ModelCard, identity: str, before: Scores | None, after: Scores | None
    ) -> ModelRecord:
        """Copy a model file into the project and list it; it is not activated by that.

        The copy is complete and on the disk before it gets its name and its row, so a crash leaves either a
        registered model or a nameless folder that the next registration sweeps away.
        """
        self._sweep()
        incoming = self._folder / f".incoming-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        incoming.mkdir(parents=True)
        try:
            _place(path, incoming / "model.safetensors")
            text = card.model_dump_json(indent=2)
            (incoming / "model.json").write_text(text + "\n", encoding="utf-8")
            file_hash = hash_file(incoming / "model.safetensors")
            with self._store.transaction() as connection:
                model_id = f"m{connection.execute('SELECT count(*) FROM models').fetchone()[0] + 1}"
                folder = self._folder / model_id
                if folder.exists():  # left by a process that died between this name and its row
                    shutil.rmtree(folder)
                incoming.rename(folder)
                connection.execute(
                    "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        model_id,
                        identity,
                        file_hash,
                        card.model_dump_json(),
                        _dump(before),
                        _dump(after),
                        _now(),
                    ),
                )
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return self.get(model_id)

    def check(self, record: ModelRecord) -> str | None:
        """Say in a sentence what is wrong with a model's file, or None."""
        if not record.path.is_file():
            return f"Model {record.id}: its file {record.path} is gone."
        if hash_file(record.path) != record.file_hash:
            return f"Model {record.id}: its file {record.path} is not the one that was registered."
        return None

    def _sweep(self) -> None:
        # A fit's copy takes seconds; what is older than a day belongs to a process that died.
        for folder in self._folder.glob(".incoming-*"):
            if datetime.now().timestamp() - folder.stat().st_mtime > 86_400:
                shutil.rmtree(folder, ignore_errors=True)

    def _active_id(self) -> str | None:
        row = self._store.row("SELECT model FROM activations ORDER BY id DESC LIMIT 1")
        return None if row is None else str(row["model"])

    def _record(self, row: sqlite3.Row, active: str | None) -> ModelRecord:
        return ModelRecord(
            id=row["id"],
            path=self._folder / row["id"] / "model.safetensors",
            identity=row["identity"],
            file_hash=row["file_hash"],
            card=ModelCard.model_validate_json(row["card"]),
            before=_load(row["before"]),
            after=_load(row["after"]),
            created=row["created"],
            active=row["id"] == active,
        )


def hash_file(path: Path) -> str:
    """Give the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(source: Path, target: Path) -> None:
    if not source.is_file():
        raise UserError(f"There is no model file {source}. Give the file that a fit has written.")
    with source.open("rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer)
        writer.flush()
        os.fsync(writer.fileno())


def _dump(scores: Scores | None) -> str | None:
    return None if scores is None else json.dumps(scores)


def _load(text: str | None) -> Scores | None:
    return None if text is None else json.loads(text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
