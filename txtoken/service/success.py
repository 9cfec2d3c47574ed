"""Which JSON of the remote is a login (`successWhen`, contract §1.2). Knows no statuses and no connection.

JSON Pointers (RFC 6901) into the reply, each with the value that has to stand there. Both are taken apart once, at start.
"""

from __future__ import annotations

import re
from typing import Any, Final

from orjson import loads as read_json

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")  # of an array: no leading zeros (RFC 6901 §4); no reply has more items


class Member:
    """One pointer and its value."""

    __slots__ = ("_steps", "_value")

    def __init__(self, pointer: str, value: bytes) -> None:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        # A step into an array is an index, or leads nowhere: `-` is the item after the last one.
        self._steps = [(step, int(step) if _INDEX.fullmatch(step) else -1) for step in steps]
        self._value: object = read_json(value)

    def agrees(self, reply: object) -> bool:
        """Whether the value stands there. Null stands where nothing does."""
        found: Any = reply
        for name, index in self._steps:
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and 0 <= index < len(found):
                found = found[index]
            else:
                found = None
            if found is None:
                break
        return are_equal(found, self._value)


class Success:
    """All members that have to agree. `members` are pointers and compact JSON."""

    __slots__ = ("_members",)

    def __init__(self, members: tuple[tuple[str, bytes], ...]) -> None:
        self._members = [Member(pointer, value) for pointer, value in members]

    def agrees(self, reply: object) -> bool:
        """Whether a reply, as parsed JSON, is a success."""
        return all(member.agrees(reply) for member in self._members)


def are_equal(one: object, other: object) -> bool:
    """Whether two values are the same JSON value. Another type is another value: 1 is not true. 1 equals 1.0.

    The order of an object's members means nothing (RFC 8259 §4).
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
