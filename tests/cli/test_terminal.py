"""Colours: where they are shown, and where not."""

from __future__ import annotations

import sys

import pytest

from txtoken.cli.terminal import STYLES, painted


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal, standard error is none."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("streams")
def test_a_terminal_has_colours() -> None:
    """A text is painted in all its styles, and what follows it is not. Nothing is painted around no text."""
    assert painted("a", "bold", "red") == "\x1b[1;31ma\x1b[0m"
    assert painted("", "red") == ""
    assert all(painted("a", style) != "a" for style in STYLES)


@pytest.mark.usefixtures("streams")
def test_what_is_no_terminal_has_no_colours() -> None:
    """Each stream is looked at by itself."""
    assert painted("a", "red", error=True) == "a"


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize(
    ("name", "value", "is_painted"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "0", False), ("NO_COLOR", "", True), ("TERM", "dumb", False)],
)
def test_who_wants_no_colours_gets_none(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, is_painted: bool
) -> None:
    """`NO_COLOR` with any value but the empty one, and `TERM=dumb`, turn colours off."""
    monkeypatch.setenv(name, value)
    assert (painted("a", "red") != "a") is is_painted
