"""A bounded cache. Knows nothing of its entries.

A full cache is emptied: entries in use return at once, and no order of use has to be tracked.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """At most `entries_max` keys and their values. A key without a value has the value True."""

    __slots__ = ("_entries", "_entries_max")

    def __init__(self, entries_max: int) -> None:
        self._entries: dict[K, V] = {}
        self._entries_max = entries_max

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """Return a key's value, or None."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember a new key, or a new value."""
        if len(self._entries) >= self._entries_max:
            self._entries.clear()
        self._entries[key] = value
