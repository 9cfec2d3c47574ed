"""Every link of every page leads somewhere, without a network: files of the repository and headings of its pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, all_markdown, anchors, links, pages, read


@pytest.mark.parametrize("page", all_markdown(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    """No link is broken."""
    assert broken(page) == []


def broken(page: Path, root: Path = ROOT) -> list[str]:
    """Find the links that lead nowhere within a folder. Addresses of the web are not followed."""
    found = []
    for link in links(read(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_file() or not target.is_relative_to(root) or not _has(target, anchor):
            found.append(link)
    return found


def _has(target: Path, anchor: str) -> bool:
    return not anchor or (target.suffix == ".md" and anchor in anchors(read(target)))


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """A file that is not there, and a heading that is not there, are broken; others are not."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, `code`\n[a](#a-heading-code) [b](#b) [c](no.md) `[d](no.md)` [e](https://example.com/)\n"
    )
    assert links(page.read_text())[-1] == "https://example.com/"
    assert broken(page, tmp_path) == ["#b", "no.md"]


def test_every_page_can_be_reached() -> None:
    """From README.md links lead to every page of docs/."""
    todo, reached = [ROOT / "README.md"], set()
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(read(page)) if "://" not in link]
        todo += [target for target in targets if target.suffix == ".md" and target.is_file()]
    assert [str(page.relative_to(ROOT)) for page in pages() if page not in reached] == []


def test_no_remote_picture() -> None:
    """No page loads a picture from another host, or pretends to an address that the project does not have."""
    for page in pages():
        for link in links(read(page)):
            if link.endswith((".svg", ".png", ".jpg", ".gif")) or "shields.io" in link or "badge" in link:
                assert "://" not in link, page
