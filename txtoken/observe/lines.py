"""What a line of the log may hold: text that is one line for every reader, and nothing that a terminal obeys. Writes nothing."""

from __future__ import annotations

import json
import re
from typing import Final

import orjson

ASTRAL: Final = 0x10000
# Text that looks like a token, or like the beginning of one that was cut.
_TOKEN_LIKE: Final = re.compile(r"eyJ[\w-]+(?:\.[\w-]*(?:\.[\w-]*)?|$)")


def has_token(text: str) -> bool:
    """Whether something in a text looks like a token."""
    return "eyJ" in text and _TOKEN_LIKE.search(text) is not None


def redacted(text: str) -> str:
    """Take out what looks like a token."""
    return _TOKEN_LIKE.sub("[token]", text) if "eyJ" in text else text


def escaped(text: str) -> str:
    r"""Write every character that is not printable as JSON escapes it, `\u2028`: line ends of all kinds, controls (C0, DEL, C1),
    what reverses or hides text (U+202E, U+200B, U+FEFF), lone surrogates. In JSON text these stand within strings alone.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(ord(character)) for character in text)


def as_json(value: object) -> str:
    """Write a value as JSON in one line. What JSON has no word for is written as text."""
    try:
        return escaped(orjson.dumps(value, default=str).decode())
    except TypeError:  # a lone surrogate, an integer of more than 64 bits, a key that is no text: all can be shown
        return escaped(json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"), skipkeys=True))


def _escape(point: int) -> str:
    if 0xD800 <= point <= 0xDFFF:
        return f"\\\\u{point:04x}"  # as the text \ud800: many readers refuse the escape of half a character
    if point < ASTRAL:
        return f"\\u{point:04x}"
    point -= ASTRAL
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
