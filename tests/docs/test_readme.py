"""README.md: its length, its order, its sentence on speed; and the drawings and the site's list of pages beside their sources."""

from __future__ import annotations

import re
import tomllib
from typing import Final

import pytest

from tests.docs.drawings import DRAWINGS, FOLDER
from tests.docs.pages import ROOT, links, read

README: Final = read(ROOT / "README.md")
LINES_MAX: Final = 140
ORDER: Final = ("Two commands", "For you if", "Not for you if", "Beside other projects", "How fast", "Where to go on")


def test_length() -> None:
    """It can be read in a minute or two."""
    assert len(README.splitlines()) <= LINES_MAX


def test_order() -> None:
    """Name, sentence, badges, the flow; then the sections, in this order and no others."""
    top, *sections = README.split("\n## ")
    assert top.startswith("# txtoken\n\nJSON Web Tokens in front of the login API that you already have.")
    assert links(top)[:2] == ["docs/images/badges.svg", "docs/images/flow.svg"]
    assert tuple(section.partition("\n")[0] for section in sections) == ORDER


def test_the_sentence_on_speed() -> None:
    """Its figures are those of the newest results, in thousands, rounded down."""
    results = read(ROOT / "bench" / "results" / "README.md")

    def rate(scenario: str, service: str) -> str:
        rows = results.partition(f"\n### `{scenario}`")[2].partition("\n### ")[0]
        found = re.search(rf"^\| {re.escape(service)} \| \**([\d,]+)", rows, re.MULTILINE)
        assert found is not None
        return f"{int(found[1].replace(',', '')) // 1000},000"

    sentence = README.partition("\n## How fast\n")[2].strip().partition("\n\n")[0]
    expected = [rate("get_token", "txtoken"), rate("check_token", "txtoken"), rate("get_token", "nginx + LuaJIT")]
    assert re.findall(r"[\d,]+,000", sentence) == expected


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings(name: str) -> None:
    """Each picture is what its function draws, `scripts/docs --write` draws it anew; and it loads nothing."""
    text = (FOLDER / name).read_text()
    assert text == DRAWINGS[name]().svg()
    assert "href" not in text


def test_the_site_has_every_page() -> None:
    """The list of pages in docs/zensical.toml is that of docs/."""

    def named(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        children = entry.values() if isinstance(entry, dict) else entry
        assert not isinstance(children, str)
        return [name for child in children for name in named(child)]  # type: ignore[attr-defined]  # a list

    nav = named(tomllib.loads((ROOT / "docs" / "zensical.toml").read_text())["project"]["nav"])
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(nav) == sorted(pages)
