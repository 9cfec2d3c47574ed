"""The claims that a route requires of a valid token (contract §3.5 `require`). Knows no request and no route."""

from __future__ import annotations

from typing import Final

from orjson import loads as read_json

from txtoken.service.pointer import Pointer
from txtoken.service.success import are_equal

OTHERS_LOOKED_AT: Final = 1000  # objects and lists in a claim that are compared one by one; later ones are not compared
_NUMBERS: Final = (int, float)


class Required:
    """A claim and its allowed values: the claim has to equal one of them, or be a list that contains one.

    Values are compared as JSON values: 1 is not true, nor "1", and equals 1.0. `null` is an absent claim as well.
    """

    __slots__ = ("_has_null", "_numbers", "_others", "_pointer", "_texts", "_truths")

    def __init__(self, pointer: str, values: tuple[bytes, ...]) -> None:
        self._pointer = Pointer(pointer)
        parsed = [read_json(value) for value in values]
        # A list of ten thousand groups is searched once, and not once for each value.
        self._texts = frozenset(value for value in parsed if isinstance(value, str))
        self._truths = frozenset(value for value in parsed if isinstance(value, bool))
        self._numbers = frozenset(value for value in parsed if type(value) in _NUMBERS)
        self._has_null = None in parsed
        self._others: list[object] = [value for value in parsed if isinstance(value, dict | list)]

    def holds(self, claims: object) -> bool:
        """Whether claims (parsed JSON) have one of the values."""
        found = self._pointer.find(claims)
        if self._is_wanted(found):
            return True
        if not isinstance(found, list):
            return False
        if any(self._is_wanted(item) for item in found if not (item is None or isinstance(item, dict | list))):
            return True
        if not self._others:
            return False
        others = [item for item in found if isinstance(item, dict | list)]
        return any(self._is_wanted(item) for item in others[:OTHERS_LOOKED_AT])

    def _is_wanted(self, value: object) -> bool:
        if value is None:
            return self._has_null
        if isinstance(value, bool):
            return value in self._truths
        if isinstance(value, str):
            return value in self._texts
        if isinstance(value, int | float):
            return value in self._numbers
        return any(are_equal(value, other) for other in self._others)


class Requirement:
    """All claims that one route requires."""

    __slots__ = ("_required",)

    def __init__(self, require: tuple[tuple[str, tuple[bytes, ...]], ...]) -> None:
        self._required = [Required(pointer, values) for pointer, values in require]

    def holds(self, claims: object) -> bool:
        """Whether claims (parsed JSON) fulfil it."""
        return all(required.holds(claims) for required in self._required)
