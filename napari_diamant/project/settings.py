"""A project's settings: a mapping from names to JSON values, each on the disk when it is set."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from napari_diamant.config import Config
from napari_diamant.errors import UserError
from napari_diamant.project.store import Store

Choice = TypeVar("Choice", bound=Config)


class Settings(MutableMapping[str, Any]):
    """The table ``settings`` as a dictionary."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getitem__(self, key: str) -> Any:
        row = self._store.row("SELECT value FROM settings WHERE key = ?", (key,))
        if row is None:
            raise KeyError(key)
        return json.loads(row["value"])

    def __setitem__(self, key: str, value: Any) -> None:
        text = json.dumps(value)
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, text),
            )

    def __delitem__(self, key: str) -> None:
        with self._store.transaction() as connection:
            if not connection.execute("DELETE FROM settings WHERE key = ?", (key,)).rowcount:
                raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter([row["key"] for row in self._store.rows("SELECT key FROM settings ORDER BY key")])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def config(self, key: str, default: Choice) -> Choice:
        """Read a setting as a configuration, `default` where it is not set."""
        try:
            return type(default).model_validate(self[key]) if key in self else default
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, (key, *first["loc"])))
            raise UserError(
                f"The project's setting {place} is not usable: {first['msg']}. Set it anew."
            ) from error


def checked_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Give the names of a project's classes as they are kept; UserError when they are not usable."""
    cleaned = tuple(name.strip() for name in names)
    if len(cleaned) < 2 or len(set(cleaned)) != len(cleaned) or not all(cleaned):
        raise UserError(
            f"A project needs two or more different class names, background first, got {list(names)}."
        )
    return cleaned
