"""The places of a server: which clients have one, wait for one, or make room. Knows no requests and no deadlines.

A connection takes a place, and so does an accepted client during its handshake.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from txtoken.http1.acceptor import Acceptor, Greeting, Host
from txtoken.http1.member import Member
from txtoken.http1.room import Room
from txtoken.settings import Limits, Timeouts

# A client that was answered just before the drain may be about to send its next request: it has this long, and gets an answer
# with `Connection: close` instead of a closed connection.
DRAIN_IDLE_GRACE_S: Final = 0.5


class Places(Host):
    """All clients of one server. `connect` makes the protocol of a client that connected."""

    __slots__ = (
        "_connect",
        "_count_max",
        "_deferred",
        "_drained",
        "_greetings",
        "_handshake_s",
        "_is_draining",
        "_leaving",
        "_loop",
        "acceptor",
        "deferred",
        "handshakes_failed",
        "members",
        "on_tls_failure",
        "room",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        timeouts: Timeouts,
        connect: Callable[[], asyncio.Protocol],
    ) -> None:
        self._loop = loop
        self._connect = connect
        self.use(limits, timeouts)
        self.acceptor = Acceptor(loop, self)
        self.members: set[Member] = set()  # connections with a place
        self.room = Room(self.members)
        self._greetings: set[Greeting] = set()  # clients that were accepted, but are not connections yet
        self._deferred: deque[Member] = deque()  # accepted just before accepting paused
        self._leaving: set[Member] = set()  # closed to make room for others, which already have their places
        self._is_draining = False
        self._drained: asyncio.Future[None] | None = None  # exists while a drain waits for the last connection
        self.on_tls_failure: Callable[[str], object] = lambda _: None
        self.deferred = 0  # connections that had to wait for a place; the reader resets it to 0
        self.handshakes_failed = 0  # failed TLS handshakes; the same

    def use(self, limits: Limits, timeouts: Timeouts) -> None:
        """Use other limits for the number of places."""
        self._count_max = limits.connections
        self._handshake_s = timeouts.head

    @property
    def client_count(self) -> int:
        """Open connections, including waiting ones and clients in a handshake."""
        return len(self.members) + len(self._deferred) + len(self._greetings) + len(self._leaving)

    @property
    def _taken(self) -> int:
        """How many places are taken."""
        return len(self.members) + len(self._greetings)

    # Connections

    def admit(self, member: Member) -> None:
        """Add a new connection. If there are too many and all are busy, it waits until `start` is called on it."""
        if len(self.members) < self._count_max or self._make_room():
            self._give_place(member)
        else:
            self._deferred.append(member)
            self.deferred += 1
            member.defer()
            self.acceptor.pause()
        if self._is_draining:
            member.drain(self._loop.time() + DRAIN_IDLE_GRACE_S)  # it was accepted just before

    def forget(self, member: Member) -> None:
        """A connection has ended. Its place goes to a waiting one. If there is none, accepting continues."""
        self.room.note_asked(member)
        if member in self.members:
            self.members.remove(member)
        elif member in self._leaving:
            self._leaving.remove(member)
        else:
            self._deferred.remove(member)
        self._note_end()

    def _give_place(self, member: Member) -> None:
        self.members.add(member)
        self.room.add(member)

    def _make_room(self) -> bool:
        """Close a connection to make room for another one. False: all are busy."""
        victim = None if self._is_draining else self.room.choose()
        if victim is None:
            return False
        self.deferred += 1
        if victim in self.members:
            self.members.remove(victim)
        else:
            assert isinstance(victim, Greeting)
            self._greetings.discard(victim)
        self._leaving.add(victim)
        victim.abort()
        return True

    def _note_end(self) -> None:
        if not self._is_draining:
            self._fill_up()
        elif self._drained is not None and not (self.client_count or self._drained.done()):
            self._drained.set_result(None)

    def sweep(self) -> None:
        """Give free places to waiting clients: limits may have changed, or accepting may have failed."""
        if self._deferred or self.acceptor.is_paused:
            self._fill_up()

    def _fill_up(self) -> None:
        """Give free places to waiting connections, then to clients in the backlog."""
        while self._deferred and not self._is_draining and (len(self.members) < self._count_max or self._make_room()):
            member = self._deferred.popleft()
            self._give_place(member)
            member.start()
        if not self.acceptor.is_paused or self._deferred or self._is_draining:
            return
        if self._taken < self._count_max or self.room.is_there():
            self.acceptor.resume()

    # Clients in a handshake

    def make_connection(self) -> asyncio.Protocol:
        return self._connect()

    def has_room(self) -> bool:
        return self._taken < self._count_max or self._make_room()

    def note_greeting(self, greeting: Greeting) -> None:
        self._greetings.add(greeting)
        if greeting.can_last:
            self.room.add(greeting)

    def note_greeted(self, greeting: Greeting) -> None:
        self._greetings.discard(greeting)
        self._leaving.discard(greeting)
        self.room.note_asked(greeting)
        self._note_end()

    def note_tls_failure(self, cause: str) -> None:
        self.handshakes_failed += 1
        self.on_tls_failure(cause)

    def handshake_s(self) -> float:
        return self._handshake_s

    # The end

    async def drain(self, timeout_s: float) -> None:
        """Close the sockets, and wait until all clients have left, for at most this time.

        Clients that connected before are served, as far as there are places: the kernel would reset those in a backlog. A later
        one is refused at once, and can try another server.
        """
        self._is_draining = True
        waiting = self.acceptor.close(max(0, self._count_max - self._taken))
        idle_deadline = self._loop.time() + DRAIN_IDLE_GRACE_S
        for member in (*self.members, *self._deferred):
            member.drain(idle_deadline)
        for client in waiting:
            self.acceptor.greet(client)
        self._loop.call_later(DRAIN_IDLE_GRACE_S, self._end_greetings)
        if self.client_count:
            self._drained = self._loop.create_future()
            await asyncio.wait([self._drained], timeout=timeout_s)

    def abort(self) -> None:
        """Abort all clients at once."""
        self._is_draining = True
        self.acceptor.stop()
        self._end_greetings()
        for member in (*self.members, *self._deferred):
            member.abort()

    def _end_greetings(self) -> None:
        for greeting in tuple(self._greetings):
            greeting.abort()
