"""What a line may hold: nothing that is a line end to any reader, and nothing that a terminal obeys."""

from __future__ import annotations

import io
import json
import sys
from typing import Final

import pytest

from txtoken.observe.lines import as_json, escaped, has_token, redacted
from txtoken.observe.logs import open_log

ODD: Final = [
    *(chr(point) for point in (0x00, 0x07, 0x0A, 0x0B, 0x0C, 0x0D, 0x1B, 0x1C, 0x1E, 0x7F, 0x80, 0x85, 0x9B, 0x9D)),
    *(chr(point) for point in (0xAD, 0x61C, 0x200B, 0x200F, 0x2028, 0x2029, 0x202E, 0x2066, 0xFEFF, 0xFFF9)),
    *(chr(point) for point in (0xD800, 0xDFFF, 0xE0001, 0x10FFFF)),
]


class Kept:
    """Takes lines, and keeps them."""

    def __init__(self) -> None:
        self.lines = b""

    def write(self, lines: bytes) -> None:
        """Keep them."""
        self.lines += lines


@pytest.mark.parametrize("character", ODD, ids=lambda character: f"U+{ord(character):04X}")
def test_odd_characters_are_escaped(character: str) -> None:
    """No character that ends a line, moves a cursor, or hides or turns text round stands raw."""
    assert escaped(f"a{character}b").isprintable()
    assert escaped(f"a{character}b").isascii()


def test_every_character_is_printable_after_it() -> None:
    """Whatever Unicode has, what comes out is printable, and what was printable is as it was. Of the planes in which most is
    unassigned a part will do.
    """
    for point in [*range(0x20000), *range(0x20000, sys.maxunicode + 1, 97), sys.maxunicode]:
        character = chr(point)
        assert escaped(character).isprintable()
        assert character.isprintable() == (escaped(character) == character)


@pytest.mark.parametrize("character", [character for character in ODD if not 0xD800 <= ord(character) <= 0xDFFF])
def test_json_stays_what_it_is(character: str) -> None:
    """JSON that was escaped holds the same text."""
    value = {"text": f'"\\{character}ü', "list": [character]}
    assert json.loads(as_json(value)) == value


def test_what_json_libraries_refuse_is_shown() -> None:
    """Half a character, a huge integer and an object are written, not raised."""
    shown = json.loads(as_json({"half": "\udc80", "huge": 10**30, "object": io.StringIO}))
    assert shown == {"half": "\\udc80", "huge": 10**30, "object": "<class '_io.StringIO'>"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln b", "a [token] b"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJh", "a [token]"),
        ("a eyJhbGciOi", "a [token]"),
        ("eyJ is how tokens begin", None),
        ("eyJust a word", None),
        ("nothing", None),
    ],
)
def test_what_looks_like_a_token(text: str, shown: str | None) -> None:
    """A token, or the beginning of one that was cut, is taken out; a word that begins like one is not."""
    assert has_token(text) == (shown is not None)
    assert redacted(text) == (text if shown is None else shown)


@pytest.mark.parametrize("is_json", [True, False])
@pytest.mark.parametrize("character", ODD, ids=lambda character: f"U+{ord(character):04X}")
def test_an_event_is_one_line(character: str, is_json: bool) -> None:
    """Whatever a message, a field's name or value, or an exception's text holds, an event is one line, and printable; only a
    traceback of the text format has lines of its own, indented.
    """
    kept = Kept()
    log = open_log(kept, level="info", as_json=is_json)
    log.warning("a%sb", character, extra={"fields": {"text": f"x{character}y", "list": [character]}})
    (line,) = kept.lines.decode().splitlines()
    assert line.isprintable()
    kept.lines = b""
    try:
        raise ValueError(f"x{character}2026-01-01T00:00:00.000Z info forged")
    except ValueError as error:
        log.error("failed", exc_info=error)
    first, *others = kept.lines.decode().splitlines()
    assert all(line.isprintable() for line in (first, *others))
    assert all(line.startswith("    ") for line in others)
    assert bool(others) != is_json
