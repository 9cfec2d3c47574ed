r"""Recognises JSON objects that a token can carry as they stand, without building them. Knows no token.

A text is *plain* if it is a JSON object as most services write it: nothing has to be parsed into Python's objects and written
again. What is not plain may be JSON all the same, and `compact` decides about it. So this module only has to be right about what
it accepts: each doubt is a no.

Not plain, beside all that is not JSON: white space between the parts; the escapes `\/` and `\uXXXX`, which `compact` writes
shorter, and which may be half a surrogate pair; numbers with an exponent or more than 300 characters, which may be beyond
binary64; of the object itself, duplicate members and names with a backslash.

It takes 1 ns for each byte where parsing and writing take 5, but only when it is compiled: bench/micro, `test_plain_object`.
Nothing here asks whether the text goes on: an index past its end is an error, compiled too, and then the text is not plain.
"""

from __future__ import annotations

from typing import Final

from txtoken.compiling import i64, u8

IS_COMPILED: Final = not __file__.endswith(".py")  # as bytecode it takes 20 times as long as parsing and writing
NUMBER_CHARACTERS_MAX: Final = 300  # fewer than 10^300, which binary64 can represent
LEVELS_ANY: Final = 1 << 30

_NO: Final = -1  # in place of an end: this is not plain
_QUOTE: Final = 0x22  # "
_COMMA: Final = 0x2C  # ,
_MINUS: Final = 0x2D  # -
_POINT: Final = 0x2E  # .
_ZERO: Final = 0x30  # 0
_NINE: Final = 0x39  # 9
_COLON: Final = 0x3A  # :
_LIST: Final = 0x5B  # [
_BACKSLASH: Final = 0x5C  # \
_LIST_END: Final = 0x5D  # ]
_OBJECT: Final = 0x7B  # {
_OBJECT_END: Final = 0x7D  # }


def plain_members(text: bytes, levels_max: int, names: dict[bytes, str]) -> dict[bytes, int] | None:
    """Return where the values of a plain object's members begin, of those with these `names`, by the bytes between their quotes.

    None: the text is not plain, or has more levels than this.
    """
    try:
        return _members(text, levels_max, names)
    except IndexError:
        return None


def plain_value(text: bytes, begin: int) -> bytes:
    """Return the value of one of the `plain_members`."""
    return text[begin : _value_end(text, begin, LEVELS_ANY)]


def _members(text: bytes, levels: i64, names: dict[bytes, str]) -> dict[bytes, int] | None:
    begins: dict[bytes, int] = {}
    if text == b"{}":
        return begins
    if text[0] != _OBJECT:
        return None
    asks = len(names) > 0
    # Two bits of each name. Almost always these show that a name is new. To put each into a set would take 0.35 µs of a profile.
    one: i64 = 1
    first_bits: i64 = 0
    second_bits: i64 = 0
    earlier: set[bytes] | None = None
    at: i64 = 0
    while True:
        if text[at + 1] != _QUOTE:
            return None
        begin: i64 = at + 2
        at = begin
        mark: i64 = 0
        while True:
            byte: u8 = text[at]
            at += 1
            if byte == _QUOTE:
                break
            # With an escape, a name may be written in more than one way.
            if byte < 0x20 or byte == _BACKSLASH:
                return None
            if byte >= 0x80:
                at = _character_end(text, at, byte)
                if at < 0:
                    return None
            mark = (mark * 31 + i64(byte)) & 0xFFFFFFFF
        if text[at] != _COLON:
            return None
        first: i64 = one << (mark % 61)
        second: i64 = one << (mark % 59)
        if first_bits & first != 0 and second_bits & second != 0 and earlier is None:
            earlier = _names_before(text, begin)
        first_bits |= first
        second_bits |= second
        if asks or earlier is not None:
            name = text[begin : at - 1]
            if earlier is not None:
                if name in earlier:
                    return None
                earlier.add(name)
            if name in names:
                begins[name] = at + 1
        at = _value_end(text, at + 1, levels - 1)
        if at < 0:
            return None
        end: u8 = text[at]
        if end == _OBJECT_END:
            return begins if at + 1 == len(text) else None
        if end != _COMMA:
            return None


def _names_before(text: bytes, stop: i64) -> set[bytes]:
    """Return the names of the plain members before the name that begins at `stop`."""
    names: set[bytes] = set()
    begin: i64 = 2
    while begin < stop:
        end: i64 = _string_end(text, begin)
        names.add(text[begin : end - 1])
        begin = _value_end(text, end + 1, LEVELS_ANY) + 2
    return names


def _value_end(text: bytes, at: i64, levels: i64) -> i64:
    """Return the end of the value that begins here, with so many levels at most."""
    first: u8 = text[at]
    if first == _QUOTE:
        return _string_end(text, at + 1)
    if first == _OBJECT:
        return _object_end(text, at + 1, levels - 1)
    if first == _LIST:
        return _list_end(text, at + 1, levels - 1)
    if first <= _NINE:
        return _number_end(text, at)
    return _word_end(text, at)


def _object_end(text: bytes, at: i64, levels: i64) -> i64:
    """Return the end of an object, from behind its `{`. `levels`: how many there may be within it."""
    if levels < 0:
        return _NO
    if text[at] == _OBJECT_END:
        return at + 1
    while True:
        if text[at] != _QUOTE:
            return _NO
        at = _string_end(text, at + 1)
        if at < 0 or text[at] != _COLON:
            return _NO
        at = _value_end(text, at + 1, levels)
        if at < 0:
            return _NO
        mark: u8 = text[at]
        at += 1
        if mark == _OBJECT_END:
            return at
        if mark != _COMMA:
            return _NO


def _list_end(text: bytes, at: i64, levels: i64) -> i64:
    """Return the end of a list, from behind its `[`. `levels`: how many there may be within it."""
    if levels < 0:
        return _NO
    if text[at] == _LIST_END:
        return at + 1
    while True:
        at = _value_end(text, at, levels)
        if at < 0:
            return _NO
        mark: u8 = text[at]
        at += 1
        if mark == _LIST_END:
            return at
        if mark != _COMMA:
            return _NO


def _string_end(text: bytes, at: i64) -> i64:
    """Return the end of a string, from behind its first quote."""
    while True:
        byte: u8 = text[at]
        at += 1
        # Most bytes are lower-case letters, and the first to be passed.
        if byte > _BACKSLASH:
            if byte >= 0x80:
                at = _character_end(text, at, byte)
                if at < 0:
                    return _NO
        elif byte == _QUOTE:
            return at
        elif byte == _BACKSLASH:
            if not _is_plain_escape(text[at]):
                return _NO
            at += 1
        elif byte < 0x20:
            return _NO


def _is_plain_escape(byte: u8) -> bool:
    r"""Whether orjson writes this escape as it stands: one of `\" \\ \b \f \n \r \t`."""
    return (
        byte == _QUOTE
        or byte == _BACKSLASH
        or byte == 0x6E  # n
        or byte == 0x74  # t
        or byte == 0x72  # r
        or byte == 0x62  # b
        or byte == 0x66  # f
    )


def _character_end(text: bytes, at: i64, first: u8) -> i64:
    """Return the end of a character of several bytes, from behind the first one (RFC 3629 §4)."""
    second: u8 = text[at]
    if second & 0xC0 != 0x80 or first < 0xC2:
        return _NO
    if first < 0xE0:
        return at + 1
    third: u8 = text[at + 1]
    if third & 0xC0 != 0x80:
        return _NO
    if first < 0xF0:
        # Neither longer than needed, nor a surrogate.
        if (first == 0xE0 and second < 0xA0) or (first == 0xED and second >= 0xA0):
            return _NO
        return at + 2
    fourth: u8 = text[at + 2]
    if fourth & 0xC0 != 0x80 or first > 0xF4:
        return _NO
    # Neither longer than needed, nor above U+10FFFF.
    if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second >= 0x90):
        return _NO
    return at + 3


def _number_end(text: bytes, at: i64) -> i64:
    """Return the end of a number. An exponent is left over: nobody takes it."""
    begin: i64 = at
    if text[at] == _MINUS:
        at += 1
    whole: i64 = at
    at = _digits_end(text, at)
    if at == whole or (at > whole + 1 and text[whole] == _ZERO):
        return _NO
    if text[at] == _POINT:
        point: i64 = at
        at = _digits_end(text, at + 1)
        if at == point + 1:
            return _NO
    if at - begin > NUMBER_CHARACTERS_MAX:
        return _NO
    return at


def _digits_end(text: bytes, at: i64) -> i64:
    while True:
        byte: u8 = text[at]
        if byte < _ZERO or byte > _NINE:
            return at
        at += 1


def _word_end(text: bytes, at: i64) -> i64:
    """Return the end of `true`, `false` or `null`."""
    first: u8 = text[at]
    second: u8 = text[at + 1]
    third: u8 = text[at + 2]
    fourth: u8 = text[at + 3]
    if (first == 0x74 and second == 0x72 and third == 0x75 and fourth == 0x65) or (
        first == 0x6E and second == 0x75 and third == 0x6C and fourth == 0x6C
    ):
        return at + 4
    if first == 0x66 and second == 0x61 and third == 0x6C and fourth == 0x73 and text[at + 4] == 0x65:
        return at + 5
    return _NO
