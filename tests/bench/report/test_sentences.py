"""The claims on other pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.judge.claims import claims
from bench.measure.results import FOLDER
from bench.report.sentences import PAGES, PLACE, rewritten
from bench.report.sources import chosen
from tests.bench.judge.test_claims import rounds
from tests.bench.samples import result

EMPTY = "before\n<!-- claim: peers -->\n<!-- /claim -->\nafter\n"


def test_a_claim_is_written_between_its_comments(tmp_path: Path) -> None:
    """Its sentence and its picture, by its path from the page. What stands around stays; writing twice changes nothing."""
    (claim,) = claims(result(rounds("txtoken", 20.0), rounds("nginx_lua", 32.0)))
    made = {"peers": (claim, tmp_path / "bench" / "peers.svg")}
    page = tmp_path / "docs" / "page.md"
    text = rewritten(EMPTY, page, made)
    assert text == (
        f"before\n<!-- claim: peers -->\n{claim.prose}\n\n![{claim.title}](../bench/peers.svg)\n<!-- /claim -->\nafter\n"
    )
    assert rewritten(text, page, made) == text


def test_a_claim_that_is_not_made_is_an_error(tmp_path: Path) -> None:
    """A page never keeps the sentence of an older result in silence."""
    with pytest.raises(BenchError, match=r"page\.md has a place for the claim peers"):
        rewritten(EMPTY, tmp_path / "page.md", {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_say_what_was_measured(page: Path) -> None:
    """The pages in the repository have the sentences that the newest results make."""
    (source, *_) = [one for one in chosen([], FOLDER) if one.is_claimed]
    folder, label = source.path.parent, source.result.label
    made = {one.topic.name: (one, folder / f"{label}-{one.topic.name}.svg") for one in claims(source.result)}
    text = page.read_text()
    assert PLACE.search(text)
    assert rewritten(text, page, made) == text
