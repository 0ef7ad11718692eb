"""Arrays kept in memory up to a number of bytes, the least recently used dropped first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ByteCache(Generic[Key, Value]):
    """A least-recently-used cache bounded by size; the newest entry always stays.

    Parameters
    ----------
    size
        Gives the bytes of a value.
    limit
        Bytes kept in all.
    """

    def __init__(self, size: Callable[[Value], int], limit: int) -> None:
        self._size = size
        self._limit = limit
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Give the value and mark it as used, or None."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, dropping the oldest ones beyond the limit."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        total = sum(map(self._size, self._entries.values()))
        while total > self._limit and len(self._entries) > 1:
            total -= self._size(self._entries.popitem(last=False)[1])

    def drop(self, key: Key) -> None:
        """Forget a value, if it is there."""
        self._entries.pop(key, None)
