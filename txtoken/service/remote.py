"""The one upstream: dialling, the pool, one exchange at a time on each connection. Knows no tokens but the bearer it shows.

aiohttp dials and httptools speaks. aiohttp's connector does what is hard and rare: resolving, happy eyeballs, TLS. On the
connection that it opened, `transport.set_protocol` hands over to `RemoteConnection`, which writes ready-made bytes and
reads one reply.
`ClientSession.post` spends 80 µs of CPU on what takes 10 here, nearly all of it on generality that one URL does not need.

A request is never sent twice (contract §2): a login is not idempotent. What was written and got no answer has failed.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Final, cast

import aiohttp
from aiohttp.connector import Connection as DialledConnection
from yarl import URL

from txtoken.clock import Clock
from txtoken.compiling import mypyc_attr
from txtoken.errors import (
    RemoteError,
    RemoteInvalid,
    RemoteOverloaded,
    RemoteStatus,
    RemoteTimeout,
    RemoteUnreachable,
)
from txtoken.http1.messages import Pending, end_of_head
from txtoken.service.reply import EMPTY_LINE, ReplyParser, lost_before_reply
from txtoken.settings import Limits, Timeouts

KNOWN_HEADS_MAX: Final = 64

# With so many requests on their way or more, those that begin in one turn of the loop are written together, behind the
# answers to clients. uvloop by itself writes in no order: a remote and clients on this machine are then woken by turns, and
# to interrupt another core takes longer than to write. With 64 clients a login takes 3 % less CPU time (0.05 interrupts
# and not 0.12), with 8 it would take 2 % more.
CROWD: Final = 10

Outcome = bytes | RemoteError

# What is wrong with this machine rather than with the remote: trying again a little later can help.
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}


class KnownReplyHead:
    """What the head of a 200 reply means: how long its body is, and how many seconds its connection may idle."""

    __slots__ = ("body_size", "idle_s", "text")

    def __init__(self, text: bytes, body_size: int, idle_s: float) -> None:
        self.text = text  # up to and with the empty line
        self.body_size = body_size
        self.idle_s = idle_s


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange(Pending):
    """One request, `body` with `lines` added to its head (whole header lines), and who waits for its outcome.

    Post it once. A class of its own says in `conclude` what is done with the outcome.
    """

    __slots__ = ("_remote", "asked_at", "body", "connection", "deadline", "lines")

    def __init__(self, lines: bytes, body: bytes) -> None:
        self._remote: Remote | None = None  # where it was posted, until it is over
        self.lines = lines
        self.body = body
        self.asked_at = 0.0  # by `monotonic`, as its deadline
        self.deadline = inf
        self.connection: RemoteConnection | None = None

    def begin(self, remote: Remote, now: float, deadline: float) -> None:
        """Note where and when it was posted, and until when it may take."""
        self._remote = remote
        self.asked_at = now
        self.deadline = deadline

    def end(self) -> bool:
        """Note that it has an outcome, or was given up. False when that is so already."""
        is_under_way = self._remote is not None
        self._remote = None
        return is_under_way

    def conclude(self, outcome: Outcome, seconds: float) -> None:
        """Take the body of a 200 reply, or the reason why there is none, so many seconds after it was posted.

        Called exactly once, unless it was given up.
        """
        raise NotImplementedError

    def cancel(self) -> None:
        """Nobody wants the outcome any more: give the request up, and the connection that carries it."""
        remote = self._remote
        if remote is not None:
            remote.give_up(self)
            remote.given_up += 1


class Remote:
    """The remote, as a function from a body to its outcome. One a process.

    Call `sweep` a few times a second with the time by `monotonic` and `close` at the end. `bearer` makes the token that txtoken
    presents, for a given second. `tls` says how the remote is spoken to where its URL is https, True as aiohttp does by
    itself; `server_name` is whom its certificate has to name in place of the URL's host.
    """

    __slots__ = (
        "_active",
        "_bearer",
        "_clock",
        "_connections",
        "_connector",
        "_dialling",
        "_dials",
        "_fixed_head",
        "_head",
        "_head_second",
        "_idle",
        "_known_heads",
        "_limits",
        "_loop",
        "_recent_head",
        "_target",
        "_timeout_s",
        "_timeouts",
        "_unwritten",
        "_waiting",
        "given_up",
    )

    def __init__(
        self,
        url: str,
        bearer: Callable[[int], bytes],
        limits: Limits,
        timeouts: Timeouts,
        clock: Clock,
        user_agent: str,
        *,
        tls: ssl.SSLContext | bool = True,
        server_name: str | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._bearer = bearer
        self._limits = limits
        self._timeouts = timeouts
        self._timeout_s = timeouts.remote  # of each request
        self._clock = clock
        # Our own pool counts connections, so the connector has no limit. Its cache of addresses lasts 10 s.
        self._connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=10)
        self._target = aiohttp.ClientRequest(
            "POST", URL(url, encoded=True), loop=self._loop, ssl=tls, server_hostname=server_name
        )
        self._fixed_head = request_head(url, user_agent)
        self._head = b""
        self._head_second = 0
        self._idle: list[RemoteConnection] = []  # the youngest last: it is the least likely to be closed already
        self._waiting: deque[Exchange] = deque()
        self._unwritten: list[RemoteConnection] = []  # those that write when this turn of the loop is over
        self._active = 0  # requests without an outcome: each is in line, or a connection's
        self._connections: dict[RemoteConnection, None] = {}  # that are open, in the order in which they came
        self.given_up = 0  # requests whose clients went away before; whoever tells of them sets it back
        self._dialling = 0
        self._dials: set[asyncio.Task[None]] = set()
        self._known_heads: dict[bytes, KnownReplyHead] = {}  # of replies, by their text
        self._recent_head: KnownReplyHead | None = (
            None  # the one of the last reply, which is the next one's most likely
        )

    @property
    def reply_bytes_max(self) -> int:
        """How long a reply's body may be."""
        return self._limits.reply_bytes

    @property
    def idle_s(self) -> float:
        """How long a connection is kept without a request."""
        return self._timeouts.remote_idle

    @property
    def open_count(self) -> int:
        """Connections that are open or being dialled."""
        return len(self._connections) + self._dialling

    @property
    def idle_count(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    @property
    def dialling_count(self) -> int:
        """Connections that are being opened."""
        return self._dialling

    @property
    def waiting_count(self) -> int:
        """Requests in line for a connection."""
        return len(self._waiting)

    @property
    def active_count(self) -> int:
        """Requests without an outcome yet, those in line included."""
        return self._active

    def post(self, exchange: Exchange) -> None:
        """Begin an exchange. It is concluded later, never before return.

        Raises:
            RemoteOverloaded: too many requests wait for a connection already.
        """
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                self._begin(exchange)
                connection.send(exchange)
                return
        if self.open_count >= self._limits.remote_connections:
            if len(self._waiting) - self._dialling >= self._limits.waiting:
                raise RemoteOverloaded("overloaded", "too many requests are waiting for the remote")
        else:
            self._dial()
        self._begin(exchange)
        self._waiting.append(exchange)

    def _begin(self, exchange: Exchange) -> None:
        now = monotonic()
        exchange.begin(self, now, now + self._timeout_s)
        self._active += 1

    def head(self) -> bytes:
        """Return the request head of this second, up to where `lines` and the length follow. Signed once a second."""
        second = self._clock.second
        if second != self._head_second:
            self._head = b"%bAuthorization: Bearer %b\r\n" % (self._fixed_head, self._bearer(second))
            self._head_second = second
        return self._head

    def give_up(self, exchange: Exchange) -> bool:
        """Forget an exchange whose outcome nobody wants. False when it has ended already, which is no matter."""
        if not exchange.end():
            return False
        self._active -= 1
        if exchange.connection is not None:
            exchange.connection.discard()
        else:
            self._waiting.remove(exchange)
        return True

    def finish(self, exchange: Exchange, outcome: Outcome, now: float) -> None:
        """Report an exchange's outcome, unless it was reported or given up before."""
        if exchange.end():
            self._active -= 1
            exchange.conclude(outcome, now - exchange.asked_at)

    def sweep(self, now: float) -> None:
        """Act on deadlines that have passed."""
        for exchange in self._under_way():
            if exchange.deadline <= now:
                self._end(exchange, RemoteTimeout("timeout", "the remote did not answer in time"))
        for connection in [connection for connection in self._idle if connection.idle_deadline <= now]:
            connection.discard()

    def known_head(self, data: bytes) -> KnownReplyHead | None:
        """Return the head that a reply begins with, if it was seen before."""
        recent = self._recent_head
        if recent is None or not data.startswith(recent.text):
            recent = self._known_heads.get(data[: data.find(EMPTY_LINE) + 4])
            if recent is not None:
                self._recent_head = recent
        return recent

    def remember(self, head: KnownReplyHead) -> None:
        """Know a head when it comes again."""
        if len(self._known_heads) >= KNOWN_HEADS_MAX:
            self._known_heads.clear()  # a remote's Date makes new ones each second; the old are of no use
        self._known_heads[head.text] = self._recent_head = head

    async def close(self) -> None:
        """Close every connection. Exchanges that still run end as unreachable."""
        for dial in tuple(self._dials):
            dial.cancel()
        for exchange in self._under_way():
            self._end(exchange, RemoteUnreachable("closed", "the service is ending"))
        for connection in tuple(self._idle):
            connection.discard()
        await self._connector.close()

    def _under_way(self) -> list[Exchange]:
        """List the requests without an outcome. Those that have a connection were there first."""
        exchanges = [connection.exchange for connection in self._connections]
        return [*(exchange for exchange in exchanges if exchange is not None), *self._waiting]

    def _end(self, exchange: Exchange, failure: RemoteError) -> None:
        if self.give_up(exchange):  # which what another one's outcome set off may have done before
            exchange.conclude(failure, monotonic() - exchange.asked_at)

    # The pool

    def admit(self, connection: RemoteConnection) -> None:
        """Take in a connection that was opened."""
        self._connections[connection] = None
        self.release(connection)

    def release(self, connection: RemoteConnection) -> None:
        """Take back a connection after a complete reply: to the next request in line, else to the pool."""
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def write_with_others(self, connection: RemoteConnection) -> None:
        """Have a connection write its request when this turn of the loop is over."""
        if not self._unwritten:
            self._loop.call_soon(self._write_all)
        self._unwritten.append(connection)

    def _write_all(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        for connection in unwritten:
            connection.write()

    def forget(self, connection: RemoteConnection) -> None:
        """A connection is gone. Its place goes to the requests in line."""
        del self._connections[connection]
        if connection in self._idle:
            self._idle.remove(connection)
        self._dial_for_waiting()

    def _dial_for_waiting(self) -> None:
        while len(self._waiting) > self._dialling and self.open_count < self._limits.remote_connections:
            self._dial()

    def _dial(self) -> None:
        self._dialling += 1
        dial = self._loop.create_task(self._dial_once())
        self._dials.add(dial)
        dial.add_done_callback(self._note_dial_end)

    def _note_dial_end(self, dial: asyncio.Task[None]) -> None:
        self._dials.discard(dial)
        if dial.cancelled():  # perhaps before its first step, so that it cannot count itself
            self._dialling -= 1

    async def _dial_once(self) -> None:
        connection: RemoteConnection | None = None
        failure: RemoteError | None = None
        try:
            async with asyncio.timeout(self._timeouts.connect):
                dialled = await self._connector.connect(self._target, [], aiohttp.ClientTimeout())
            if dialled.closed or dialled.protocol is None or dialled.protocol.should_close:
                # It ended, or spoke before it was asked, while aiohttp still had it: we would never hear of that.
                dialled.close()
                failure = lost_before_reply(None)
            else:
                connection = RemoteConnection(self, dialled)
        except Exception as error:  # noqa: BLE001 - whatever it was, the log gets it, and somebody waits to be told
            failure = explain_dial(error)
        self._dialling -= 1
        if connection is not None:
            self.admit(connection)
            return
        if self._waiting:
            # Whoever waited longest is told: its connection, or one just like it, could not be had.
            assert failure is not None
            self.finish(self._waiting.popleft(), failure, monotonic())
            self._dial_for_waiting()


class RemoteConnection:
    """One connection to the remote, with at most one exchange on it.

    An `asyncio.Protocol` in all but name, as `http1.connection.Connection` is, and for the same reason.
    """

    __slots__ = ("_dialled", "_in_crowd", "_remote", "_reply", "_unwritten", "exchange", "idle_deadline", "transport")

    def __init__(self, remote: Remote, dialled: DialledConnection) -> None:
        self._remote = remote
        self._dialled = dialled
        self.exchange: Exchange | None = None
        self._in_crowd = False  # whether the last request was one of many
        self._unwritten = b""  # that request, until it is written
        self._reply: ReplyParser | None = None  # made when a reply needs more than the short way
        assert dialled.transport is not None
        self.transport: asyncio.Transport = dialled.transport
        self.transport.set_protocol(cast("asyncio.Protocol", self))
        self.idle_deadline = monotonic() + remote.idle_s

    def send(self, exchange: Exchange) -> None:
        """Write one request, whole: at once, or with many others in a moment."""
        self.exchange = exchange
        exchange.connection = self
        body = exchange.body
        request = b"".join((self._remote.head(), exchange.lines, end_of_head(len(body)), body))
        in_crowd = self._remote.active_count >= CROWD
        if in_crowd is not self._in_crowd:
            self._in_crowd = in_crowd
            # What is within the limit uvloop writes when its next turn ends, among the answers to clients.
            self.transport.set_write_buffer_limits(0 if in_crowd else None)
        if in_crowd:
            self._unwritten = request
            self._remote.write_with_others(self)
        else:
            self.transport.write(request)

    def write(self) -> None:
        """Write the request that was kept until now, unless the connection has ended since."""
        request, self._unwritten = self._unwritten, b""
        if not self.transport.is_closing():
            self.transport.write(request)

    def discard(self) -> None:
        """Close for good, whatever state it is in. What still arrives is nobody's."""
        self.exchange = None
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.discard()  # nobody asked: a late 408, a second reply. The next exchange must not get it.
            return
        reply = self._reply
        if reply is None:
            # The short way: a head that was seen before, byte for byte, and exactly the body that it announces.
            known = self._remote.known_head(data)
            if known is not None and len(data) == len(known.text) + known.body_size:
                self._complete(exchange, data[len(known.text) :], known.idle_s)
                return
            reply = self._reply = ReplyParser(self._remote.reply_bytes_max)
        try:
            complete = reply.feed(data)
        except RemoteError as error:
            self._fail(exchange, error)
            return
        if complete:
            if reply.remembered_head:
                self._remote.remember(KnownReplyHead(reply.remembered_head, reply.body_size, self._idle_s(reply)))
            self._conclude(exchange, reply, reusable=reply.keep_alive)

    def eof_received(self) -> None:
        """The transport closes itself, which `connection_lost` acts on."""

    def pause_writing(self) -> None:
        """The remote does not read: the exchange's deadline covers that."""

    def resume_writing(self) -> None:
        """It reads again."""

    def connection_lost(self, error: Exception | None) -> None:
        if self._dialled.protocol is not None:
            # aiohttp's own protocol, which was put aside: its connector waits for it to hear that all is over.
            self._dialled.protocol.connection_lost(None)
        self._dialled.close()
        self._remote.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        reply = self._reply
        if reply is None:
            failure = lost_before_reply(error)
        elif error is None and reply.ends_with_connection:
            self.exchange = exchange
            self._conclude(exchange, reply, reusable=False)
            return
        else:
            failure = reply.cut_short()
            reply.close()
        failure.__cause__ = error
        self._remote.finish(exchange, failure, monotonic())

    def _idle_s(self, reply: ReplyParser) -> float:
        announced = reply.keep_alive_timeout_s
        return self._remote.idle_s if announced is None else min(self._remote.idle_s, announced - 1)

    def _conclude(self, exchange: Exchange, reply: ReplyParser, *, reusable: bool) -> None:
        outcome: Outcome
        if reply.status != 200:
            outcome = RemoteStatus(reply.status, reply.retry_after, b"" if reply.encoded else reply.body)
        elif reply.encoded:
            outcome = RemoteInvalid("bad_encoding", "the reply is compressed, which was not asked for")
        else:
            outcome = reply.body
        self._complete(exchange, outcome, self._idle_s(reply) if reusable else 0)

    def _complete(self, exchange: Exchange, outcome: Outcome, idle_s: float) -> None:
        """End the exchange with its whole reply, and keep the connection when it can be used again."""
        self.exchange = None
        if self._reply is not None:
            self._reply.close()
            self._reply = None
        now = monotonic()
        transport = self.transport
        is_written = not self._unwritten and not transport.get_write_buffer_size()
        if idle_s > 0 and is_written and not transport.is_closing():
            self.idle_deadline = now + idle_s
            self._remote.release(self)
        else:
            transport.abort()
        self._remote.finish(exchange, outcome, now)

    def _fail(self, exchange: Exchange, error: RemoteError) -> None:
        if self._reply is not None:
            self._reply.close()
        self.discard()
        self._remote.finish(exchange, error, monotonic())


def request_head(url: str, user_agent: str) -> bytes:
    """Write the part of a request's head that never changes (contract §2), up to Content-Type."""
    target = URL(url, encoded=True)
    host = target.host_port_subcomponent or ""
    lines = (
        f"POST {target.raw_path_qs} HTTP/1.1",
        f"Host: {host}",
        f"User-Agent: {user_agent}",
        "Content-Type: application/json",
        "Accept: application/json",
        "Accept-Encoding: identity",
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def explain_dial(error: Exception) -> RemoteError:
    """Say why no connection could be opened, without an address. The cause is chained for the log."""
    failure: RemoteError
    match error:
        case aiohttp.ClientConnectorDNSError():
            failure = RemoteUnreachable("dns", "the remote's name could not be resolved")
        case aiohttp.ClientConnectorCertificateError():
            failure = RemoteUnreachable("tls_verify", "the remote's TLS certificate could not be verified")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorError(os_error=ConnectionResetError()):
            # A reset is no answer to a TCP handshake: it was the one of TLS that it ended.
            failure = RemoteUnreachable("tls", "the TLS handshake with the remote failed")
        case TimeoutError() | aiohttp.ClientConnectorError(os_error=TimeoutError()):
            failure = RemoteTimeout("connect_timeout", "connecting to the remote took too long")
        case OSError(errno=number) if number in _EXHAUSTED:
            failure = RemoteOverloaded("exhausted", "this machine has no connection to spare")
        case ConnectionRefusedError() | OSError(errno=errno.ECONNREFUSED):
            failure = RemoteUnreachable("refused", "the remote refused the connection")
        case _:
            failure = RemoteUnreachable("unreachable", "the remote could not be reached")
    failure.__cause__ = error
    return failure
