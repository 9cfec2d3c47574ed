"""Serves bound sockets that it is given. Knows its connections, sweeps their deadlines, drains them; knows no routes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, cast

from txtoken.clock import Clock
from txtoken.http1.acceptor import Acceptor, Greeting, Host
from txtoken.http1.connection import Connection
from txtoken.http1.member import Member
from txtoken.http1.messages import Observer, Router
from txtoken.http1.serving import Serving
from txtoken.settings import Limits, Timeouts

# A client that was answered just before the drain began is about to send its next request: it gets this long, and then
# an answer with `Connection: close` instead of a closed door.
DRAIN_IDLE_GRACE_S: Final = 0.5
# Deadlines that are acted on in a turn of the loop: thousands of clients that came together and stall have theirs together, and
# to refuse one takes 35 µs.
EXPIRED_A_TURN_MAX: Final = 64


class Server(Serving):
    """All clients of one process.

    Call `secure` where TLS is spoken, `listen` once, `sweep` a few times a second with the loop's time, `drain` at the end.
    """

    __slots__ = (
        "_acceptor",
        "_drained",
        "_draining",
        "_expired",
        "_greetings",
        "_held",
        "_leaving",
        "_on_tls_failure",
        "handshakes_failed",
        "held_back",
    )

    def __init__(
        self,
        router: Router,
        limits: Limits,
        timeouts: Timeouts,
        clock: Clock,
        observer: Observer | None,
    ) -> None:
        super().__init__(router, limits, timeouts, clock, observer)
        self._acceptor = Acceptor(self._loop, _Door(self))
        self.turns.on_full = self._acceptor.catch_up
        self._greetings: set[Greeting] = set()  # clients that were accepted, but are no connections yet
        self._held: deque[Member] = deque()  # accepted in the moment before accepting paused
        self._expired: deque[Member] = deque()  # whose deadline has passed
        self._leaving: set[Member] = set()  # were closed for others, which have their places already
        self._on_tls_failure: Callable[[str], object] = lambda _: None
        self._draining = False
        self._drained: asyncio.Future[None] | None = None  # made when the end of the last connection is waited for
        self.held_back = 0  # connections that found no place when they came; whoever reads it sets it back
        self.handshakes_failed = 0  # of TLS; likewise

    def secure(self, tls: ssl.SSLContext | None, on_failure: Callable[[str], object] = lambda _: None) -> None:
        """Speak TLS with whoever connects from now on, or speak in the clear. `on_failure` is called for each handshake that
        fails.

        Neither loop sends a client the alert that says why its handshake failed (asyncio's own and uvloop's drop it).
        """
        self._on_tls_failure = on_failure
        self._acceptor.use(tls)

    @property
    def connection_count(self) -> int:
        """Open connections, those that are held back and those that are no more than accepted included."""
        return len(self.members) + len(self._held) + len(self._greetings) + len(self._leaving)

    @property
    def _taken(self) -> int:
        """How many of the places that there are."""
        return len(self.members) + len(self._greetings)

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept clients on sockets that are bound. `drain` closes them."""
        await self._acceptor.listen(sockets)

    # Places

    def admit(self, member: Member) -> None:
        """Take a new connection in. When there are too many and all are busy, it is held back until `start` is called on it."""
        if len(self.members) < self.limits.connections or self._make_room():
            self._give_place(member)
        else:
            self._held.append(member)
            self.held_back += 1
            member.hold_back()
            self._acceptor.pause()
        if self._draining:
            member.drain(self.time() + DRAIN_IDLE_GRACE_S)  # it was accepted in the moment before

    def forget(self, member: Member) -> None:
        """A connection has ended. Its place goes to one that is held back, and when none is, accepting goes on."""
        self.buffers.forget(member)
        self.room.note_asked(member)
        if member in self.members:
            self.members.remove(member)
        elif member in self._leaving:
            self._leaving.remove(member)
        else:
            self._held.remove(member)
        self._note_end()

    def _give_place(self, member: Member) -> None:
        self.members.add(member)
        self.room.add(member)

    def _make_room(self) -> bool:
        """Close a connection that makes room for another one. False: all are busy."""
        victim = None if self._draining else self.room.choose()
        if victim is None:
            return False
        self.held_back += 1
        if victim in self.members:
            self.members.remove(victim)
        else:
            assert isinstance(victim, Greeting)
            self._greetings.discard(victim)
        self._leaving.add(victim)
        victim.abort()
        return True

    def _note_end(self) -> None:
        if not self._draining:
            self._fill_up()
        elif self._drained is not None and not (self.connection_count or self._drained.done()):
            self._drained.set_result(None)

    def _fill_up(self) -> None:
        """Give free places to connections that are held back, then to those in the backlog."""
        while self._held and not self._draining and (len(self.members) < self.limits.connections or self._make_room()):
            held = self._held.popleft()
            self._give_place(held)
            held.start()
        if not self._acceptor.is_paused or self._held or self._draining:
            return
        if self._taken < self.limits.connections or self.room.is_there():
            self._acceptor.resume()

    # Clients that are greeted

    def has_room(self) -> bool:
        """Make room for a client that was accepted just now. False: all are busy."""
        return self._taken < self.limits.connections or self._make_room()

    def note_greeting(self, greeting: Greeting) -> None:
        """A client was accepted. Its handshake takes a place."""
        self._greetings.add(greeting)
        self.room.add(greeting)

    def note_greeted(self, greeting: Greeting) -> None:
        """A client's handshake is over, one way or the other."""
        self._greetings.discard(greeting)
        self._leaving.discard(greeting)
        self.room.note_asked(greeting)
        self._note_end()

    def note_tls_failure(self, cause: str) -> None:
        """A TLS handshake failed."""
        self.handshakes_failed += 1
        self._on_tls_failure(cause)

    # Time and end

    def sweep(self, now: float) -> None:
        """Act on deadlines that have passed. `now` is loop time."""
        is_busy = len(self._expired) > 0
        self._expired += [member for member in self.members if member.deadline <= now]
        if not is_busy:
            self._expire(now)
        self.buffers.sweep()
        if self._held or self._acceptor.is_paused:
            self._fill_up()

    def _expire(self, now: float) -> None:
        """Act on some deadlines, and on the others in the next turns of the loop."""
        expired = self._expired
        for _ in range(min(len(expired), EXPIRED_A_TURN_MAX)):
            member = expired.popleft()
            if member.deadline <= now and member in self.members:  # it may be over, or have gone on, meanwhile
                member.expire()
        if expired:
            self._loop.call_soon(self._expire, now)

    async def drain(self) -> None:
        """Close the sockets, let running requests finish for up to `timeouts.drain` seconds, then end what is left.

        Who had connected before is served, as far as there are places: the kernel would reset who still waits in a backlog. Who
        comes later is refused at once, and can go elsewhere.
        """
        self._draining = True
        waiting = self._acceptor.close(max(0, self.limits.connections - self._taken))
        idle_deadline = self.time() + DRAIN_IDLE_GRACE_S
        for member in (*self.members, *self._held):
            member.drain(idle_deadline)
        for client in waiting:
            self._acceptor.greet(client)
        self._loop.call_later(DRAIN_IDLE_GRACE_S, self._end_greetings)
        if self.connection_count:
            self._drained = self._loop.create_future()
            await asyncio.wait([self._drained], timeout=self.timeouts.drain)
        self.abort()

    def abort(self) -> None:
        """End what is left, at once."""
        self._draining = True
        self._acceptor.stop()
        self._end_greetings()
        for member in (*self.members, *self._held):
            member.abort()

    def _end_greetings(self) -> None:
        for greeting in tuple(self._greetings):
            greeting.abort()


class _Door(Host):
    """What the acceptor knows of its server."""

    __slots__ = ("_server",)

    def __init__(self, server: Server) -> None:
        self._server = server

    def make_connection(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", Connection(self._server))  # see there

    def has_room(self) -> bool:
        return self._server.has_room()

    def note_greeting(self, greeting: Greeting) -> None:
        self._server.note_greeting(greeting)

    def note_greeted(self, greeting: Greeting) -> None:
        self._server.note_greeted(greeting)

    def note_tls_failure(self, cause: str) -> None:
        self._server.note_tls_failure(cause)

    def handshake_s(self) -> float:
        return self._server.timeouts.head
