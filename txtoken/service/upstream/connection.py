"""One connection to the remote, with at most one exchange on it. Knows its pool only as `Pool`.

An exchange on it is in one of two states. *Unwritten*: the kernel has no byte of it. It gets no outcome here; if the connection
ends, it moves to another one. *Written*: the kernel has at least one byte. It is never sent again (a login is not idempotent,
RFC 9110 §9.2.2), and it succeeds only with a reply of which no byte arrived before the kernel had the last byte of the request
(contract §2).
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from txtoken.errors import RemoteError, RemoteInvalid, RemoteStatus, RemoteUnreachable
from txtoken.http1.messages import end_of_head
from txtoken.service.upstream.dial import Opened
from txtoken.service.upstream.exchange import Exchange, Outcome
from txtoken.service.upstream.reply import KnownReplyHead, KnownReplyHeads, ReplyParser, lost_before_reply
from txtoken.settings import RemoteSettings

# A longer reply waits for its turn: reading, checking and signing 128 KiB of the densest JSON takes 10 ms, and 64 clients with
# such replies made all others wait for 7 s (scripts/withstand, "remote: dense").
LONG_BYTES: Final = 4 * 1024


class Pool:
    """What a connection needs of its pool: where it reports, and what all connections share.

    `in_turn` calls a function that may take milliseconds, after other clients had their turns.
    """

    __slots__ = ("in_turn", "known_heads", "settings")

    def __init__(self, settings: RemoteSettings, in_turn: Callable[[Callable[[], object]], object]) -> None:
        self.settings = settings
        self.in_turn = in_turn
        self.known_heads = KnownReplyHeads()

    def conclude(self, exchange: Exchange, outcome: Outcome, now: float, free: RemoteConnection | None) -> None:
        """Conclude an exchange, unless it is over. `free` is its connection if that can carry the next one."""
        raise NotImplementedError

    def forget(self, connection: RemoteConnection) -> None:
        """Forget a connection that has ended. Its `unwritten` exchange moves to another one."""
        raise NotImplementedError


class RemoteConnection:
    """One connection to the remote.

    An `asyncio.Protocol` without the base class, as `http1.connection.Connection`, and for the same reason.
    """

    __slots__ = (
        "_below",
        "_came_early",
        "_is_answered",
        "_opened",
        "_pool",
        "_reply",
        "_what_came",
        "descriptor",
        "exchange",
        "idle_deadline",
        "is_fresh",
        "number",
        "transport",
        "unwritten",
    )

    def __init__(self, pool: Pool, number: int, opened: Opened) -> None:
        self._pool = pool
        self.number = number  # the number of the dial that opened it
        self._opened = opened
        self._below = opened.below
        self.unwritten: Exchange | None = None
        self.exchange: Exchange | None = None  # that is written, at least in part
        self._came_early = False  # a byte of the reply arrived before the kernel had the last byte of the request
        self._is_answered = False  # the exchange has a long reply, which waits for its turn
        self._reply: ReplyParser | None = None  # for a reply that cannot use the fast path
        self.is_fresh = True  # no reply has arrived on it yet
        self.transport: asyncio.Transport = opened.transport
        self.transport.set_protocol(cast("asyncio.Protocol", self))
        self.descriptor: int = opened.descriptor
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        self._what_came = poll.poll
        self.idle_deadline = monotonic() + pool.settings.idle_s

    def take(self, exchange: Exchange) -> None:
        """Take the next exchange. `write` writes it."""
        exchange.connection_number = self.number
        self.unwritten = exchange

    def is_silent(self) -> bool:
        """Whether the socket has no unread data and no unread end. Makes a system call."""
        return not self._what_came(0)

    def is_writable(self) -> bool:
        """Whether there is a request to write, and the transport is open."""
        return self.unwritten is not None and not self.transport.is_closing()

    def write(self, head: bytes) -> None:
        """Give the unwritten request to the kernel, as much as it accepts.

        Call it when the connection is writable and silent: data that arrives before the request was written is not its reply.
        """
        exchange = self.unwritten
        assert exchange is not None
        transport = self.transport
        body = exchange.body
        transport.write(b"".join((head, exchange.lines, end_of_head(len(body)), body)))
        if not transport.is_closing():  # else the kernel accepted no byte: the remote has reset the connection
            self.unwritten = None
            self.exchange = exchange

    def abort(self) -> None:
        """Close at once, in any state. Later data is ignored, and the exchange gets no outcome from here."""
        self.exchange = self.unwritten = None
        self._drop_reply()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.transport.abort()  # unexpected: a late 408, a second reply. The next exchange must not get it.
            return
        if self._is_answered:
            self.transport.abort()  # for the same reason
            return
        reply = self._reply
        is_early = self._unsent() > 0
        if reply is None:
            if not is_early:
                # The fast path: a known head, byte for byte, and exactly the body that it announces.
                known = self._pool.known_heads.find(data)
                if known is not None and len(data) == len(known.text) + known.body_size:
                    self._conclude(exchange, data[len(known.text) :], known.idle_s)
                    return
            reply = self._reply = ReplyParser(self._pool.settings.reply_bytes, self._pool.settings.success_statuses)
        self._came_early |= is_early
        try:
            complete = reply.feed(data)
        except RemoteError as error:
            self.abort()
            self._pool.conclude(exchange, error, monotonic(), None)
            return
        if complete:
            if reply.remembered_head and not self._came_early:
                self._pool.known_heads.remember(
                    KnownReplyHead(reply.remembered_head, reply.body_size, self._idle_s(reply))
                )
            self._accept(exchange, reply, reusable=reply.keep_alive)
        elif reply.is_between:
            self._came_early = False  # these were interim replies: the final one will follow

    def eof_received(self) -> None:
        """The transport closes itself, which `connection_lost` acts on."""
        if self.exchange is None:
            self.transport.abort()

    def pause_writing(self) -> None:
        """The remote does not read. The exchange's deadline covers this."""

    def resume_writing(self) -> None:
        """The remote reads again."""

    def connection_lost(self, error: Exception | None) -> None:
        self._opened.close()
        self._pool.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None or self._is_answered:
            return
        reply = self._reply
        if reply is None:
            failure = lost_before_reply(error)
        elif error is None and reply.ends_with_connection:
            self._accept(exchange, reply, reusable=False)
            return
        else:
            failure = reply.cut_short()
            self._drop_reply()
        failure.__cause__ = error
        self._pool.conclude(exchange, failure, monotonic(), None)

    def _unsent(self) -> int:
        """Return how many bytes the kernel has not accepted yet, in any layer."""
        size = self.transport.get_write_buffer_size()
        for below in self._below:
            size += below.get_write_buffer_size()
        return size

    def _idle_s(self, reply: ReplyParser) -> float:
        announced = reply.keep_alive_timeout_s
        return self._pool.settings.idle_s if announced is None else min(self._pool.settings.idle_s, announced - 1)

    def _accept(self, exchange: Exchange, reply: ReplyParser, *, reusable: bool) -> None:
        """Conclude an exchange with a complete reply."""
        self._drop_reply()
        outcome: Outcome
        if reply.status not in self._pool.settings.success_statuses:
            if reply.status == 407 and self._pool.settings.is_asked_through_proxy:
                self._conclude(exchange, RemoteUnreachable("proxy", "the proxy rejected the credentials"), 0)
                return
            # A remote may reject a request before it has read all of it, for its size perhaps: that is its answer.
            outcome = RemoteStatus(reply.status, reply.retry_after, b"" if reply.encoded else reply.body)
        elif self._came_early:
            outcome = RemoteUnreachable("early", "the remote answered before the whole request was sent")
        elif reply.encoded:
            outcome = RemoteInvalid("bad_encoding", "the reply is compressed, although the request did not allow it")
        else:
            outcome = reply.body
        self._conclude(exchange, outcome, self._idle_s(reply) if reusable and not self._came_early else 0)

    def _conclude(self, exchange: Exchange, outcome: Outcome, idle_s: float) -> None:
        """Report an outcome, at once or in turn. The connection may carry the next exchange if it may idle."""
        assert self.unwritten is None, "an outcome for a request that was not written"
        now = monotonic()
        if isinstance(outcome, bytes) and len(outcome) > LONG_BYTES:
            self._conclude_in_turn(exchange, outcome, idle_s, now)
        else:
            self._conclude_now(exchange, outcome, idle_s, now)

    def _conclude_in_turn(self, exchange: Exchange, outcome: Outcome, idle_s: float, now: float) -> None:
        # A method of its own: mypyc makes an object for the variables of a function with a lambda, even if it does not get there.
        # The connection stays busy until then, so there are never more long replies than connections.
        self._is_answered = True
        self._pool.in_turn(lambda: self._conclude_now(exchange, outcome, idle_s, now))

    def _conclude_now(self, exchange: Exchange, outcome: Outcome, idle_s: float, now: float) -> None:
        self._is_answered = False
        free: RemoteConnection | None = None
        if self.exchange is exchange:  # else it was cancelled, or the connection ended, while the reply waited
            self.exchange = None
            if idle_s > 0 and not self.transport.is_closing():
                self.is_fresh = False
                self.idle_deadline = now + idle_s
                free = self
            else:
                self.transport.abort()
        self._pool.conclude(exchange, outcome, now, free)

    def _drop_reply(self) -> None:
        if self._reply is not None:
            self._reply.close()
            self._reply = None


def silent(connections: list[RemoteConnection]) -> list[RemoteConnection]:
    """Select the connections without unread data: one system call, and 0.1 µs for each."""
    if len(connections) == 1:
        return connections if connections[0].is_silent() else []
    poll = select.poll()
    for connection in connections:
        poll.register(connection.descriptor, select.POLLIN)
    loud = {descriptor for descriptor, _ in poll.poll(0)}
    return [connection for connection in connections if connection.descriptor not in loud]
