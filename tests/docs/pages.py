"""The pages: README.md and what is in docs/. Knows their blocks, headings and links; runs nothing.

What a page says to these tests stands in HTML comments on the line before a block:

    <!-- not run: REASON -->      a console block that no test runs
    <!-- needs PROGRAM -->        the page's blocks run where this program is (said before any block of the page)
    <!-- runs on -->              its command does not end: wait for the output that is shown, end it after the page
    <!-- ends with N -->          the block's last command has this exit code
    <!-- file: NAME -->           the block is the content of this file
    <!-- serve -->                this YAML is a configuration: run the service with it from here on
    <!-- not a configuration -->  this YAML is another program's
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("docs", "bench", "deploy", "examples")
_FENCE: Final = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SAID: Final = re.compile(r"<!-- ([^>]*) -->\s*\Z")
_LINK: Final = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
_HTML_LINK: Final = re.compile(r"<(?:a|img|source)\b[^>]*?\s(?:href|src|srcset)=\"([^\"]*)\"")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and what the comment before it says."""

    language: str
    text: str
    said: str
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block, and the output that is shown below it."""

    text: str
    output: str


def pages() -> list[Path]:
    """Name README.md and the pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def all_markdown() -> list[Path]:
    """Name every page of the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md")]
    below = (path for name in FOLDERS for path in (ROOT / name).rglob("*.md") if "node_modules" not in path.parts)
    return sorted([*found, *below])


@cache
def read(page: Path) -> str:
    """Read a page."""
    return page.read_text()


def blocks(text: str) -> list[Block]:
    """Find the fenced blocks, from the top."""
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        said = _SAID.search(before)
        indent = match[1]
        body = "".join(line.removeprefix(indent) for line in match[3].splitlines(keepends=True))
        found.append(Block(match[2], body, said[1] if said else "", before.count("\n") + 2))
    return found


def prose(text: str) -> str:
    """Leave out blocks and comments."""
    return re.sub(r"<!--.*?-->", "", _FENCE.sub("", text), flags=re.DOTALL)


def commands(block: Block) -> list[Command]:
    """Split a console block into commands (`$ `, continued by `> `) and what each prints."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], ""))
            continue
        assert found, f"line {block.line}: a console block begins with `$ `"
        last = found.pop()
        if line.startswith("> "):
            found.append(Command(f"{last.text}\n{line[2:]}", last.output))
        else:
            found.append(Command(last.text, f"{last.output}{line}\n"))
    return found


def links(text: str) -> list[str]:
    """Find where a page leads to, pictures included."""
    without_code = re.sub(r"`[^`\n]*`", "", prose(text))
    return [*_LINK.findall(without_code), *_HTML_LINK.findall(without_code)]


def anchors(text: str) -> set[str]:
    """Name what `#` can lead to: the page's headings, as GitHub and the site both write them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", _FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        found.add(slug)
    return found
