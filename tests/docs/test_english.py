"""README.md and docs/ say things in the words of the field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.configuration_tables import BEGIN, END
from tests.docs.pages import ROOT, pages, prose, read

# Each with the word that is meant.
REPLACED = {
    r"\btold\b": "rejected, answered, reported",
    r"\btells\b": "logs, reports, shows",
    r"\bmended\b": "fixed",
    r"\b(?:waits?|requests|stands?|comes?) behind\b": "after",
    r"\bnot root's\b": "non-root",
    r"\bstands? between\b": "man in the middle",
    r"\bleads up to\b": "certificate chain",
    r"\bknocks? on\b": "port scanner",
    r"\bis no more\b": "is fixed, is gone",
}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_words(page: Path) -> None:
    """None of the words that have a better one; what comes from the code's own tables is judged there."""
    text = prose(re.sub(f"{BEGIN}.*{END}", "", read(page), flags=re.DOTALL))
    found = {pattern: better for pattern, better in REPLACED.items() if re.search(pattern, text, re.IGNORECASE)}
    assert not found
