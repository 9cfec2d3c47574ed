"""Checks JSON text, reads objects that a token can carry, and writes them compactly. Knows no token.

Nothing here takes longer than 10 ms for a text of 128 KiB, whatever it contains (contract §4.1): no pattern looks at a byte more
than a few times. (With 60 000 lists, a duplicate member and a number beyond binary64 in one text: 13 ms.) Operations that are
expensive in Python use whole-text functions in C: `translate`, `find`, `split`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from orjson import Fragment, JSONDecodeError, JSONEncodeError
from orjson import dumps as write_json
from orjson import loads as read_json

from txtoken.service.tokens.plain import IS_COMPILED, plain_members, plain_value

NESTING_MAX: Final = 200  # levels of a reply (contract §3.1)

# Numbers that a binary64 may not represent exactly, or that orjson may write differently: long numbers, and exponents of three
# digits. The text is translated to classes of characters, in which these are plain texts: 0.2 ms for 128 KiB, where a pattern
# takes 4.
_CLASSES: Final = bytes(
    ord("0") if chr(code) in "0123456789." else ord("e") if chr(code) in "eE" else ord("+") if chr(code) in "+-" else 32
    for code in range(256)
)
_LONG_NUMBER: Final = b"0" * 16
_LONG_EXPONENTS: Final = (b"0e000", b"0e+000")
# orjson accepts integers up to about 10^308, and calls larger ones malformed. Their first digits are enough for the grammar (a
# leading zero is wrong in both), and are still a number that differs from every time and every small number.
_DIGITS: Final = bytes(ord("0") if chr(code) in "0123456789" else 32 for code in range(256))
_HUGE: Final = b"0" * 300
_HUGE_INTEGER: Final = re.compile(rb"(?<![0-9])([0-9]{300})[0-9]++")
# Counting the brackets takes 6 µs for 8 KiB, and 49 for 64; to have orjson check the depth takes 2 µs more than to write.
COUNTED_BYTES_MAX: Final = 2 * 1024
# In a longer text they are searched first: parsing 128 KiB twice would take 6 ms more, the search takes 0.1.
READ_TWICE_BYTES_MAX: Final = 16 * 1024

_NO_NAMES: Final[dict[bytes, str]] = {}
_BLANKS: Final = b" \t\r\n"
_MASKED_BACKSLASH: Final = b"\x01"
_MASKED_QUOTE: Final = b"\x02"

# No group is possessive as a whole: before Python 3.11.5 such a group may match wrongly, `1.e5` for example.
_TOKEN: Final = re.compile(
    rb'[ \t\r\n]*+(?:([\[{])|([\]}])|([,:])|("(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*")'
    rb"|(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null)(?![-+.0-9A-Za-z])|\Z)"
)


class UnusableJson(ValueError):
    """The text is not a JSON object that a token can carry. The message says why and quotes nothing."""


def compact_object(text: bytes, nesting_max: int = NESTING_MAX) -> bytes:
    """Check that `text` is a JSON object, and write it without white space.

    Members keep their order, of duplicate ones the last wins, and every number keeps its value, integers of any size
    included.

    Raises:
        UnusableJson: it is not, or is nested deeper than `nesting_max` levels.
    """
    return read_object(text, nesting_max)[1]


def read_object(text: bytes, nesting_max: int) -> tuple[dict[str, Any], bytes]:
    """Read a JSON object, and write it as `compact_object` says. In the first, numbers past 64 bits are rounded, and integers
    past 10^308 are some number past 10^298.

    The result is nested `nesting_max` levels at most. A duplicate member that is dropped may have been deeper.
    """
    is_rounded = len(text) > READ_TWICE_BYTES_MAX and _has_huge_integer(text)
    try:
        value = read_json(_squeezed(text) if is_rounded else text)
    except JSONDecodeError:
        # Perhaps only for its integers. orjson also rejects lone surrogates and numbers like 1e999, and so does this.
        if is_rounded or not _has_huge_integer(text):
            raise UnusableJson("not JSON") from None
        value = _read_squeezed(text)
        is_rounded = True
    if not isinstance(value, dict):
        raise UnusableJson("not a JSON object")
    # Each level takes at least two bytes, and most texts have fewer brackets than that in total.
    if len(text) <= 2 * nesting_max or (
        len(text) <= COUNTED_BYTES_MAX and text.count(b"{") + text.count(b"[") <= nesting_max
    ):
        written = write_json(value)
    else:
        written = _write_within(value, nesting_max)
    # If the written text equals the input, it is compact, and nothing was lost. Most services write their JSON that way.
    if not is_rounded and (written == text or not _has_long_number(text)):
        return value, written
    compact = _without_blanks(text, written)
    if compact is None:
        compact = _without_duplicates(text, nesting_max)
    return value, compact


def names_by_text(names: Iterable[str]) -> dict[bytes, str]:
    """Return the names of members by their bytes in JSON text, for `read_members`."""
    return {name.encode(): name for name in names}


def read_members(text: bytes, nesting_max: int, names: dict[bytes, str] | None) -> tuple[dict[str, Any], bytes]:
    """As `read_object`, for callers that ask for the members with these `names` alone (made by `names_by_text`): others may be
    missing in the result. None: they ask for all.

    A plain text is returned as it is: duplicate members may stand in it below its top level (contract §3.1), and numbers keep
    their spelling.
    """
    if names is not None and IS_COMPILED:
        begins = plain_members(text, nesting_max, names)
        if begins is not None:
            members = {names[name]: read_json(plain_value(text, begin)) for name, begin in begins.items()}
            return members, text
    return read_object(text, nesting_max)


def is_plain_object(text: bytes) -> bool:
    """Whether a text is a JSON object for certain. Compiled, it takes a third of the time that parsing takes."""
    return IS_COMPILED and plain_members(text, NESTING_MAX, _NO_NAMES) is not None


def _levels_written() -> int:
    """Find out how deep a value may be nested for orjson to write it: 254 levels, which is undocumented."""
    value: list[Any] = []
    levels = 0
    while True:
        try:
            write_json(value)
        except JSONEncodeError:
            return levels
        value = [value]
        levels += 1


_LEVELS_WRITTEN: Final = _levels_written()


def _write_within(value: object, nesting_max: int) -> bytes:
    """Write a value that may have so many levels. It is wrapped in the levels that orjson would allow beyond, so that orjson
    itself checks the depth: 0.1 ms for 128 KiB, where counting brackets takes 4.

    Raises:
        UnusableJson: it is nested deeper.
    """
    around = _LEVELS_WRITTEN - nesting_max
    for _ in range(around):
        value = [value]
    try:
        return write_json(value)[around:-around]
    except JSONEncodeError:
        raise UnusableJson(f"nested deeper than {nesting_max} levels") from None


def _without_duplicates(text: bytes, nesting_max: int) -> bytes:
    """Write well-formed JSON text without blanks, with the last of duplicate members and exact numbers.

    Raises:
        UnusableJson: a dropped member is nested too deeply for json.
    """
    try:
        return write_json(json.loads(text, parse_int=Fragment, parse_float=Fragment))
    except RecursionError:
        raise UnusableJson(f"nested deeper than {nesting_max} levels") from None


def _without_blanks(text: bytes, written: bytes) -> bytes | None:
    """Remove the blanks from well-formed JSON text, with exact numbers. None if it has duplicate members: then it has more names
    than the text that orjson has `written`.
    """
    pieces = _masked(text).split(b'"')
    outside = b'"'.join(pieces[::2]).translate(None, _BLANKS)
    if _names(outside) != _names(b'"'.join(_masked(written).split(b'"')[::2])):
        return None
    pieces[::2] = outside.split(b'"')
    return b'"'.join(pieces).replace(_MASKED_BACKSLASH, b"\\\\").replace(_MASKED_QUOTE, b'\\"')


def _names(outside: bytes) -> int:
    """Count members by their colons. `outside` is JSON text in which each string is a single quote."""
    return outside.count(b'":')


def _masked(text: bytes) -> bytes:
    """Replace the escapes that hide the end of a string. Well-formed JSON text contains no control characters."""
    if b"\\" not in text:
        return text
    return text.replace(b"\\\\", _MASKED_BACKSLASH).replace(b'\\"', _MASKED_QUOTE)


def _has_huge_integer(text: bytes) -> bool:
    return text.translate(_DIGITS).find(_HUGE) >= 0


def _squeezed(text: bytes) -> bytes:
    return _HUGE_INTEGER.sub(rb"\1", text)


def _read_squeezed(text: bytes) -> Any:
    try:
        return read_json(_squeezed(text))
    except JSONDecodeError:
        raise UnusableJson("not JSON") from None


def _has_long_number(text: bytes) -> bool:
    classes = text.translate(_CLASSES)
    return classes.find(_LONG_NUMBER) >= 0 or any(classes.find(exponent) >= 0 for exponent in _LONG_EXPONENTS)


def is_json(text: bytes) -> bool:
    """Whether a text is JSON by RFC 8259, including what orjson rejects: numbers of any size, any nesting, lone surrogates. Takes
    about 0.2 µs for each JSON token, so it is for short texts.
    """
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return _Grammar().takes(text)


class _Grammar:
    """What may come next in JSON text. `closers` are the closing brackets of the open ones."""

    __slots__ = ("_closers", "_wants")

    def __init__(self) -> None:
        self._closers: list[bytes] = []
        self._wants = "value"  # value, name, colon, next; first_… if the container may also end

    def takes(self, text: bytes) -> bool:
        """Whether all of a text is one JSON value."""
        position = 0
        while True:
            match = _TOKEN.match(text, position)
            if match is None:
                return False
            position = match.end()
            opened, closed, mark, string = match.groups()
            if opened is not None:
                good = self._open(opened)
            elif closed is not None:
                good = self._close(closed)
            elif mark is not None:
                good = self._separate(mark)
            elif string is None and match.group().strip(_BLANKS) == b"":
                return self._wants == "next" and not self._closers  # the end of the text
            else:
                good = self._take_scalar(is_string=string is not None)
            if not good:
                return False

    def _open(self, bracket: bytes) -> bool:
        if self._wants not in ("value", "first_value"):
            return False
        self._closers.append(b"}" if bracket == b"{" else b"]")
        self._wants = "first_name" if bracket == b"{" else "first_value"
        return True

    def _close(self, bracket: bytes) -> bool:
        if not self._closers or self._closers.pop() != bracket:
            return False
        good = self._wants in ("next", "first_name" if bracket == b"}" else "first_value")
        self._wants = "next"
        return good

    def _separate(self, mark: bytes) -> bool:
        if mark == b":":
            good, self._wants = self._wants == "colon", "value"
            return good
        if self._wants != "next" or not self._closers:
            return False
        self._wants = "name" if self._closers[-1] == b"}" else "value"
        return True

    def _take_scalar(self, *, is_string: bool) -> bool:
        if self._wants in ("value", "first_value"):
            self._wants = "next"
            return True
        good = is_string and self._wants in ("name", "first_name")
        self._wants = "colon"
        return good
