"""Whose login a body is, as far as the throttle wants to know: the names at one JSON Pointer. Judges no body.

The remote may read a body in another way than we do, and the attacker chooses what it looks like. So each of several duplicate
members counts, and members whose names differ in case alone are duplicates: many parsers take them for one. A body in which no
name is found has the name "", which counts for the whole network, and so has one that is too long to be looked at.
"""

from __future__ import annotations

import contextlib
import json
import unicodedata
from typing import Any, Final

from orjson import JSONDecodeError
from orjson import loads as read_json

from txtoken.service.pointer import Pointer
from txtoken.settings import KIB, MIB

NAME_CHARACTERS_MAX: Final = 256  # of a name that are compared: a longer one is cut, and no real one is as long
NAMES_MAX: Final = 8  # of more the first and the last half count, and the whole network
# Up to here a body is read whatever stands in it; a longer one where it has few marks. 64 KiB of the densest JSON take 4 ms, and
# duplicates are found by a reader that takes five times as long.
DENSE_BODY_BYTES_MAX: Final = 64 * KIB
DENSE_DUPLICATES_BYTES_MAX: Final = 16 * KIB
MARKS_MAX: Final = 4096  # brackets, commas and backslashes
BODY_BYTES_MAX: Final = MIB  # past it none is looked at
NOT_READ: Final[object] = object()  # in place of a body as parsed JSON
# What an s and a k may look like to a reader that ignores case: U+017F and U+212A.
_ODD_LETTERS: Final = (b"\xc5\xbf", b"\xe2\x84\xaa")


class Names:
    """Finds the names at the place that a pointer names, which leads to a text in most bodies."""

    __slots__ = ("_pointer", "_quoted", "_steps")

    def __init__(self, pointer: str) -> None:
        self._pointer = Pointer(pointer)
        self._steps = [(name.casefold(), index) for name, index in self._pointer.steps]
        # As they stand in a body in lower case. None: some of them may be written in several ways.
        self._quoted: list[bytes] | None = [write_step(name) for name, _ in self._pointer.steps]
        if not all(name.isascii() and name.isprintable() and '"' not in name for name, _ in self._pointer.steps):
            self._quoted = None

    def find(self, body: bytes, document: object) -> list[str]:
        """Return the names in a body, as they are compared. `document` is what orjson makes of it, or `NOT_READ`.

        One text is the name, "" stands for what is none. There is one name at least.
        """
        size = len(body)
        if document is NOT_READ:
            if size > DENSE_BODY_BYTES_MAX and not _is_sparse(body):
                return [""]
            with contextlib.suppress(JSONDecodeError):  # it may be JSON for the remote all the same
                document = read_json(body)
        if document is not NOT_READ and self._is_plain(body):
            found = self._pointer.find(document)
            if found is not None:
                return [comparable(found) if isinstance(found, str) else ""]
        if size > DENSE_DUPLICATES_BYTES_MAX and not _is_sparse(body):
            return [""]
        return _chosen(self._find_all(body))

    def _is_plain(self, body: bytes) -> bool:
        """Whether no step of the pointer can lead to two places: all readers find the same name then."""
        if self._quoted is None or body.find(b"\\") >= 0:  # `in` takes 0.07 µs more in compiled code
            return False
        if not body.isascii() and (_ODD_LETTERS[0] in body or _ODD_LETTERS[1] in body):
            return False
        lowered = body.lower()
        for quoted in self._quoted:  # noqa: SIM110 - a generator takes 0.2 µs
            if lowered.count(quoted) > 1:
                return False
        return True

    def _find_all(self, body: bytes) -> list[Any]:
        """Return all that stands where the pointer may lead, by any choice among duplicate members."""
        try:
            # Objects become tuples of pairs. A number is never a name, and one of 5 000 digits is an error for int().
            found: list[Any] = [json.loads(body, object_pairs_hook=tuple, parse_int=_no_name, parse_float=_no_name)]
        except (ValueError, RecursionError):
            return []
        for name, index in self._steps:
            inner: list[Any] = []
            for value in found:
                if isinstance(value, tuple):
                    inner += [member for key, member in value if key.casefold() == name]
                elif isinstance(value, list) and 0 <= index < len(value):
                    inner.append(value[index])
            found = inner
        return found


def comparable(name: str) -> str:
    """Return a name so that names which mean the same are equal: trimmed, cut, without case, by NFKC (Unicode §5.18, UAX #15)."""
    trimmed = name.strip()
    if len(trimmed) > NAME_CHARACTERS_MAX:
        trimmed = trimmed[:NAME_CHARACTERS_MAX]
    if not trimmed.isprintable():
        trimmed = "".join(map(_visible, trimmed)).strip()
    if trimmed.isascii():
        return trimmed.lower()
    folded = unicodedata.normalize("NFKC", trimmed).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


def _visible(character: str) -> str:
    """Return a blank for a control character, which many languages trim (Java all below the blank), and nothing for one that only
    formats: some data bases ignore these, and NFKC_Casefold drops them.
    """
    category = unicodedata.category(character)
    return " " if category == "Cc" else "" if category == "Cf" else character


def write_step(name: str) -> bytes:
    """Write a step of a pointer as the name of a member, in lower case."""
    return b'"%b"' % name.lower().encode("utf-8", "surrogatepass")


def _chosen(found: list[Any]) -> list[str]:
    """Choose among all that was found. What is no text is no name."""
    names = list(dict.fromkeys([comparable(value) if isinstance(value, str) else "" for value in found]))
    if len(names) > NAMES_MAX:
        half = NAMES_MAX // 2
        names = [*names[:half], *names[-half:], ""]
    return names or [""]


def _is_sparse(body: bytes) -> bool:
    if len(body) > BODY_BYTES_MAX:
        return False
    return sum([body.count(mark) for mark in (b",", b"[", b"{", b"\\")]) <= MARKS_MAX


def _no_name(_: str) -> None:
    return None
