"""Listening sockets: accepts clients, makes the TLS handshake, and pauses when there is no room. Knows no connection's bytes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

from txtoken.http1.member import Member

# A TLS connection is closed after this time if the client does not confirm its end. The client still gets the part of an answer
# that the kernel has; an answer larger than the kernel's buffer has to be read within this time.
TLS_CLOSE_S: Final = 2.0
# Clients accepted at a time from a socket that several workers share, so that each worker gets its part.
GREETED_AT_ONCE_MAX: Final = 16
# Clients accepted in a turn of the loop that is full of pipelined requests: uvloop's own listeners accept one in each turn, and a
# long backlog would make a new client wait for seconds.
ACCEPTED_A_BUSY_TURN_MAX: Final = 32
LISTEN_BACKLOG: Final = 4096  # connections that the kernel queues for us; its somaxconn is the upper limit


class Host:
    """What the acceptor needs of its server: where accepted clients go."""

    __slots__ = ()

    def make_connection(self) -> asyncio.Protocol:
        """Make the protocol of a client that connected."""
        raise NotImplementedError

    def has_room(self) -> bool:
        """Make room for the client that was just accepted. False: all others are busy, so it has to wait."""
        raise NotImplementedError

    def note_greeting(self, greeting: Greeting) -> None:
        """A client was accepted. It takes a place during its handshake."""
        raise NotImplementedError

    def note_greeted(self, greeting: Greeting) -> None:
        """A client's handshake is over, successful or not."""
        raise NotImplementedError

    def note_tls_failure(self, cause: str) -> None:
        """A TLS handshake failed."""
        raise NotImplementedError

    def handshake_s(self) -> float:
        """Return how long a TLS handshake may take, in seconds."""
        raise NotImplementedError


class Greeting(Member):
    """A client that was accepted, but is not a connection yet.

    Only a TLS handshake can last, and be aborted. Without TLS the client becomes a connection in the next turns of the loop, and
    is aborted as one. If its task were cancelled after `connection_made`, uvloop would close the transport and never call
    `connection_lost`: the connection would keep its place and memory for the life of the process.
    """

    __slots__ = ("_host", "_task", "can_last")

    def __init__(self, host: Host, task: asyncio.Task[None], can_last: bool) -> None:
        super().__init__()
        self._host = host
        self._task = task
        self.can_last = can_last
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._host.note_greeted(self)

    def abort(self) -> None:
        """Abort now, unless it ends soon by itself."""
        if self.can_last:
            self._task.cancel()


class Acceptor:
    """The bound sockets of a server. Call `listen` once; `pause` and `resume` depending on room; `close` at the end."""

    __slots__ = (
        "_host",
        "_is_closed",
        "_listeners",
        "_loop",
        "_resuming",
        "_sockets",
        "_watched",
        "is_paused",
        "tls",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, host: Host) -> None:
        self._loop = loop
        self._host = host
        self._sockets: Sequence[socket.socket] = ()
        self._listeners: list[asyncio.Server] = []
        self._watched: list[socket.socket] = []  # the sockets whose clients this class accepts itself
        self._resuming: asyncio.Task[None] | None = None
        self._is_closed = False
        self.is_paused = False  # the listeners are closed: there is no room, or the server stops
        self.tls: ssl.SSLContext | None = None

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept clients on bound sockets."""
        self._sockets = sockets
        await self._accept()

    def use(self, tls: ssl.SSLContext | None) -> None:
        """Use TLS, or plain text, for clients that connect from now on."""
        changes_kind = (tls is None) != (self.tls is None)
        self.tls = tls
        if changes_kind and (self._listeners or self._watched):
            self.pause()
            self.resume()

    def pause(self) -> None:
        """Stop accepting for now. New clients wait in the backlog."""
        self.is_paused = True
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()
        watched, self._watched = self._watched, []
        for sock in watched:
            self._loop.remove_reader(sock)

    def resume(self) -> None:
        """Accept again."""
        if self.is_paused and not self._is_closed and (self._resuming is None or self._resuming.done()):
            self._resuming = self._loop.create_task(self._accept_again())

    def stop(self) -> None:
        """Stop accepting for good."""
        self._is_closed = True
        self.pause()

    def close(self, places: int) -> list[socket.socket]:
        """Close the sockets. Returns clients from their backlogs, as many as there are places."""
        self.stop()
        waiting: list[socket.socket] = []
        for sock in self._sockets:
            waiting += _backlog(sock, places - len(waiting))
        for sock in self._sockets:
            sock.close()
        return waiting

    async def _accept(self) -> None:
        # A listener closes its socket, and the kernel then resets the clients in its backlog. So each listener gets a duplicate:
        # the original keeps the backlog alive while accepting is paused.
        self.is_paused = False
        for sock in self._sockets:
            sock.setblocking(False)
            if self.tls is not None or sock.family == socket.AF_UNIX:
                self._loop.add_reader(sock, self._take_clients, sock)
                self._watched.append(sock)
            else:
                self._listeners.append(
                    await self._loop.create_server(self._host.make_connection, sock=sock.dup(), backlog=LISTEN_BACKLOG)
                )
        if self.is_paused or self._is_closed:
            self.pause()  # while the listeners were opened, the server stopped or had too many clients again

    async def _accept_again(self) -> None:
        try:
            await self._accept()
        except OSError:
            self.pause()  # perhaps no file descriptor is left: the next sweep tries again

    # Clients that are greeted. The loops' own listeners call back after a client's TLS handshake: a client that never ends
    # its handshake would not be counted. And they remove the file of a Unix socket when they close, or reject a bound one.

    def catch_up(self) -> None:
        """Accept clients from the backlogs, after a full turn of the loop."""
        for sock in self._sockets:
            if not self.is_paused:
                self._take_clients(sock, ACCEPTED_A_BUSY_TURN_MAX)

    def _take_clients(self, sock: socket.socket, at_once_max: int = GREETED_AT_ONCE_MAX) -> None:
        for _ in range(at_once_max):
            try:
                client, _ = sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                self.pause()  # perhaps no file descriptor is left: the next sweep tries again
                return
            has_room = self._host.has_room()
            self.greet(client)  # if it is one too many, its connection has to wait
            if not has_room:
                self.pause()
                return

    def greet(self, client: socket.socket) -> None:
        """Make a connection of an accepted client, after its TLS handshake if there is one."""
        task = self._loop.create_task(self._shake_hands(client))
        self._host.note_greeting(Greeting(self._host, task, can_last=self.tls is not None))

    async def _shake_hands(self, client: socket.socket) -> None:
        is_tls = self.tls is not None
        try:
            await self._loop.connect_accepted_socket(
                self._host.make_connection,
                client,
                ssl=self.tls,
                ssl_handshake_timeout=self._host.handshake_s() if is_tls else None,
                ssl_shutdown_timeout=TLS_CLOSE_S if is_tls else None,
            )
        except OSError as error:  # no TLS, no valid certificate, too slow, or gone
            if is_tls:
                self._host.note_tls_failure(str(error))


def _backlog(listening: socket.socket, count: int) -> Iterator[socket.socket]:
    """Accept so many waiting clients, or all if there are fewer."""
    listening.setblocking(False)
    for _ in range(count):
        try:
            client, _ = listening.accept()
        except OSError:  # BlockingIOError: that was the last one
            return
        yield client
