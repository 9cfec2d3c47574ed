"""This second, read once."""

from __future__ import annotations

import time
from email.utils import formatdate, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtoken.clock import Clock


def test_a_tick_takes_over_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a tick, second and Date line are those of the wall clock, and the rest of the second is reported."""
    clock = Clock()
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.75)
    assert clock.tick() == pytest.approx(0.25)
    assert clock.second == 1_700_000_000
    assert clock.date_line == b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"


@given(second=st.integers(0, 253_402_300_799))
def test_every_date_is_written_alike(second: int) -> None:
    """The Date line is what email.utils writes, for any second until the year 9999."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: float(second))
        clock.tick()
    assert clock.date_line == f"Date: {formatdate(second, usegmt=True)}\r\n".encode()


def test_the_date_is_in_the_form_of_http() -> None:
    """The Date line reads back as the second (RFC 9110 §5.6.7)."""
    clock = Clock()
    name, _, value = clock.date_line.decode().strip().partition(": ")
    assert name == "Date"
    assert parsedate_to_datetime(value).timestamp() == clock.second


def test_the_date_is_in_gmt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Date line does not depend on the time zone of the machine."""
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        line = Clock().date_line
    time.tzset()
    assert line == b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
