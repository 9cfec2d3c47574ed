"""Times as people write them."""

from __future__ import annotations

import pytest

from txtoken.service.times import date_time, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (10**6, "11 d 13 h"),
        (-5, "0 s"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    """A time has its two largest units."""
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("moment", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_700_000_000.9, "2023-11-14T22:13:20Z"), (-1, "1969-12-31T23:59:59Z")],
)
def test_date_time(moment: float, text: str) -> None:
    """A moment is in UTC, without parts of a second."""
    assert date_time(moment) == text
