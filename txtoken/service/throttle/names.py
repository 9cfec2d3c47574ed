"""Finds the names of a login for the throttle, at one JSON Pointer into the body. Judges no body.

The remote may parse a body differently, and the attacker chooses it. So all duplicate members count, and members whose names
differ only in case are duplicates, because many parsers treat them as one. A body without a name, or one that is too long to be
parsed, has the name "", which counts for the whole network.
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

NAME_CHARACTERS_MAX: Final = 256  # of a name that are compared: a longer name is truncated, and no real name is as long
NAMES_MAX: Final = 8  # of more names, the first and the last half count, and the whole network
# Up to here a body is always parsed; a longer one only if it has few marks. 64 KiB of the densest JSON take 4 ms, and the parser
# that finds duplicates takes five times as long.
DENSE_BODY_BYTES_MAX: Final = 64 * KIB
DENSE_DUPLICATES_BYTES_MAX: Final = 16 * KIB
MARKS_MAX: Final = 4096  # brackets, commas and backslashes
BODY_BYTES_MAX: Final = MIB  # longer bodies are not parsed
NOT_READ: Final[object] = object()  # instead of a body as parsed JSON
# Letters that equal s and k when case is ignored: U+017F and U+212A.
_ODD_LETTERS: Final = (b"\xc5\xbf", b"\xe2\x84\xaa")


class Names:
    """Finds the names at a pointer, which is a text in most bodies."""

    __slots__ = ("_pointer", "_quoted", "_steps")

    def __init__(self, pointer: str) -> None:
        self._pointer = Pointer(pointer)
        self._steps = [(name.casefold(), index) for name, index in self._pointer.steps]
        # The steps in lower case, as in a body. None: some of them can be written in several ways.
        self._quoted: list[bytes] | None = [write_step(name) for name, _ in self._pointer.steps]
        if not all(name.isascii() and name.isprintable() and '"' not in name for name, _ in self._pointer.steps):
            self._quoted = None

    def find(self, body: bytes, document: object) -> list[str]:
        """Return the names in a body, in the form for comparison. `document` is orjson's result, or `NOT_READ`.

        A text is a name, anything else is "". There is at least one name.
        """
        size = len(body)
        if document is NOT_READ:
            if size > DENSE_BODY_BYTES_MAX and not _is_sparse(body):
                return [""]
            with contextlib.suppress(JSONDecodeError):  # the remote may still accept it as JSON
                document = read_json(body)
        if document is not NOT_READ and self._is_plain(body):
            found = self._pointer.find(document)
            if found is not None:
                return [comparable(found) if isinstance(found, str) else ""]
        if size > DENSE_DUPLICATES_BYTES_MAX and not _is_sparse(body):
            return [""]
        return _chosen(self._find_all(body))

    def _is_plain(self, body: bytes) -> bool:
        """Whether no step of the pointer is ambiguous: then all parsers find the same name."""
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
        """Return every value that the pointer can find, by any choice among duplicate members."""
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
    """Return a name in the form for comparison: trimmed, truncated, case-folded, NFKC (Unicode §5.18, UAX #15)."""
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
    """Return a blank for a control character, because many languages trim these (Java all below the blank), and nothing for a
    format character: some databases ignore these, and NFKC_Casefold drops them.
    """
    category = unicodedata.category(character)
    return " " if category == "Cc" else "" if category == "Cf" else character


def write_step(name: str) -> bytes:
    """Write a step of a pointer as the name of a member, in lower case."""
    return b'"%b"' % name.lower().encode("utf-8", "surrogatepass")


def _chosen(found: list[Any]) -> list[str]:
    """Choose among all values that were found. Only text is a name."""
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
