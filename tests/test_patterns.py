"""No pattern needs what Python had wrong: before 3.11.5 a possessive or atomic group may match what it must not."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]  # the only way to read a pattern
from typing import Any

import pytest

from tests.test_architecture import SOURCES

SINGLE = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY)


def dangerous(parsed: Any) -> Iterator[str]:
    """Name what of a parsed pattern is possessive or atomic, and more than one character."""
    for operation, argument in parsed:
        if operation is _constants.ATOMIC_GROUP:
            yield "an atomic group"
        if operation is _constants.POSSESSIVE_REPEAT and [item[0] in SINGLE for item in argument[2]] != [True]:
            yield "a possessive group"
        for part in argument if isinstance(argument, tuple | list) else (argument,):
            for inner in part if isinstance(part, list) else (part,):
                if isinstance(inner, _parser.SubPattern):
                    yield from dangerous(inner)


@pytest.mark.parametrize("module", [name for name in SOURCES if not name.endswith("__main__")])
def test_no_group_is_possessive(module: str) -> None:
    """A pattern that is right in this Python is wrong in Debian 12's."""
    for value in vars(importlib.import_module(module)).values():
        if isinstance(value, re.Pattern):
            assert not list(dangerous(_parser.parse(value.pattern, value.flags & ~re.UNICODE))), value.pattern


def test_the_check_finds_them() -> None:
    """Groups are found at any depth, single characters are let pass."""
    for text in ("(?:ab)*+", "a(b|(?:cd)?+)", "(?>ab)", "(?:x(?:ab)++)*", "(?=(?:ab)++)"):
        assert list(dangerous(_parser.parse(text))), text
    for text in ("a*+[bc]++.?+", "(?:ab)*", "(?:[^a]++|b)*"):
        assert not list(dangerous(_parser.parse(text))), text
