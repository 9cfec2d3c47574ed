"""docs/reference/command-line.md beside `--help`: every command and every option is in it, and no other."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, read
from txtoken.cli.main import main
from txtoken.cli.verbs import OTHERS, VERBS

TEXT = read(ROOT / "docs" / "reference" / "command-line.md")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
EVERYWHERE = {"--help"}


def help_of(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a command's `--help` prints."""
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    return capfd.readouterr().out


def section(verb: str) -> str:
    """Return a command's section of the page."""
    return TEXT.partition(f"\n## {verb}\n")[2].partition("\n## ")[0]


def test_commands() -> None:
    """The page has a section for each command, and no other; its table has a line for each."""
    assert set(re.findall(r"^## (\S+)$", TEXT, re.MULTILINE)) == set(VERBS)
    assert set(re.findall(r"^\| \[?`(\w+?)[ `]", TEXT.partition("\n## ")[0], re.MULTILINE)) == {*VERBS, *OTHERS}


@pytest.mark.parametrize("verb", VERBS)
def test_options(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A command's section names the options that its help names, those of its own commands included."""
    text = help_of(capfd, verb)
    commands = re.findall(r"^    (\w+) {2,}", text.partition("\ncommands:\n")[2], re.MULTILINE)
    told = {
        option
        for found in [text, *(help_of(capfd, verb, name) for name in commands)]
        for option in OPTION.findall(found)
    }
    assert told - EVERYWHERE == set(OPTION.findall(section(verb)))
