"""How "Unreleased" becomes a version's section, and when it does not."""

from __future__ import annotations

import datetime

import pytest

from scripts.releasing.changelog import UNRELEASED, Changelog
from scripts.releasing.refusal import Refusal
from tests.releasing import conftest

TODAY = datetime.date(2026, 11, 29)


def test_entries_that_wait_become_the_versions() -> None:
    """They stand under its dated heading, an empty "Unreleased" above it, and all else is as it was."""
    after = Changelog(conftest.UNRELEASED).released("1.0.0", TODAY)
    assert after.text == conftest.UNRELEASED.replace(
        "## [Unreleased]\n", "## [Unreleased]\n\n## [1.0.0] - 2026-11-29\n", 1
    )
    section, unreleased = after.section("1.0.0"), after.section(UNRELEASED)
    assert section is not None
    assert unreleased is not None
    assert (section.date, section.text) == ("2026-11-29", "### Added\n\n- A thing.")
    assert unreleased.text == ""
    assert after.date_of("1.0.0") == TODAY


def test_a_section_that_is_there_is_left_alone() -> None:
    """Released twice, on another day, a changelog does not change: so the same release can be made again from its tag."""
    once = Changelog(conftest.UNRELEASED).released("1.0.0", TODAY)
    assert once.released("1.0.0", TODAY + datetime.timedelta(days=9)) == once


def test_sections_are_found_by_their_whole_name() -> None:
    """1.0.0 is not 1.0.0rc1, and there is nothing for a version that is not there."""
    text = Changelog("## [1.0.0rc1] - 2026-01-02\n\n- First.\n\n## [1.0.0]\n\n- Then.\n")
    candidate, final = text.section("1.0.0rc1"), text.section("1.0.0")
    assert candidate is not None
    assert final is not None
    assert (candidate.text, final.text) == ("- First.", "- Then.")
    assert text.section("1.0") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# Changelog\n", "says nothing about 1.0.0: write what changed under ## [Unreleased]"),
        ("## [Unreleased]\n\n### Added\n\n### Fixed\n", "says nothing about 1.0.0"),
        ("## [Unreleased]\n\n- More.\n\n## [1.0.0] - 2026-01-02\n\n- A.\n", "entries under ## [Unreleased] beside it"),
        ("## [1.0.0] - 2026-01-02\n\n### Added\n", "an empty section 1.0.0"),
        ("## [1.0.0]\n\n- A.\n", "gives 1.0.0 no date: its heading is ## [1.0.0] - YYYY-MM-DD"),
        ("## [1.0.0] - today\n\n- A.\n", "gives 1.0.0 no date"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    """A version about which nothing is written, whose date is none, or that would leave entries behind."""
    with pytest.raises(Refusal) as refusal:
        Changelog(text).released("1.0.0", TODAY)
    assert why in str(refusal.value)
