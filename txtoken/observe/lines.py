"""Makes text safe for the log: one line for every reader, and no control sequence for a terminal. Writes nothing."""

from __future__ import annotations

import json
import re
from typing import Final

import orjson

ASTRAL: Final = 0x10000
# Text that looks like a token, or like the beginning of a truncated one.
_TOKEN_LIKE: Final = re.compile(r"eyJ[\w-]+(?:\.[\w-]*(?:\.[\w-]*)?|$)")


def has_token(text: str) -> bool:
    """Whether a text contains something like a token."""
    return "eyJ" in text and _TOKEN_LIKE.search(text) is not None


def redacted(text: str) -> str:
    """Remove everything that looks like a token."""
    return _TOKEN_LIKE.sub("[token]", text) if "eyJ" in text else text


def escaped(text: str) -> str:
    """ "Write every unprintable character as a JSON escape, `\u2028`: all kinds of line ends, controls (C0, DEL, C1), characters
    that reverse or hide text (U+202E, U+200B, U+FEFF), lone surrogates. In JSON text these occur only within strings.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(ord(character)) for character in text)


def as_json(value: object) -> str:
    """Write a value as JSON in one line. Values that JSON cannot express are written as text."""
    try:
        return escaped(orjson.dumps(value, default=str).decode())
    except TypeError:  # a lone surrogate, an integer of more than 64 bits, a key that is not text: all can be shown
        return escaped(json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"), skipkeys=True))


def _escape(point: int) -> str:
    if 0xD800 <= point <= 0xDFFF:
        return f"\\\\u{point:04x}"  # as the text \ud800: many readers reject the escape of a lone surrogate
    if point < ASTRAL:
        return f"\\u{point:04x}"
    point -= ASTRAL
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
