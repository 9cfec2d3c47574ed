"""Serves bound sockets that it is given. Sweeps the deadlines of its connections, and drains them; knows no routes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, cast

from txtoken.clock import Clock
from txtoken.http1.connection import Connection
from txtoken.http1.member import Member
from txtoken.http1.messages import Observer, Router
from txtoken.http1.serving import Serving
from txtoken.settings import Limits, Timeouts

# Deadlines that are acted on in a turn of the loop: thousands of clients that came together and stall have theirs together, and
# to refuse one takes 35 µs.
EXPIRED_A_TURN_MAX: Final = 64


class Server(Serving):
    """All clients of one process.

    Call `secure` where TLS is spoken, `listen` once, `sweep` a few times a second with the loop's time, `drain` at the end.
    """

    __slots__ = ("_expired",)

    def __init__(
        self, router: Router, limits: Limits, timeouts: Timeouts, clock: Clock, observer: Observer | None
    ) -> None:
        super().__init__(router, limits, timeouts, clock, observer)
        self._expired: deque[Member] = deque()  # whose deadline has passed

    def _connect(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", Connection(self))  # see there

    def secure(self, tls: ssl.SSLContext | None, on_failure: Callable[[str], object] = lambda _: None) -> None:
        """Speak TLS with clients that connect from now on, or speak in the clear. `on_failure` is called for each handshake
        that fails.

        Neither loop sends a client the alert that says why its handshake failed (asyncio's own and uvloop's drop it).
        """
        self.places.on_tls_failure = on_failure
        self.places.acceptor.use(tls)

    @property
    def connection_count(self) -> int:
        """Open connections, those that are held back and those that are no more than accepted included."""
        return self.places.client_count

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept clients on sockets that are bound. `drain` closes them."""
        await self.places.acceptor.listen(sockets)

    def sweep(self, now: float) -> None:
        """Act on deadlines that have passed. `now` is loop time."""
        is_busy = len(self._expired) > 0
        self._expired += [member for member in self.places.members if member.deadline <= now]
        if not is_busy:
            self._expire(now)
        self.buffers.sweep()
        self.places.sweep()

    def _expire(self, now: float) -> None:
        """Act on some deadlines, and on the others in the next turns of the loop."""
        expired, members = self._expired, self.places.members
        try:
            for _ in range(min(len(expired), EXPIRED_A_TURN_MAX)):
                member = expired.popleft()
                if member.deadline <= now and member in members:  # it may be over, or have gone on, meanwhile
                    member.expire()
        finally:
            if expired:  # one that failed keeps none of the others
                self._loop.call_soon(self._expire, now)

    async def drain(self) -> None:
        """Close the sockets, let running requests finish for up to `timeouts.drain` seconds, then end what is left."""
        await self.places.drain(self.timeouts.drain)
        self.abort()

    def abort(self) -> None:
        """End what is left, at once."""
        self.places.abort()
