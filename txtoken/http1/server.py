"""Serves bound sockets that it is given. Knows its connections, sweeps their deadlines, drains them; knows no routes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, cast

from txtoken.clock import Clock
from txtoken.http1.connection import Connection
from txtoken.http1.heads import KnownHeads
from txtoken.http1.messages import AccessLog, Router, Tally
from txtoken.settings import Limits, Timeouts

# A client that was answered just before the drain began is about to send its next request: it gets this long, and then
# an answer with `Connection: close` instead of a closed door.
DRAIN_IDLE_GRACE_S: Final = 0.5
# A TLS connection whose end the client does not confirm is closed all the same. What the kernel has of an answer then, the
# client still gets: answers larger than its buffer have this long to be taken.
TLS_CLOSE_S: Final = 2.0
# Clients that are taken at a time from a socket that several workers share, so that each worker gets some of many.
GREETED_AT_ONCE_MAX: Final = 16
# How soon a connection without a request rests: 10 000 of them are common, and up to 1.8 KB each are worth having back. A
# client that asks again later costs up to 3 µs more.
REST_AFTER_S: Final = 0.25
LISTEN_BACKLOG: Final = 4096  # connections that the kernel keeps for us; it cuts this down to its own somaxconn


class Server:
    """All clients of one process.

    Call `secure` where TLS is spoken, `listen` once, `sweep` a few times a second with the loop's time, `drain` at the end.
    """

    __slots__ = (
        "_connections",
        "_drained",
        "_draining",
        "_greetings",
        "_held",
        "_listeners",
        "_loop",
        "_on_tls_failure",
        "_paused",
        "_resuming",
        "_sockets",
        "_tls",
        "_watched",
        "access_log",
        "clock",
        "handshakes_failed",
        "held_back",
        "known_heads",
        "limits",
        "rest_after_s",
        "router",
        "tally",
        "time",
        "timeouts",
    )

    def __init__(
        self,
        router: Router,
        limits: Limits,
        timeouts: Timeouts,
        clock: Clock,
        access_log: AccessLog | None,
        tally: Tally | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._held: deque[Connection] = deque()  # accepted in the moment before accepting paused
        self._sockets: Sequence[socket.socket] = ()
        self._tls: ssl.SSLContext | None = None
        self._on_tls_failure: Callable[[str], object] = lambda _: None
        self._listeners: list[asyncio.Server] = []
        self._watched: list[socket.socket] = []  # of the sockets those whose clients are greeted
        self._greetings: set[asyncio.Task[None]] = set()  # clients that were accepted, but are no connections yet
        self._paused = False  # the listeners were closed for want of room, or at the end
        self._resuming: asyncio.Task[None] | None = None
        self._draining = False
        self._drained: asyncio.Future[None] | None = None  # made when the end of the last connection is waited for
        self.router = router
        self.limits = limits
        self.known_heads = KnownHeads()
        self.timeouts = timeouts
        self.rest_after_s = min(timeouts.idle, REST_AFTER_S)  # worked out here, and not with each answer
        self.clock = clock
        self.access_log = access_log
        self.tally = tally
        self.held_back = 0  # connections that found no place when they came; whoever tells of them sets it back
        self.handshakes_failed = 0  # of TLS; likewise
        self.time: Callable[[], float] = self._loop.time

    def use(self, router: Router, limits: Limits, timeouts: Timeouts, access_log: AccessLog | None) -> None:
        """Answer by another router, and take on as much as other limits say, from the next request on."""
        if limits != self.limits:
            self.known_heads = KnownHeads()  # what was good within the old limits may not be within the new
        self.router, self.limits, self.timeouts, self.access_log = router, limits, timeouts, access_log
        self.rest_after_s = min(timeouts.idle, REST_AFTER_S)

    def secure(self, tls: ssl.SSLContext | None, on_failure: Callable[[str], object] = lambda _: None) -> None:
        """Speak TLS with whoever connects from now on, or speak in the clear. `on_failure` is told of handshakes that fail.

        Neither loop sends a client the alert that says why its handshake failed (asyncio's own and uvloop's drop it).
        """
        self._on_tls_failure = on_failure
        changes_kind = (tls is None) != (self._tls is None)
        self._tls = tls
        if changes_kind and (self._listeners or self._watched):
            self._stop_accepting()
            self._resume_accepting()

    @property
    def connection_count(self) -> int:
        """Open connections, those that are held back and those that are no more than accepted included."""
        return len(self._connections) + len(self._held) + len(self._greetings)

    @property
    def _taken(self) -> int:
        """How many of the places that there are."""
        return len(self._connections) + len(self._greetings)

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept clients on sockets that are bound. `drain` closes them."""
        self._sockets = sockets
        await self._accept()

    async def _accept(self) -> None:
        # A listener closes its socket with it, and the kernel resets who waits there. So each gets a duplicate: the
        # original keeps the backlog alive while accepting is paused.
        self._paused = False
        for sock in self._sockets:
            if self._tls is not None or sock.family == socket.AF_UNIX:
                sock.setblocking(False)
                self._loop.add_reader(sock, self._take_clients, sock)
                self._watched.append(sock)
            else:
                self._listeners.append(
                    await self._loop.create_server(self._new_connection, sock=sock.dup(), backlog=LISTEN_BACKLOG)
                )
        if self._paused or self._draining:
            self._stop_accepting()  # the end, or too many clients once more, came while the listeners were opened

    def _new_connection(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", Connection(self))  # see there

    def _stop_accepting(self) -> None:
        self._paused = True
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()
        watched, self._watched = self._watched, []
        for sock in watched:
            self._loop.remove_reader(sock)

    # Clients that are greeted. The loops' own listeners tell of a client after its TLS handshake: who never ends one
    # would count for nothing. And they close the file of a Unix socket with it, or do not take one that is bound.

    def _take_clients(self, sock: socket.socket) -> None:
        for _ in range(GREETED_AT_ONCE_MAX):
            if self._taken >= self.limits.connections:
                self.held_back += 1
                self._stop_accepting()
                return
            try:
                client, _ = sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                self._stop_accepting()  # no file descriptor is left, say: the next sweep tries once more
                return
            self._greet(client)

    def _greet(self, client: socket.socket) -> None:
        greeting = self._loop.create_task(self._shake_hands(client))
        self._greetings.add(greeting)
        greeting.add_done_callback(self._note_greeted)

    async def _shake_hands(self, client: socket.socket) -> None:
        is_tls = self._tls is not None
        try:
            await self._loop.connect_accepted_socket(
                self._new_connection,
                client,
                ssl=self._tls,
                ssl_handshake_timeout=self.timeouts.head if is_tls else None,
                ssl_shutdown_timeout=TLS_CLOSE_S if is_tls else None,
            )
        except OSError as error:  # it speaks no TLS, has no certificate that is good here, takes too long, or has gone
            if is_tls:
                self.handshakes_failed += 1
                self._on_tls_failure(str(error))

    def _note_greeted(self, greeting: asyncio.Task[None]) -> None:
        self._greetings.discard(greeting)
        self._note_end()

    # What connections call

    def admit(self, connection: Connection) -> None:
        """Take a new connection in. When there are too many, it is held back until `start` is called on it."""
        if len(self._connections) < self.limits.connections:
            self._connections.add(connection)
        else:
            self._held.append(connection)
            self.held_back += 1
            connection.hold_back()
            self._stop_accepting()
        if self._draining:
            connection.drain(self.time() + DRAIN_IDLE_GRACE_S)  # it was accepted in the moment before

    def forget(self, connection: Connection) -> None:
        """A connection has ended. Its place goes to one that is held, and when none is, accepting goes on."""
        if connection in self._connections:
            self._connections.remove(connection)
        else:
            self._held.remove(connection)
        self._note_end()

    def _note_end(self) -> None:
        if not self._draining:
            self._fill_up()
        elif self._drained is not None and not (self._connections or self._greetings or self._drained.done()):
            self._drained.set_result(None)

    def _fill_up(self) -> None:
        """Give free places to connections that are held, then to those in the backlog."""
        while self._held and not self._draining and len(self._connections) < self.limits.connections:
            held = self._held.popleft()
            self._connections.add(held)
            held.start()
        if self._paused:
            self._resume_accepting()

    def _resume_accepting(self) -> None:
        """Open the listeners again, if there is room."""
        if self._draining or self._held or self._taken >= self.limits.connections:
            return
        if self._resuming is None or self._resuming.done():
            self._resuming = self._loop.create_task(self._accept_again())

    async def _accept_again(self) -> None:
        try:
            await self._accept()
        except OSError:
            self._stop_accepting()  # no file descriptor is left, say: the next sweep tries once more

    # Time and end

    def sweep(self, now: float) -> None:
        """Act on deadlines that have passed. `now` is loop time."""
        for connection in [connection for connection in self._connections if connection.deadline <= now]:
            connection.expire()
        if self._paused:
            self._fill_up()

    async def drain(self) -> None:
        """Close the sockets, let running requests finish for up to `timeouts.drain` seconds, then end what is left.

        Who had connected before is served, as far as there are places: the kernel would reset who still waits in a backlog. Who
        comes later is refused at once, and can go elsewhere.
        """
        self._draining = True
        self._stop_accepting()
        places = max(0, self.limits.connections - self._taken)
        waiting = [*islice(_backlogs(self._sockets), places)]
        for sock in self._sockets:
            sock.close()
        idle_deadline = self.time() + DRAIN_IDLE_GRACE_S
        for connection in (*self._connections, *self._held):
            connection.drain(idle_deadline)
        for client in waiting:
            self._greet(client)
        self._loop.call_later(DRAIN_IDLE_GRACE_S, self._end_greetings)
        if self._connections or self._greetings:
            self._drained = self._loop.create_future()
            await asyncio.wait([self._drained], timeout=self.timeouts.drain)
        self.abort()

    def abort(self) -> None:
        """End what is left, at once."""
        self._draining = True
        self._stop_accepting()
        self._end_greetings()
        for connection in (*self._connections, *self._held):
            connection.abort()

    def _end_greetings(self) -> None:
        for greeting in tuple(self._greetings):
            greeting.cancel()


def _backlogs(sockets: Sequence[socket.socket]) -> Iterator[socket.socket]:
    """Accept who waits, one at a time, until nobody does. A function, because mypyc makes a list of a generator expression:
    clients without a place would be accepted too, and dropped.
    """
    for listening in sockets:
        listening.setblocking(False)
        while True:
            try:
                client, _ = listening.accept()
            except OSError:  # BlockingIOError: that was the last
                break
            yield client
