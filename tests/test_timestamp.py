"""A moment as people write it: what is read, and that what is written is read as the same moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtoken.timestamp import parsed, written


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-15T08:00:00Z", 1_800_000_000),
        ("2027-01-15t08:00:00z", 1_800_000_000),
        ("2027-01-15 09:00:00+01:00", 1_800_000_000),
        ("2027-01-15T08:00:00.25Z", 1_800_000_000.25),
    ],
)
def test_what_is_read(text: str, moment: float) -> None:
    """A date and time with its zone."""
    assert parsed(text).timestamp() == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2027-01-15",
        "2027-01-15T08:00:00",
        "2027-02-30T08:00:00Z",
        "20270115T080000Z",
        "2027-01-15T08:00:00Z\n",
        "1e9",
    ],
)
def test_what_is_none(text: str) -> None:
    """Without a zone, or with a day that is none, or in another form, it is not a timestamp."""
    with pytest.raises(ValueError, match=r"timestamp|day"):
        parsed(text)


@given(st.integers(-62_000_000_000, 253_000_000_000))
def test_there_and_back(moment: int) -> None:
    """What is written is read as the moment that it was."""
    assert parsed(written(moment)).timestamp() == moment
