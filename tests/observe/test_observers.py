"""Several observers as one: each gets everything, and there is none if there are none."""

from __future__ import annotations

from txtoken.http1.messages import Client, Head, Observer, Response, response_head
from txtoken.observe.observers import as_one

HEAD = Head(b"GET", b"/a", b"", {}, minor_version=1, keep_alive=True, content_length=0, expects_continue=False)
RESPONSE = Response(200, response_head(200), b"{}")
LOST = Response(499, b"", b"", error="given_up")


class Notes(Observer):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.kept: list[tuple[object, ...]] = []

    def note(self, head: Head | None, response: Response, elapsed_s: float, client: Client) -> None:
        """Keep a response."""
        self.kept.append(("answered", head, response, elapsed_s, client))

    def note_unanswered(self, head: Head | None, outcome: Response, elapsed_s: float, client: Client) -> None:
        """Keep what was not answered."""
        self.kept.append(("unanswered", head, outcome, elapsed_s, client))


def test_both_are_told_of_everything() -> None:
    """Each of two observers gets every response and every request without one, as it was given."""
    first, second, client = Notes(), Notes(), Client()
    both = as_one(first, second)
    assert both is not None
    both.note(HEAD, RESPONSE, 0.5, client)
    both.note_unanswered(None, LOST, 0.0, client)
    expected = [("answered", HEAD, RESPONSE, 0.5, client), ("unanswered", None, LOST, 0.0, client)]
    assert first.kept == second.kept == expected


def test_one_stands_for_itself() -> None:
    """An observer alone is used as it is: nothing wraps it."""
    alone = Notes()
    assert as_one(None, alone) is alone
    assert as_one(alone, None) is alone


def test_none() -> None:
    """Without an observer there is none."""
    assert as_one(None, None) is None
