"""What all connections of one server share: limits, routes, clock, observer. Knows no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from txtoken.clock import Clock
from txtoken.http1.buffers import Buffers
from txtoken.http1.heads import KnownHeads
from txtoken.http1.member import Member
from txtoken.http1.messages import Head, Observer, Router
from txtoken.http1.places import Places
from txtoken.http1.turns import Turns
from txtoken.settings import Limits, Timeouts

# When an idle connection rests: 10 000 of them are common, and up to 1.8 KB of each can be freed. A later request of such a
# client costs up to 3 µs more.
REST_AFTER_S: Final = 0.25


class Serving:
    """The part of a server that its connections use."""

    __slots__ = (
        "_loop",
        "buffers",
        "clock",
        "known_heads",
        "limits",
        "observer",
        "places",
        "rest_after_s",
        "router",
        "time",
        "timeouts",
        "turns",
        "waits_for_body",
    )

    def __init__(
        self, router: Router, limits: Limits, timeouts: Timeouts, clock: Clock, observer: Observer | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.router = router
        self.limits = limits
        self.known_heads = KnownHeads()
        self.timeouts = timeouts
        self.rest_after_s = min(timeouts.idle, REST_AFTER_S)  # computed here, and not for each answer
        self.clock = clock
        self.observer = observer  # None: response times are not measured
        self.time: Callable[[], float] = self._loop.time
        self.waits_for_body: Callable[[Head], bool] = self._waits_for_body  # bound once, and not for each connection
        self.turns = Turns(self._loop)
        self.places = Places(self._loop, limits, timeouts, self._connect)
        self.turns.on_full = self.places.acceptor.catch_up
        self.buffers = Buffers(self._loop, self.places.members, limits.buffered_bytes)

    def use(self, router: Router, limits: Limits, timeouts: Timeouts, observer: Observer | None) -> None:
        """Use another router and other limits, from the next request on."""
        if limits != self.limits:
            self.known_heads = KnownHeads()  # heads within the old limits may exceed the new ones
        self.router, self.limits, self.timeouts, self.observer = router, limits, timeouts, observer
        self.rest_after_s = min(timeouts.idle, REST_AFTER_S)
        self.buffers.limit = limits.buffered_bytes
        self.places.use(limits, timeouts)

    def _waits_for_body(self, head: Head) -> bool:
        return self.router.waits_for_body(head)

    def _connect(self) -> asyncio.Protocol:
        """Make the protocol of a client that connected."""
        raise NotImplementedError

    def forget(self, member: Member) -> None:
        """A connection has ended."""
        self.buffers.forget(member)
        self.places.forget(member)
