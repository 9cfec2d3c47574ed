"""What was found out once and is likely to be asked again, up to so many entries. Knows nothing of what it remembers.

A full memory is emptied: what is still in use comes back at once, and nothing has to be kept about when an entry was used.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """At most `entries_max` keys and their values. A key alone is remembered with the value True."""

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
        """Remember a key that is not known yet, or its new value."""
        if len(self._entries) >= self._entries_max:
            self._entries.clear()
        self._entries[key] = value
