"""One request to the remote and who waits for its outcome. Knows neither pool nor connection, only that something has it."""

from __future__ import annotations

from math import inf

from txtoken.compiling import mypyc_attr
from txtoken.errors import RemoteError
from txtoken.http1.messages import Pending

Outcome = bytes | RemoteError


class Upstream:
    """Where exchanges are posted."""

    __slots__ = ()

    def cancel(self, exchange: Exchange) -> None:
        """Give an exchange up: nobody wants its outcome any more."""
        raise NotImplementedError


class Wire:
    """What carries one exchange at a time."""

    __slots__ = ()

    def discard(self) -> None:
        """Close for good. What was being carried gets no outcome from here any more."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange(Pending):
    """One request, `body` with `lines` added to its head (whole header lines), and who waits for its outcome.

    Post it once. A class of its own says in `conclude` what is done with the outcome.
    """

    __slots__ = ("_upstream", "asked_at", "body", "connection", "deadline", "dial_number", "lines", "lost_count")

    def __init__(self, lines: bytes, body: bytes) -> None:
        self._upstream: Upstream | None = None  # where it was posted, until it is over
        self.lines = lines
        self.body = body
        self.asked_at = 0.0  # by `monotonic`, as its deadline
        self.deadline = inf
        self.connection: Wire | None = None  # None while it waits for one
        self.dial_number = (
            0  # of the connection that is being opened because of it, whose failure is its own; 0 for none
        )
        self.lost_count = 0  # new connections that ended before it was written

    def begin(self, upstream: Upstream, now: float, deadline: float) -> None:
        """Note where and when it was posted, and until when it may take."""
        self._upstream = upstream
        self.asked_at = now
        self.deadline = deadline

    def end(self) -> bool:
        """Note that it has an outcome, or was given up. False when that is so already."""
        is_under_way = self._upstream is not None
        self._upstream = None
        return is_under_way

    @property
    def is_over(self) -> bool:
        """Whether it has an outcome, or was given up."""
        return self._upstream is None

    def conclude(self, outcome: Outcome, seconds: float) -> None:
        """Take the body of a successful reply, or the reason why there is none, so many seconds after it was posted.

        Called exactly once, unless it was given up.
        """
        raise NotImplementedError

    def cancel(self) -> None:
        """Nobody wants the outcome any more: give the request up, and the connection that carries it."""
        upstream = self._upstream
        if upstream is not None:
            upstream.cancel(self)
