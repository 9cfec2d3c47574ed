"""The site's sources and its check, for `scripts/docs`: a copy of docs/ whose links to other files lead to copies.

    python -m tests.docs.site stage FOLDER      writes what zensical builds from
    python -m tests.docs.site check FOLDER      looks at what it built; exit code 1 where something is wrong

Needs nothing but the standard library: it runs in the environment of the site's tool.
"""

from __future__ import annotations

import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT

DOCS: Final = ROOT / "docs"
OUTSIDE: Final = "repository"  # where copies of files stand that are not in docs/
_TARGET: Final = re.compile(r"(\]\()([^()\s#]+)(#[^()\s]*)?(\))")
_LOADING: Final = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "srcset"), ("iframe", "src")}
_LINKS_ALONE: Final = {"canonical", "prev", "next"}


def stage(folder: Path) -> None:
    """Write the sources into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    shutil.copytree(DOCS, pages)
    shutil.move(pages / "zensical.toml", folder / "zensical.toml")
    (folder / "txtoken").symlink_to(ROOT / "txtoken")
    todo, done = [path for path in DOCS.rglob("*") if path.is_file()], set()
    while todo:
        source = todo.pop()
        if source in done or source.name == "zensical.toml":
            continue
        done.add(source)
        target = pages / place_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix != ".md":
            shutil.copyfile(source, target)
            continue
        text, linked = rewritten(source)
        target.write_text(text)
        todo += linked


def place_of(source: Path) -> Path:
    """Name a file's place in the site."""
    if source.is_relative_to(DOCS):
        return source.relative_to(DOCS)
    return Path(OUTSIDE) / source.relative_to(ROOT)


def rewritten(source: Path) -> tuple[str, list[Path]]:
    """Return a page with its links as they have to be in the site, and the files that these lead to."""
    linked: list[Path] = []

    def lead(found: re.Match[str]) -> str:
        if "://" in found[2]:
            return found[0]
        path = (source.parent / found[2]).resolve()
        if not path.is_file():
            return found[0]
        linked.append(path)
        up = "../" * (len(place_of(source).parts) - 1)
        return f"{found[1]}{up}{place_of(path).as_posix()}{found[3] or ''}{found[4]}"

    return _TARGET.sub(lead, source.read_text()), linked


class Reader(HTMLParser):
    """Reads a page of the built site: what it loads, what it links to, which anchors it has."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        for name, value in values.items():
            if (tag, name) in _LOADING and values.get("rel") not in _LINKS_ALONE:
                self.loaded.append(value)
            elif tag == "a" and name == "href":
                self.links.append(value)


def wrong(site: Path) -> list[str]:
    """Find what pages load from other hosts, and links within the site that lead nowhere."""
    read = {}
    for page in site.rglob("*.html"):
        read[page] = Reader()
        read[page].feed(page.read_text())
    problems = []
    for page, reader in read.items():
        if page.name == "404.html":
            continue  # its links count from the site's address
        name = page.relative_to(site)
        problems += [f"{name} loads {what}" for what in reader.loaded if re.match(r"(https?:)?//", what)]
        for link in [*reader.links, *reader.loaded]:
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:|//", link):
                continue
            target = (page.parent / path.partition("?")[0]).resolve() if path else page
            if target.is_dir():
                target /= "index.html"
            if not target.is_file() or (anchor and target in read and anchor not in read[target].anchors):
                problems.append(f"{name} links to {link}, which is not there")
    return problems


if __name__ == "__main__":
    if sys.argv[1] == "stage":
        stage(Path(sys.argv[2]))
    else:
        found = wrong(Path(sys.argv[2]).resolve())
        sys.exit("\n".join(found) or None)
