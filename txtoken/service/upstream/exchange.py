"""One request to the remote, and its outcome. Knows neither the pool nor a connection, only the connection's number."""

from __future__ import annotations

from math import inf

from txtoken.compiling import mypyc_attr
from txtoken.errors import RemoteError
from txtoken.http1.messages import Pending

Outcome = bytes | RemoteError


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange(Pending):
    """One request: `body`, and `lines` that are added to its head (whole header lines).

    Post it once. A subclass implements `conclude` for the outcome, and `cancel`, which calls `Remote.cancel`.
    """

    __slots__ = (
        "asked_at",
        "body",
        "connection_number",
        "deadline",
        "dial_number",
        "is_under_way",
        "lines",
        "lost_count",
    )

    def __init__(self, lines: bytes, body: bytes) -> None:
        self.lines = lines
        self.body = body
        self.is_under_way = False  # posted, without an outcome, and not cancelled
        self.asked_at = 0.0  # by `monotonic`, as its deadline
        self.deadline = inf
        self.connection_number = 0  # the number of its connection; 0 while it waits for one
        self.dial_number = 0  # the number of its own dial, whose failure is its failure; 0: none
        self.lost_count = 0  # new connections that ended before it was written

    def begin(self, now: float, deadline: float) -> None:
        """Record when it was posted, and how long it may take."""
        self.is_under_way = True
        self.asked_at = now
        self.deadline = deadline

    def conclude(self, outcome: Outcome, seconds: float) -> None:
        """Receive the outcome, `seconds` after the request was posted: the body of a successful reply, or the failure.

        Called exactly once, unless the request is cancelled.
        """
        raise NotImplementedError
