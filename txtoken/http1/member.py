"""A connection as its server sees it: buffered bytes, idle time, and ways to end it. Knows no bytes."""

from __future__ import annotations

from math import inf

from txtoken.http1.messages import Client


class Member(Client):
    """One client of a server, from `accept` on.

    `deadline` is loop time; the server's sweep acts on it. `Buffers` counts `held_bytes`. `has_asked` says whether it has ever
    sent a complete request.
    """

    __slots__ = ("deadline", "has_asked", "held_bytes")

    def __init__(self) -> None:
        self.deadline = inf
        self.held_bytes = 0
        self.has_asked = False

    def expire(self) -> None:
        """The deadline has passed."""
        raise NotImplementedError

    def defer(self) -> None:
        """There is no place for this connection: it waits, without answers, until `start`."""
        raise NotImplementedError

    def start(self) -> None:
        """A place is free now for this waiting connection."""
        raise NotImplementedError

    def drain(self, idle_deadline: float) -> None:
        """Accept no request after the running one. A client that was just answered has until `idle_deadline` (loop time)."""
        raise NotImplementedError

    def abort(self) -> None:
        """Abort now, without an answer: the client may see a reset."""
        raise NotImplementedError

    def idle_since(self) -> float:
        """Return since when (loop time) this client is idle. `math.inf`: it is busy."""
        raise NotImplementedError

    def take_turn(self) -> bool:
        """Answer the next waiting request. Returns whether there may be more that can be answered at once."""
        raise NotImplementedError

    def read_on(self) -> None:
        """Read from this client again, if its bytes are still needed."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write the finished answers."""
        raise NotImplementedError

    def review_output(self) -> bool:
        """Count the answers that this client has not read. Returns whether there are any."""
        raise NotImplementedError

    def shed(self) -> None:
        """Free the bytes held for this client: answer 503 if that is still possible, and close."""
        raise NotImplementedError
