"""The text of a release: what changed, how to come from the original, what there is and how to check it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from scripts.releasing.address import Address
from scripts.releasing.changelog import Section
from scripts.releasing.version import ReleaseVersion

UPGRADE: Final = "docs/how-to/upgrade-from-the-original.md"
_COMMENT: Final = re.compile(r"(?m)^ *<!--.*?-->\n")  # for the tests of the page
_LINK: Final = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?P<path>(?!https?:|#)[^)\s]+)\)")
_KINDS: Final = (
    ("-py3-none-any.whl", "for any machine with Python; wants no compiler"),
    (".whl", "compiled, for machines of its name: up to a third less CPU time a request"),
    (".tar.gz", "the sources, with their tests"),
    (".tgz", "the Helm chart"),
    (".cdx.json", "bill of materials, CycloneDX"),
    ("images.txt", "the names of the container image"),
)


def write(
    section: Section,
    upgrade: str,
    files: Sequence[str],
    images: Sequence[str],
    version: ReleaseVersion,
    address: Address | None,
) -> str:
    """Put the text together; `upgrade` is the page about the original, `files` are the names in dist/."""
    rows = [f"| `{name}` | {kind(name)} |" for name in files]
    parts = [
        f"# txtoken {version.text}",
        absolute(section.text, "", version, address),
        absolute(
            re.sub(r"(?m)^#", "##", _COMMENT.sub("", upgrade.strip())), posixpath.dirname(UPGRADE), version, address
        ),
        "## Files",
        "\n".join(["| file | what it is |", "|---|---|", *rows]),
        "`sha256sum --check SHA256SUMS` compares all of them.",
        "The image: " + ", ".join(f"`{image}`" for image in images) + ".",
    ]
    return "\n\n".join(parts) + "\n"


def kind(name: str) -> str:
    """Say what a file is, by how its name ends."""
    return next(text for ending, text in _KINDS if name.endswith(ending))


def absolute(text: str, folder: str, version: ReleaseVersion, address: Address | None) -> str:
    """Make links to the project's files lead to this version of them; while there is no address they are names."""

    def replaced(match: re.Match[str]) -> str:
        path, _, fragment = match["path"].partition("#")
        path = posixpath.normpath(posixpath.join(folder, path))
        if address is None:
            return match["text"] if path in match["text"] else f"{match['text']} (`{path}`)"
        return f"[{match['text']}]({address.file(path, version.tag)}{'#' * bool(fragment)}{fragment})"

    return _LINK.sub(replaced, text)
