"""JSON Pointers (RFC 6901), parsed once and followed into parsed JSON. Knows no configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")  # of an array: no leading zeros (RFC 6901 §4); no reply has more items


class Pointer:
    """One JSON Pointer. `text` is "" (the whole value) or begins with `/`."""

    __slots__ = ("steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        steps = [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]
        # A step into an array is an index, or finds nothing: `-` is the item after the last one.
        self.steps = [(step, int(step) if _INDEX.fullmatch(step) else -1) for step in steps]

    @property
    def member(self) -> str | None:
        """The member of an object that this leads to or into. None: it is the whole object."""
        return self.steps[0][0] if self.steps else None

    def find(self, value: object) -> Any:
        """Return the value there in parsed JSON. An absent value is null."""
        found: Any = value
        for name, index in self.steps:
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and 0 <= index < len(found):
                found = found[index]
            else:
                found = None
            if found is None:
                break
        return found


def members_of(pointers: Iterable[Pointer]) -> frozenset[str] | None:
    """Return the members of an object that these lead to or into. None: one is the whole object."""
    names = [pointer.member for pointer in pointers]
    return None if None in names else frozenset(name for name in names if name is not None)
