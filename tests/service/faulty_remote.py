"""A remote that does exactly what a test wants of it, byte for byte, and callers that keep their outcome.

Everything waits for events: for a request that is whole, for a connection that is gone. Nothing waits for time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Self, cast

from txtoken.clock import Clock
from txtoken.errors import RemoteError
from txtoken.service.upstream.connection import RemoteConnection
from txtoken.service.upstream.exchange import Exchange, Outcome
from txtoken.service.upstream.remote import Remote
from txtoken.settings import RemoteSettings, Secret

GOOD_BODY: Final = b'{"user":"ada"}'
BEARER: Final = b"bearer-of-the-test"
AGENT: Final = "txtoken/test"
_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n")


def answer(body: bytes = GOOD_BODY, *lines: bytes, status: bytes = b"200 OK", version: bytes = b"1.1") -> bytes:
    """Write a reply of known length, with more header `lines`."""
    head = (b"HTTP/%b %b" % (version, status), *lines, b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


GOOD: Final = answer()


class Bell:
    """Lets any number of coroutines wait until something is so."""

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Have all who wait look again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so."""
        while not is_so():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter


async def turning(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until something is so that rings no bell."""
    while not is_so():  # noqa: ASYNC110 - what is waited for is inside the program, which has no event for it
        await asyncio.sleep(0)


class Peer(asyncio.Protocol):
    """The remote's end of one connection. Its script says what it does."""

    def __init__(self, remote: FaultyRemote) -> None:
        self._remote = remote
        self._buffer = b""
        self._waiting_for_more = Bell()
        self.number = -1
        self.gone = False  # the other end, or both
        self.error: Exception | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's over TLS is one in all but its bases
        self._remote.begin(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._ring()

    def eof_received(self) -> None:
        self.gone = True
        self._ring()

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        self.error = error
        self._ring()

    def _ring(self) -> None:
        self._waiting_for_more.ring()
        self._remote.bell.ring()

    async def request(self) -> bytes:
        """Wait for one whole request, which `FaultyRemote.requests` gets too."""
        await self._waiting_for_more.until(lambda: self._whole() or self.gone)
        if not self._whole():
            raise PeerGoneError
        size = self._size()
        request, self._buffer = self._buffer[:size], self._buffer[size:]
        self._remote.requests.append((self.number, request))
        self._remote.bell.ring()
        return request

    def _size(self) -> int:
        length = _LENGTH.search(self._buffer)
        assert length is not None
        return self._buffer.index(b"\r\n\r\n") + 4 + int(length[1])

    def _whole(self) -> bool:
        return b"\r\n\r\n" in self._buffer and len(self._buffer) >= self._size()

    @property
    def unread(self) -> bytes:
        """What came and belongs to no whole request."""
        return self._buffer

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def fin(self) -> None:
        """Close the connection in order."""
        self.transport.close()

    def half_close(self) -> None:
        """Say that nothing more will come, and keep on reading."""
        self.transport.write_eof()

    def end_now(self) -> None:
        """Say that nothing more will come: at once, and not when the loop comes to it."""
        with self._socket() as same:
            same.shutdown(socket.SHUT_WR)

    def say_now(self, data: bytes) -> None:
        """Send bytes at once."""
        with self._socket() as same:
            assert same.send(data) == len(data)

    def _socket(self) -> socket.socket:
        number = self.transport.get_extra_info("socket").fileno()
        return socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM)

    def reset(self) -> None:
        """Close the connection with a reset."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def ended(self) -> None:
        """Wait until the other end has closed the connection."""
        await self._waiting_for_more.until(lambda: self.gone)


class PeerGoneError(Exception):
    """The other end closed the connection while a script waited for a request. That ends the script, in peace."""


Script = Callable[[Peer], Awaitable[None]]


async def good(peer: Peer) -> None:
    """Answer every request as a remote should."""
    while True:
        await peer.request()
        peer.send(GOOD)


async def silent(peer: Peer) -> None:
    """Take every request and answer none."""
    while True:
        await peer.request()


def says(reply: bytes, ending: str = "") -> Script:
    """Make a script that answers the first request with `reply`, then ends ("fin", "rst") or goes on as `good` does."""

    async def play(peer: Peer) -> None:
        await peer.request()
        peer.send(reply)
        if ending == "fin":
            peer.fin()
        elif ending == "rst":
            peer.reset()
        else:
            await good(peer)

    return play


class FaultyRemote:
    """Listens on loopback. The first connection plays the first script, and so on; the last script is played for ever."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._plays: list[asyncio.Future[None]] = []
        self._server: asyncio.Server
        self.bell = Bell()
        self.peers: list[Peer] = []
        self.requests: list[tuple[int, bytes]] = []  # connection, bytes
        self.url = ""

    def begin(self, peer: Peer) -> None:
        """A connection was made."""
        peer.number = len(self.peers)
        self.peers.append(peer)
        script = self._scripts[min(peer.number, len(self._scripts) - 1)]
        self._plays.append(asyncio.ensure_future(self._play(script, peer)))
        self.bell.ring()

    async def _play(self, script: Script, peer: Peer) -> None:
        with contextlib.suppress(PeerGoneError):
            await script(peer)

    async def connected(self, count: int) -> None:
        """Wait until so many connections were made in all."""
        await self.bell.until(lambda: len(self.peers) >= count)

    async def requested(self, count: int) -> None:
        """Wait until so many requests came in all."""
        await self.bell.until(lambda: len(self.requests) >= count)

    @property
    def bodies(self) -> list[tuple[int, bytes]]:
        """The requests' bodies, with the number of the connection that brought each."""
        return [(number, request.partition(b"\r\n\r\n")[2]) for number, request in self.requests]

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        """Listen, and at the end close all and fail when a script has failed."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", 0, ssl=tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"https://localhost:{port}/login" if tls else f"http://127.0.0.1:{port}/login"
        try:
            yield self
        finally:
            self._server.close()
            for peer in self.peers:
                peer.transport.abort()
            unfinished = [play for play in self._plays if not play.done()]
            for play in unfinished:
                play.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        for play in self._plays:
            if not play.cancelled():
                play.result()


class Call(Exchange):
    """One request and its outcome. A second outcome, one before `post` returned or after `cancel` is a fault."""

    def __init__(self, remote: Remote, body: bytes, lines: bytes) -> None:
        super().__init__(lines, body)
        self.told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._may_be_told = False
        self.remote = remote
        remote.post(self)
        self._may_be_told = True

    def conclude(self, outcome: Outcome, seconds: float) -> None:
        """Take the outcome."""
        assert self._may_be_told
        self.told.set_result(outcome)  # raises when it is set already

    def cancel(self) -> None:
        """Give the request up."""
        self.remote.cancel(self)
        self._may_be_told = False

    @property
    def has_outcome(self) -> bool:
        """Whether an outcome is known."""
        return self.told.done()

    async def outcome(self) -> bytes | tuple[str, str]:
        """Wait for the body, or for the error's class and code. A text that names an address fails the test."""
        outcome = await self.told
        if isinstance(outcome, RemoteError):
            assert not re.search(r"127\.|localhost|invalid|::|:[0-9]", outcome.public), outcome.public
            json.dumps(outcome.public)
            return type(outcome).__name__, outcome.code
        return outcome


def remote_settings(
    url: str,
    **values: Any,
) -> RemoteSettings:
    """Say what the remote under test is. `values` are fields of `RemoteSettings`."""
    return RemoteSettings(url, Secret(BEARER), **values)


def at_once(work: Callable[[], object]) -> None:
    """Call what may take milliseconds before any others had their turns."""
    work()


@contextlib.asynccontextmanager
async def calling(
    url: str, *, in_turn: Callable[[Callable[[], object]], object] = at_once, **values: Any
) -> AsyncIterator[Remote]:
    """Make the `Remote` under test, and close it at the end. Then it has nothing open and nobody in line."""
    settings = remote_settings(url, **values)
    remote = Remote(settings, lambda second: BEARER, Clock(), AGENT, in_turn)
    try:
        yield remote
    finally:
        await remote.close()
    await turning(lambda: not remote.open_count)  # a dial that was cancelled has still to say so
    assert remote.idle_count == 0
    assert not remote._waiting
    assert not remote._active


def post(remote: Remote, body: bytes = b"{}", lines: bytes = b"") -> Call:
    """POST through the remote under test."""
    return Call(remote, body, lines)


def connection_of(call: Call) -> RemoteConnection:
    """Return the connection that carries a request."""
    return call.remote._connections[call.connection_number]
