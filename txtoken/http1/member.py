"""A connection as its server sees it: what it holds, how long it has been idle, how it is ended. Knows no bytes."""

from __future__ import annotations

from math import inf

from txtoken.http1.messages import Client


class Member(Client):
    """One client of a server, from `accept` on.

    `deadline` is loop time; the server's sweep acts on it. `held_bytes` is what `Buffers` counts for it. `has_asked` says
    whether it has ever sent a complete request.
    """

    __slots__ = ("deadline", "has_asked", "held_bytes")

    def __init__(self) -> None:
        self.deadline = inf
        self.held_bytes = 0
        self.has_asked = False

    def expire(self) -> None:
        """The deadline has passed."""
        raise NotImplementedError

    def hold_back(self) -> None:
        """There is no place for this connection: answer nothing until `start`."""
        raise NotImplementedError

    def start(self) -> None:
        """A place is free now for a connection that was held back."""
        raise NotImplementedError

    def drain(self, idle_deadline: float) -> None:
        """No request follows the one that runs. A client that was answered just now has until `idle_deadline` (loop time)."""
        raise NotImplementedError

    def abort(self) -> None:
        """End now, without an answer: the client may see a reset."""
        raise NotImplementedError

    def idle_since(self) -> float:
        """Return since when (loop time) nothing is done for this client. `math.inf`: something is being done."""
        raise NotImplementedError

    def take_turn(self) -> bool:
        """Answer the next request of those that wait. Returns whether there may be more that can be answered at once."""
        raise NotImplementedError

    def read_on(self) -> None:
        """Read from this client again, if what it sends is still waited for."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write the answers that are ready."""
        raise NotImplementedError

    def review_output(self) -> bool:
        """Count the answers that this client has not read. Returns whether there are any."""
        raise NotImplementedError

    def shed(self) -> None:
        """Free what is held for this client: answer 503 where that is still possible, and end."""
        raise NotImplementedError
