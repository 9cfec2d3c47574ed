"""Decides which JSON of the remote is a login (`successWhen`, contract §1.2). Knows no statuses and no connection.

It uses JSON Pointers (RFC 6901) into the reply, each with the expected value. Both are parsed once, at start.
"""

from __future__ import annotations

from orjson import loads as read_json

from txtoken.service.pointer import Pointer, members_of


class Member:
    """One pointer and the expected value."""

    __slots__ = ("_value", "pointer")

    def __init__(self, pointer: str, value: bytes) -> None:
        self.pointer = Pointer(pointer)
        self._value: object = read_json(value)

    def agrees(self, reply: object) -> bool:
        """Whether the reply has this value."""
        return are_equal(self.pointer.find(reply), self._value)


class Success:
    """All members that have to match. `members` are pointers and compact JSON.

    `names` are the members of a reply that `agrees` asks for; None: it asks for all.
    """

    __slots__ = ("_members", "names")

    def __init__(self, members: tuple[tuple[str, bytes], ...]) -> None:
        self._members = [Member(pointer, value) for pointer, value in members]
        self.names = members_of(member.pointer for member in self._members)

    def agrees(self, reply: object) -> bool:
        """Whether a reply, as parsed JSON, is a success."""
        return all(member.agrees(reply) for member in self._members)


def are_equal(one: object, other: object) -> bool:
    """Whether two values are the same JSON value. Another type is another value: 1 is not true. 1 equals 1.0.

    The order of an object's members does not matter (RFC 8259 §4).
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(are_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(
            name in other and are_equal(value, other[name]) for name, value in one.items()
        )
    return type(one) is type(other) and one == other
