"""What the process beside the service shows of the log."""

from __future__ import annotations

from txtoken.demo.beside import _WholeLines


def test_lines_are_whole() -> None:
    """A line is shown once all of it was read."""
    lines = _WholeLines()
    assert [lines.take(data) for data in (b"a", b"b\nc", b"\nd\n", b"")] == [b"", b"ab\n", b"c\nd\n", b""]


def test_pages_that_were_closed_are_not_shown() -> None:
    """A page that was closed while it waited for events leaves no line, and takes no other with it."""
    lines = _WholeLines()
    assert lines.take(b"a\nx GET /demo/events 499 1 ms\nb\nx GET /demo/ev") == b"a\nb\n"
    assert lines.take(b"ents 499 1 ms\nx GET /demo/events 400 1 ms\n") == b"x GET /demo/events 400 1 ms\n"
