"""README.md: its length, its order, its sentence on speed; and the drawings and the site's list of pages beside their sources."""

from __future__ import annotations

import re
import tomllib
from typing import Final

import pytest

from bench.judge.claims import claims
from bench.measure.results import FOLDER
from bench.report.sources import chosen
from tests.docs.drawings import DRAWINGS
from tests.docs.drawings import FOLDER as DRAWINGS_FOLDER
from tests.docs.pages import ROOT, links, pages, read

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
    """It is what the newest results say, with their picture: `scripts/bench report` writes it, nobody edits it."""
    section = README.partition("\n## How fast\n")[2].partition("\n## ")[0]
    place = re.fullmatch(r"<!-- claim: peers -->\n(.*)\n\n!\[(.*)\]\((.*)\)\n<!-- /claim -->", section.strip())
    assert place is not None
    (source, *_) = [one for one in chosen([], FOLDER) if one.is_claimed]
    (claim,) = [one for one in claims(source.result) if one.topic.name == "peers"]
    picture = f"bench/results/{source.place(FOLDER)}{source.result.label}-peers.svg"
    assert place.groups() == (claim.prose, claim.title, picture)


def test_pictures_of_results_say_what_they_show() -> None:
    """A picture of bench/results has the words of the results' own page, on every page."""
    results = read(ROOT / "bench" / "results" / "README.md")
    for page in pages():
        for words, name in re.findall(r"!\[(.*?)\]\([^)]*bench/results/(.*?)\)", read(page)):
            assert f"![{words}]({name})" in results


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings(name: str) -> None:
    """Each picture is what its function draws, `scripts/docs --write` draws it anew; and it loads nothing."""
    text = (DRAWINGS_FOLDER / name).read_text()
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
    written = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(nav) == sorted(written)
