"""The claims on other pages: a sentence and its picture, between two comments that name the claim, are written from the results.

    <!-- claim: peers -->
    <!-- /claim -->

Knows those pages and the form of the comments. The sentence itself is the claim's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.judge.claims import Claim
from bench.measure.processes import ROOT

PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "explanation" / "performance.md")
PLACE: Final = re.compile(r"<!-- claim: (?P<name>[a-z-]+) -->\n.*?<!-- /claim -->", re.DOTALL)


def write(drawn: Sequence[tuple[Claim, Path]]) -> list[Path]:
    """Write the claims into the pages. Returns the pages.

    Raises:
        BenchError: a page has a claim that the results do not make.
    """
    made = {claim.topic.name: (claim, picture) for claim, picture in drawn}
    for page in PAGES:
        page.write_text(rewritten(page.read_text(), page, made))
    return list(PAGES)


def rewritten(text: str, page: Path, made: Mapping[str, tuple[Claim, Path]]) -> str:
    """Return a page's text with these claims in their places.

    Raises:
        BenchError: the text has a place for a claim that is not among them.
    """

    def filled(place: re.Match[str]) -> str:
        name = place["name"]
        if name not in made:
            raise BenchError(
                f"{page.name} has a place for the claim {name}, which the newest full result does not make"
            )
        claim, picture = made[name]
        link = Path(os.path.relpath(picture.resolve(), page.parent)).as_posix()
        return f"<!-- claim: {name} -->\n{claim.prose}\n\n![{claim.title}]({link})\n<!-- /claim -->"

    return PLACE.sub(filled, text)
