"""Claims as header fields for the service behind a proxy (contract §3.5 `headers`). Knows no request and no route.

A claim may contain text that a user has chosen. It must not end a line or begin another one, and no item of a list may look like
two. Percent-encoding (RFC 3986 §2.1) ensures that for every byte that a header field cannot contain. A text keeps its commas: if
one value must not look like several, the claim has to be a list.
"""

from __future__ import annotations

import json
import re
from typing import Final

from txtoken.service.pointer import Pointer

# Of all lines together: nginx accepts 4 KiB for a whole head. A value is never truncated: it could become another user's.
IDENTITY_BYTES_MAX: Final = 2 * 1024
_UNSAFE: Final = re.compile(rb"[^ -$&-~]")  # all but 0x20 to 0x7E, and the percent sign
_UNSAFE_IN_LIST: Final = re.compile(rb"[^ -$&-+\--~]")  # and the comma
_REMOVED: Final = b"X-Envoy-Auth-Headers-To-Remove"


class TooLarge(Exception):
    """The lines would have more than `IDENTITY_BYTES_MAX` bytes."""


class Identity:
    """The header lines of one route. `headers` are names, each with a JSON Pointer into the claims.

    With `names_missing` there is one more, by which Envoy removes the fields that have no value.
    """

    __slots__ = ("_headers", "_names_missing")

    def __init__(self, headers: tuple[tuple[str, str], ...], *, names_missing: bool) -> None:
        self._headers = [(name.encode("ascii"), Pointer(pointer)) for name, pointer in headers]
        self._names_missing = names_missing

    def lines(self, claims: object, text: bytes) -> bytes:
        """Write the lines of claims, each with its line end. `text` is JSON, `claims` the same parsed.

        Every header has a line. It is empty if the claim is missing, null, an object, or a list with one of these or a list in
        it: that removes a client's own copy.

        Raises:
            TooLarge: they are longer than `IDENTITY_BYTES_MAX`.
        """
        exact: object = None  # the claims, with exact numbers
        lines, missing = [], []
        room = IDENTITY_BYTES_MAX
        items = IDENTITY_BYTES_MAX  # of all lists together, empty ones included
        for name, pointer in self._headers:
            found = pointer.find(claims)
            if _has_fraction(found):  # or it is an integer of more than 64 bits
                if exact is None:
                    exact = json.loads(text, parse_int=str, parse_float=str)
                found = pointer.find(exact)
            if isinstance(found, list):
                items -= len(found)
                if items < 0:
                    raise TooLarge
            value = _value(found, room)
            if not value:
                missing.append(name)
            line = b"%b: %b\r\n" % (name, value)
            lines.append(line)
            room -= len(line)
        if self._names_missing and missing:
            lines.append(b"%b: %b\r\n" % (_REMOVED, b", ".join(missing)))
            room -= len(lines[-1])
        if room < 0:
            raise TooLarge
        return b"".join(lines)


def _has_fraction(value: object) -> bool:
    if not isinstance(value, list):
        return isinstance(value, float)
    # Of more items there is no room for the commas.
    return any(isinstance(item, float) for item in value[:IDENTITY_BYTES_MAX])


def _value(found: object, room: int) -> bytes:
    """Write a claim as a field's value. Raises TooLarge before it writes much more than `room` bytes."""
    if not isinstance(found, list):
        return _escaped(found, _UNSAFE, room)
    items = []
    for item in found:
        if item is None or isinstance(item, dict | list):
            return b""
        items.append(_escaped(item, _UNSAFE_IN_LIST, room))
        room -= len(items[-1]) + 1
    return b",".join(items)


def _escaped(value: object, unsafe: re.Pattern[bytes], room: int) -> bytes:
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int):
        text = str(value)
    else:
        return b""
    if len(text) > room:
        raise TooLarge
    # A lone surrogate is not a character. It is encoded as if it were one, which no other text can produce.
    escaped = unsafe.sub(_percent, text.encode("utf-8", "surrogatepass"))
    inner = escaped.strip(b" ")
    if len(inner) == len(escaped):
        return escaped
    # Blanks at either end of a field's value are not part of it (RFC 9110 §5.5): they would be lost.
    before = len(escaped) - len(escaped.lstrip(b" "))
    return b"%20" * before + inner + b"%20" * (len(escaped) - before - len(inner))


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
