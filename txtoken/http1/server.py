"""Serves clients on bound sockets. Sweeps the deadlines of connections, and drains them. Knows no routes."""

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

# Deadlines handled in a turn of the loop: thousands of stalled clients that connected together have theirs together, and
# rejecting one takes 35 µs.
EXPIRED_A_TURN_MAX: Final = 64


class Server(Serving):
    """All clients of one process.

    Call `secure` for TLS, `listen` once, `sweep` a few times a second with the loop's time, `drain` at the end.
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
        """Use TLS, or plain text, for clients that connect from now on. `on_failure` is called for each failed handshake.

        A client whose handshake failed gets no alert with the reason: asyncio's own loop and uvloop drop it.
        """
        self.places.on_tls_failure = on_failure
        self.places.acceptor.use(tls)

    @property
    def connection_count(self) -> int:
        """Open connections, including waiting ones and clients in a handshake."""
        return self.places.client_count

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept clients on bound sockets. `drain` closes them."""
        await self.places.acceptor.listen(sockets)

    def sweep(self, now: float) -> None:
        """Act on expired deadlines. `now` is loop time."""
        is_busy = len(self._expired) > 0
        self._expired += [member for member in self.places.members if member.deadline <= now]
        if not is_busy:
            self._expire(now)
        self.buffers.sweep()
        self.places.sweep()

    def _expire(self, now: float) -> None:
        """Act on some expired deadlines, and on the others in the next turns of the loop."""
        expired, members = self._expired, self.places.members
        try:
            for _ in range(min(len(expired), EXPIRED_A_TURN_MAX)):
                member = expired.popleft()
                if member.deadline <= now and member in members:  # it may have ended or continued since
                    member.expire()
        finally:
            if expired:  # an exception must not stop the others
                self._loop.call_soon(self._expire, now)

    async def drain(self) -> None:
        """Close the sockets, let running requests finish for up to `timeouts.drain` seconds, then abort the rest."""
        await self.places.drain(self.timeouts.drain)
        self.abort()

    def abort(self) -> None:
        """Abort everything at once."""
        self.places.abort()
