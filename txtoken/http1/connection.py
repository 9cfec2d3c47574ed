"""One client's connection: order, pipelining, keep-alive, back-pressure, deadlines, the way it ends. Knows no routes.

Requests are answered one after the other: while an answer is on its way, the bytes behind its request stay unparsed and
nothing more is read. That keeps pipelined answers in order, runs a client's logins in the order it sent them (RFC 9112
§9.3.2: POST is not safe), and bounds what one client can make this process hold.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum, auto
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from txtoken.errors import ProtocolError
from txtoken.http1.heads import KnownHead
from txtoken.http1.messages import (
    CLOSE_LINE,
    CONTINUE,
    KEEP_ALIVE_LINE,
    UNIX,
    UNKNOWN,
    Client,
    Head,
    Peer,
    Pending,
    Request,
    Response,
    render,
)
from txtoken.http1.parser import RequestParser, Stage
from txtoken.http1.proxies import plain_address

if TYPE_CHECKING:
    from txtoken.http1.server import Server

# How a connection is closed on a client that may still be sending: shut down writing, read on for a while, then close.
# Closing at once would make the kernel send a reset, and the reset would swallow the answer (RFC 9112 §9.6).
LINGER_S: Final = 1.0
LINGER_BYTES_MAX: Final = 4 * 1024 * 1024
CLOSE_S: Final = 3.0  # that a transport gets to close; longer than what the server gives TLS for it

# Answers that leave with one write. After so many it is asked whether the client reads them: thousands of small requests
# arrive with one read, and all their answers would be held for a client that never reads.
ANSWERS_A_WRITE_MAX: Final = 64


# For the log alone: the client went away before its answer was there. 499 is what others call that, too; it is never sent.
GIVEN_UP: Final = Response(499, b"", b"", error="given_up")


class Phase(Enum):
    """What the connection is doing, which decides what its deadline means."""

    HELD = auto()  # accepted beyond `limits.connections`: nothing is answered until another one ends
    IDLE = auto()  # between requests
    RESTING = auto()  # the same, for a while already: nothing is kept for a next request
    HEAD = auto()  # a head has begun to arrive
    BODY = auto()  # a body has begun to arrive
    ANSWERING = auto()  # a handler works on an answer; whatever it waits for has a deadline of its own
    WRITING = auto()  # the client does not read what it was sent
    LINGERING = auto()  # the last answer was sent; what still arrives is thrown away
    CLOSING = auto()  # the transport was told to close, and may take a while: TLS has to be ended by both sides
    CLOSED = auto()


# Each found once: finding a member through its class takes longer than what is done with it.
_HELD: Final = Phase.HELD
_IDLE: Final = Phase.IDLE
_RESTING: Final = Phase.RESTING
_HEAD: Final = Phase.HEAD
_BODY: Final = Phase.BODY
_ANSWERING: Final = Phase.ANSWERING
_WRITING: Final = Phase.WRITING
_LINGERING: Final = Phase.LINGERING
_CLOSING: Final = Phase.CLOSING
_CLOSED: Final = Phase.CLOSED


class Connection(Client):
    """One client, from its first byte to the last. `deadline` is loop time; the server's sweep acts on it.

    It is an `asyncio.Protocol` in all but name: with that class as its base mypyc could not make it a native one, and a
    login takes 1 µs more (bench/micro).
    """

    __slots__ = (
        "_client",
        "_client_ends",
        "_close_after",
        "_expected",
        "_lingered",
        "_more_output",
        "_output",
        "_parser",
        "_pending",
        "_reading",
        "_received_at",
        "_request",
        "_server",
        "_transport",
        "_writable",
        "deadline",
        "phase",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport
        self._parser = RequestParser(server.limits, server.known_heads)
        # The next request's head, most likely. While it is set, the parser has nothing, and is not looked at: with 1 000
        # clients at once, what is not touched need not come back into the processor's cache.
        self._expected: KnownHead | None = None
        self._request: Request | None = None  # the one being answered
        self._pending: Pending | None = None  # its answer, when it has to be waited for
        self._output = b""  # the response that leaves with the next write
        self._more_output: list[bytes] | None = None  # those behind it, where a client pipelines
        self._reading = True
        self._writable = True
        self._close_after = False  # the next response is the last
        self._client_ends = False  # the client has said that it sends no more requests, and sent the last
        self._lingered = 0  # bytes thrown away while lingering
        self._received_at = 0.0  # of the current request, by perf_counter
        self._client = ""
        self.deadline = inf
        self.phase = _IDLE

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._enter_idle()
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        phase = self.phase
        if phase is _LINGERING:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES_MAX:
                self._close()
            return
        if phase is _CLOSING:
            return
        if phase is _ANSWERING or phase is _WRITING or phase is _HELD:
            # Pausing here and not with every request that waits saves two system calls (epoll_ctl) of each login. And
            # asyncio before 3.12 and uvloop begin to read behind `connection_made`, whatever was asked for in it.
            self._expected = None
            self._parser.hold(data)
            self._stop_reading()
            return
        expected = self._expected
        if expected is not None:
            known = expected.read(data)
            if known is not None:
                self._answer(known)
                return
            self._expected = None
        try:
            request = self._parser.feed(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        if request is None:
            self._await_more()
        else:
            self._answer(request)

    def eof_received(self) -> bool:
        """The client sends no more: whoever waits for nothing any more is let go, after what was written."""
        if self.phase is _HEAD or self.phase is _BODY:
            self._refuse(ProtocolError(400, "incomplete_request", "the request ended before it was complete"))
        elif self.phase is _WRITING:
            self._close_after = True
            return True
        # While an answer is on its way: a client that closed and one that shut down its sending side look alike. Nobody
        # may be there to take the answer, so it is given up (contract §2); connection_lost cancels it.
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.phase = _CLOSED
        self.deadline = inf
        self._cancel()
        self._expected = None
        self._parser.close()
        self._server.forget(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self.phase is _WRITING:
            self._go_on()

    # What the server calls

    def hold_back(self) -> None:
        """There is no place for this connection: answer nothing until `start`."""
        self.phase = _HELD
        self.deadline = inf

    def start(self) -> None:
        """A place is free now for a connection that was held."""
        self._go_on()

    def expire(self) -> None:
        """The deadline has passed."""
        idle_s, rest_after_s = self._server.timeouts.idle, self._server.rest_after_s
        if self.phase is _IDLE and idle_s > rest_after_s and not self._close_after:
            self.phase = _RESTING
            self.deadline += idle_s - rest_after_s
            self._expected = None
            self._parser.rest()
        elif self.phase is _HEAD:
            self._refuse(ProtocolError(408, "head_timeout", "the request's header section did not arrive in time"))
        elif self.phase is _BODY:
            self._refuse(ProtocolError(408, "body_timeout", "the request's body did not arrive in time"))
        elif self.phase is _CLOSING or self._transport.get_write_buffer_size():
            self.deadline = inf
            self._transport.abort()  # closing would wait for a client that does not read
        else:
            self._close()

    def drain(self, idle_deadline: float) -> None:
        """No request follows the one that runs. A client that was answered just now has until `idle_deadline` (loop time)
        to send its last.
        """
        self._close_after = True
        if self.phase is _IDLE:
            self.deadline = min(self.deadline, idle_deadline)
        elif self.phase is _RESTING or self.phase is _HELD:
            self._close()

    def abort(self) -> None:
        """End now, without a word: the client may see a reset."""
        self._transport.abort()

    # Answering

    def _answer(self, request: Request) -> None:
        """Answer this request and those behind it, until one has to wait or there are no more. Writes once."""
        server = self._server
        while True:
            self._request = request
            if server.access_log is not None or server.tally is not None:
                self._received_at = perf_counter()
            try:
                pending = server.router.find(request.head).handle(request, self)
            except Exception as error:  # noqa: BLE001 - a fault of ours must not take the connection's order with it
                pending = None
                response = server.router.failure(error)
                if self._is_waiting():
                    self.respond(response)
            if self._is_waiting():
                self._pending = pending
                self._flush()
                self.phase = _ANSWERING
                self.deadline = inf
                return
            if self._close_after:
                break
            if self._expected is not None:
                break  # this request was all there is
            if self._more_output is not None and len(self._more_output) + 1 >= ANSWERS_A_WRITE_MAX:
                self._flush()
                if not self._writable:
                    break
            try:
                following = self._parser.next_request()
            except ProtocolError as error:
                self._refuse(error)
                return
            if following is None:
                break
            request = following
        self._flush()
        self._settle()

    def _is_waiting(self) -> bool:
        return self._request is not None

    def respond(self, response: Response) -> None:
        """Take the answer to the current request. Called by its handler, at once or later, and exactly once."""
        request = self._request
        assert request is not None, "a request is answered once"
        self._request = None
        head = request.head
        server = self._server
        if self._close_after or not head.keep_alive:
            self._close_after = True
            self._client_ends = not head.keep_alive
            line = CLOSE_LINE
        else:
            line = KEEP_ALIVE_LINE if head.minor_version == 0 else b""
        self._put(render(response, server.clock.date_line, line, with_body=head.method != b"HEAD"))
        if server.access_log is not None or server.tally is not None:
            self._tell(head, response, self._elapsed_s())
        if self._pending is not None:
            self._pending = None
            self._flush()
            self._settle()

    def peer(self) -> Peer:
        """Say who is at the other end."""
        is_encrypted = self._transport.get_extra_info("sslcontext") is not None
        return Peer(self._client or self._name_client(), "https" if is_encrypted else "http")

    def _settle(self) -> None:
        """All that could be answered is answered and written: go on with whatever comes next."""
        if self._close_after:
            self._linger()
        elif self._writable:
            if self._expected is not None:
                self._enter_idle()
            else:
                self._go_on()
        else:
            # A client that does not read is not read from. It has `timeouts.idle` to change its mind.
            self._stop_reading()
            self._enter(_WRITING, self._server.timeouts.idle)

    def _go_on(self) -> None:
        """Take up what arrived while an answer was waited for, or wait for more."""
        self._enter_idle()
        if self._close_after:
            self._linger()
            return
        try:
            request = self._parser.next_request()
        except ProtocolError as error:
            self._refuse(error)
            return
        if request is not None:
            self._answer(request)
            return
        self._expected = self._parser.expected
        self._await_more()
        if not self._reading:
            self._resume_reading()

    def _refuse(self, error: ProtocolError) -> None:
        """Answer what broke the rules, behind the answers of earlier requests, and close."""
        server = self._server
        response = server.router.refusal(error)
        self._put(render(response, server.clock.date_line, CLOSE_LINE))
        self._tell(None, response, 0.0)
        self._flush()
        self._linger()

    def _tell(self, head: Head | None, response: Response, elapsed_s: float) -> None:
        """Have a response counted and logged, by who wants to know of it."""
        tally = self._server.tally
        if tally is not None:
            tally.add(head, response, elapsed_s)
        if response.is_logged:
            self._log(head, response, elapsed_s)

    def _log(self, head: Head | None, response: Response, elapsed_s: float) -> None:
        access_log = self._server.access_log
        if access_log is not None:
            access_log.add(head, response, elapsed_s, self._client or self._name_client())

    def _elapsed_s(self) -> float:
        """How long the current request has taken; 0 where nobody asked for it when it came."""
        received_at, self._received_at = self._received_at, 0.0
        return perf_counter() - received_at if received_at else 0.0

    def _put(self, response: bytes) -> None:
        # Nearly always there is one. A list for it would be one more object of each connection: 60 bytes of an idle one.
        if not self._output:
            self._output = response
        elif self._more_output is None:
            self._more_output = [response]
        else:
            self._more_output.append(response)

    def _flush(self) -> None:
        output = self._output
        if output:
            self._output = b""
            if self._more_output is not None:
                output = b"".join((output, *self._more_output))
                self._more_output = None
            self._transport.write(output)

    # Waiting and ending

    def _enter(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self.deadline = self._server.time() + seconds

    def _enter_idle(self) -> None:
        self._enter(_IDLE, self._server.rest_after_s)

    def _await_more(self) -> None:
        """Set the deadline of what is missing. One that runs already is left alone: it covers the whole part."""
        stage = self._parser.stage
        if stage is Stage.IDLE:
            return
        if stage is Stage.HEAD:
            if self.phase is not _HEAD:
                self._enter(_HEAD, self._server.timeouts.head)
        elif self.phase is not _BODY:
            self._enter(_BODY, self._server.timeouts.body)
            if self._parser.expects_continue:
                self._transport.write(CONTINUE)

    def _linger(self) -> None:
        """Say that nothing more will come, and give the client time to take what was said."""
        transport = self._transport
        if self.phase is _CLOSED or self.phase is _LINGERING or transport.is_closing():
            return
        unread = transport.get_write_buffer_size() > 0
        self._enter(_LINGERING, self._server.timeouts.idle if unread else LINGER_S)
        self._cancel()
        if transport.can_write_eof():
            with contextlib.suppress(OSError):  # reset by the client just now, which asyncio's own loop tells
                transport.write_eof()
            self._resume_reading()
        elif self._client_ends:
            self._close()
        else:
            # Over TLS writing cannot be shut down alone, and the loops reset a client that sends behind a close.
            self._resume_reading()

    def _close(self) -> None:
        """Close, once: asyncio's own TLS transport is of no use any more when it is told so twice."""
        self._enter(_CLOSING, CLOSE_S)
        self._transport.close()

    def _cancel(self) -> None:
        request, self._request = self._request, None
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
            if request is not None:
                self._log(request.head, GIVEN_UP, self._elapsed_s())

    def _stop_reading(self) -> None:
        self._reading = False
        self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _name_client(self) -> str:
        name = self._transport.get_extra_info("peername")
        if name is None:
            self._client = UNKNOWN
        else:
            self._client = (
                plain_address(name[0]) if isinstance(name, tuple) else UNIX
            )  # whose name is a text, mostly empty
        return self._client
