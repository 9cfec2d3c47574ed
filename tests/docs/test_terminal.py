"""How output is compared: what a page shows, with `…` for anything."""

from __future__ import annotations

import pytest

from tests.docs.pages import Block, Command, commands
from tests.docs.terminal import fits


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("a\n", "a\n"),
        ("a…c\n", "abc\n"),
        ("…\nc\n", "a\nb\nc\n"),
        ('{"a":1,\n "b":2}\n', '{"a":1,"b":2}'),
        ("HTTP/1.1 204\n", "HTTP/1.1 204\r\n"),
    ],
)
def test_it_fits(expected: str, printed: str) -> None:
    """These are the same."""
    assert fits(expected, printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [("a\n", "b\n"), ("a\n", "a\nb\n"), ("a…c\n", "ab\nc\n"), ("a…c\n", "ab\n"), (".\n", "a\n")],
)
def test_it_does_not_fit(expected: str, printed: str) -> None:
    """These are not."""
    assert not fits(expected, printed)


def test_commands() -> None:
    """A block is commands, each with its continued lines and its output."""
    block = Block("console", "$ a \\\n> b\nc\n$ d\n", "", 1)
    assert commands(block) == [Command("a \\\nb", "c\n"), Command("d", "")]
