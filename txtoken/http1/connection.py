"""One client's connection: order, pipelining, keep-alive, back-pressure, deadlines, the way it ends. Knows no routes.

Requests are answered one after the other: while an answer is on its way, the bytes after its request stay unparsed. That
keeps pipelined answers in order, and runs a client's logins in the order it sent them (RFC 9112 §9.3.2: POST is not safe).
Reading goes on meanwhile, up to a bound: a client that has left is seen only by who reads.
"""

from __future__ import annotations

import asyncio
import contextlib
from math import inf
from time import perf_counter
from typing import Final, cast

from txtoken.errors import ProtocolError
from txtoken.http1.channel import UNCOUNTED_BYTES_MAX, Channel
from txtoken.http1.heads import KnownHead
from txtoken.http1.messages import (
    CLOSE_LINE,
    CONTINUE,
    KEEP_ALIVE_LINE,
    Pending,
    Request,
    Response,
    render,
)
from txtoken.http1.parser import RequestParser, Stage
from txtoken.http1.phase import Phase
from txtoken.http1.serving import Serving

# How a connection is closed on a client that may still be sending: shut down writing, read on for a while, then close.
# Closing at once would make the kernel send a reset, and the reset would swallow the answer (RFC 9112 §9.6).
LINGER_S: Final = 1.0
LINGER_BYTES_MAX: Final = 4 * 1024 * 1024  # whoever was refused while sending a body reads the answer when it was sent
LINGER_UNREAD_BYTES_MAX: Final = 64 * 1024  # after a request whose body was not waited for: most send none at all
CLOSE_S: Final = 3.0  # that a transport gets to close; longer than what the server gives TLS for it

# Answers that leave with one write, where it is not the end of the client's turn before. After so much it is asked whether the
# client reads them: thousands of requests arrive with one read, and all their answers would be held for one that never reads.
ANSWER_BYTES_A_WRITE_MAX: Final = 64 * 1024

READ_AHEAD_BYTES_MAX: Final = 64 * 1024  # that a client may send on while its request is answered
# A larger request is answered when it is its client's turn: reading and checking what it holds may take milliseconds, and
# 300 clients with one each would keep all others waiting for a second.
LARGE_BYTES: Final = 4 * 1024

# For observers alone: the client went away before its answer was there, or does not read. 499 is what others call that, too.
GIVEN_UP: Final = Response(499, b"", b"", error="given_up")
SHED: Final = Response(499, b"", b"", error="buffered_bytes")


# Each found once: finding a member through its class takes longer than what is done with it.
_HELD: Final = Phase.HELD
_IDLE: Final = Phase.IDLE
_RESTING: Final = Phase.RESTING
_HEAD: Final = Phase.HEAD
_BODY: Final = Phase.BODY
_ANSWERING: Final = Phase.ANSWERING
_QUEUED: Final = Phase.QUEUED
_WRITING: Final = Phase.WRITING
_LINGERING: Final = Phase.LINGERING
_CLOSING: Final = Phase.CLOSING
_CLOSED: Final = Phase.CLOSED


class Connection(Channel):
    """One client, from its first byte to the last.

    It is an `asyncio.Protocol` in all but name: with that class as its base mypyc could not make it a native one, and a
    login takes 1 µs more (bench/micro).
    """

    __slots__ = (
        "_client_ends",
        "_close_after",
        "_expected",
        "_is_ending",
        "_lingered",
        "_parser",
        "_pending",
        "_received_at",
        "_request",
        "_saw_eof",
        "_writable",
    )

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self._parser = RequestParser(serving.limits, serving.known_heads, serving.waits_for_body)
        # The next request's head, most likely. While it is set, the parser has nothing, and is not looked at: with 1 000
        # clients at once, what is not touched need not come back into the processor's cache.
        self._expected: KnownHead | None = None
        self._request: Request | None = None  # the one being answered
        self._pending: Pending | None = None  # its answer, when it has to be waited for
        self._writable = True
        self._saw_eof = False  # the client has shut down its sending side
        self._is_ending = False  # nothing more is taken: what is here and needs no waiting is answered, and that is all
        self._close_after = False  # the next response is the last
        self._client_ends = False  # the client has said that it sends no more requests, and sent the last
        self._lingered = 0  # bytes thrown away while lingering
        self._received_at = 0.0  # of the current request, by perf_counter

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._enter_idle()
        self._serving.admit(self)

    def data_received(self, data: bytes) -> None:
        if self.phase is not _IDLE and self._put_aside(data):
            return
        expected = self._expected
        if expected is not None:
            known = expected.read(data)
            if known is not None:
                if len(data) > LARGE_BYTES:
                    self._set_aside(known)
                else:
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
            if self._parser.has_more and self.phase is _BODY:
                self._queue(self.deadline)  # a long chunked body
        elif len(request.body) + self._parser.head_weight > LARGE_BYTES:
            self._set_aside(request)
        elif self._take(request):
            self._queue()
            self._serving.buffers.shed()

    def _put_aside(self, data: bytes) -> bool:
        """Keep or drop what is not to be parsed now. False: it is."""
        phase = self.phase
        if phase is _LINGERING:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES_MAX:
                self._close()
            else:
                self._stop_reading()  # the loop would read megabytes on before anybody else has a turn
                self._resume_reading()
        elif phase is _ANSWERING or phase is _QUEUED or phase is _WRITING or phase is _HELD:
            # Pausing only when much has come, and not with every request that waits, saves two system calls (epoll_ctl) of
            # each login. And asyncio before 3.12 and uvloop begin to read after `connection_made`, whatever was asked for in it.
            self._expected = None
            self._parser.hold(data)
            self._count()
            self._bound_read_ahead()
            self._serving.buffers.shed()
        elif phase is not _CLOSING and phase is not _CLOSED:
            return False
        return True

    def eof_received(self) -> bool:
        """The client sends no more: whoever waits for nothing any more is let go, after what was written."""
        phase = self.phase
        if phase is _HEAD or phase is _BODY:
            self._refuse(_incomplete())
        elif phase is _QUEUED or phase is _WRITING:
            self._saw_eof = self._is_ending = True
            return True
        # While an answer is on its way: a client that closed and one that shut down its sending side look alike. Nobody
        # may be there to take the answer, so it is given up (contract §2); connection_lost cancels it.
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.phase = _CLOSED
        self.deadline = inf
        self._cancel()
        self._expected = None
        self._output = b""
        self._more_output = None
        self._parser.close()
        self._serving.forget(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self.phase is _WRITING:
            self._go_on()

    # What the server calls

    def hold_back(self) -> None:
        self.phase = _HELD
        self.deadline = inf

    def start(self) -> None:
        self._go_on()

    def expire(self) -> None:
        idle_s, rest_after_s = self._serving.timeouts.idle, self._serving.rest_after_s
        if self.phase is _IDLE and idle_s > rest_after_s and not self._close_after:
            self.phase = _RESTING
            self.deadline += idle_s - rest_after_s
            self._expected = None
            self._parser.rest()
        elif self.phase is _HEAD:
            self._refuse(ProtocolError(408, "head_timeout", "the request's header section did not arrive in time"))
        elif self.phase is _BODY or self.phase is _QUEUED:
            self._refuse(ProtocolError(408, "body_timeout", "the request's body did not arrive in time"))
        elif self.phase is _CLOSING or self._transport.get_write_buffer_size():
            self.deadline = inf
            self._transport.abort()  # closing would wait for a client that does not read
        else:
            self._close()

    def drain(self, idle_deadline: float) -> None:
        if self.phase is _QUEUED or self.phase is _WRITING:
            self._is_ending = True
            self._stop_reading()
            return
        self._close_after = True
        if self.phase is _IDLE:
            self.deadline = min(self.deadline, idle_deadline)
        elif self.phase is _RESTING or self.phase is _HELD:
            self._close()

    def abort(self) -> None:
        if self.phase is _QUEUED:
            self.phase = _CLOSING  # its turn may come before the news of its end
            self._output = b""
            self._more_output = None
        self._transport.abort()

    def idle_since(self) -> float:
        phase, timeouts = self.phase, self._serving.timeouts
        if phase is _IDLE:
            return self.deadline - self._serving.rest_after_s
        if phase is _RESTING or phase is _WRITING:
            return self.deadline - timeouts.idle
        if phase is _LINGERING or phase is _CLOSING:
            return self.deadline - max(timeouts.idle, CLOSE_S)  # it has its answer, or does not want it
        return inf

    def shed(self) -> None:
        if self._unread_bytes > UNCOUNTED_BYTES_MAX or self.phase in (_WRITING, _LINGERING, _CLOSING):
            # Nothing can be said to a client that does not read.
            if self._serving.observer is not None:
                self._serving.observer.note_unanswered(None, SHED, 0.0, self)
            self._parser.close()
            self._serving.buffers.count(self, 0)
            self.abort()
            return
        error = ProtocolError(503, "buffered_bytes", "the service holds too much for its clients")
        if self.phase is _QUEUED or self.phase is _ANSWERING:
            self._lingered = LINGER_BYTES_MAX - LINGER_UNREAD_BYTES_MAX  # it has sent one request after the other
        if self._request is None:
            self._refuse(error)
            return
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()
        self._close_after = True
        self.respond(self._serving.router.refusal(error))
        self._flush()
        self._linger()

    # Answering

    def take_turn(self) -> bool:
        if self.phase is not _QUEUED:
            return False  # it has ended meanwhile
        request = self._request  # a large one
        is_late = (
            request is None and self.deadline == inf
        )  # whatever comes now had not begun when the end was announced
        if request is None:
            try:
                request = self._parser.next_request()
            except ProtocolError as error:
                self._refuse(error)
                return False
        if request is not None:
            self.deadline = inf
            if self._is_ending:
                if (is_late or self._saw_eof) and self._serving.router.waits(request.head):
                    self._flush()
                    self._linger()  # nobody may be there to take that answer: the remote is not asked for it
                    return False
                self._close_after = not self._parser.has_more
            return self._take(request)
        if self._parser.has_more:
            return True
        self._flush()
        if self.deadline == inf:
            self._settle()
        else:
            self._await_rest()
        return False

    def _await_rest(self) -> None:
        """Wait for the rest of a body, until the deadline that it has."""
        if self._saw_eof:
            self._refuse(_incomplete())
            return
        self._close_after |= self._is_ending
        self.phase = _BODY
        self._count()
        self._resume_reading()

    def _take(self, request: Request) -> bool:
        if self._parser.leaves_body:
            self._close_after = True
            self._lingered = LINGER_BYTES_MAX - LINGER_UNREAD_BYTES_MAX
        return self._answer(request)

    def _answer(self, request: Request) -> bool:
        """Have a request answered. Returns whether others are here that may be answered now, in the connection's next turn."""
        serving = self._serving
        self._request = request
        if not self.has_asked:
            self.has_asked = True
            serving.room.note_asked(self)
        if serving.observer is not None:
            self._received_at = perf_counter()
        try:
            pending = serving.router.find(request.head).handle(request, self)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not take the connection's order with it
            pending = None
            response = serving.router.failure(error)
            if self._is_waiting():
                self.respond(response)
        if self._is_waiting():
            self._pending = pending
            self._flush()
            self.phase = _ANSWERING
            self.deadline = inf
            if (
                self.held_bytes
                or len(request.body) + self._parser.head_weight > UNCOUNTED_BYTES_MAX
                or self._parser.has_more
            ):
                self._count()
                self._bound_read_ahead()
            return False
        if self._expected is None and not self._close_after and self._parser.has_more:
            if self._unseen_bytes < ANSWER_BYTES_A_WRITE_MAX:
                return True
            self._flush()
            if self._writable:
                return True
        else:
            self._flush()
        self._settle()
        return False

    def _is_waiting(self) -> bool:
        return self._request is not None

    def respond(self, response: Response) -> None:
        """Take the answer to the current request. Called by its handler, at once or later, and exactly once."""
        request = self._request
        assert request is not None, "a request is answered once"
        self._request = None
        head = request.head
        serving = self._serving
        if self._close_after or not head.keep_alive:
            self._close_after = True
            self._client_ends = not head.keep_alive
            line = CLOSE_LINE
        else:
            line = KEEP_ALIVE_LINE if head.minor_version == 0 else b""
        self._put(render(response, serving.clock.date_line, line, with_body=head.method != b"HEAD"))
        observer = serving.observer
        if observer is not None:
            observer.note(head, response, self._elapsed_s(), self)
        if self._pending is not None:
            self._pending = None
            self._flush()
            self._settle()

    def _settle(self) -> None:
        """All that could be answered is answered and written: go on with whatever comes next."""
        if self._close_after:
            self._linger()
        elif not self._writable:
            # A client that does not read is not read from. It has `timeouts.idle` to change its mind.
            self._stop_reading()
            self._enter(_WRITING, self._serving.timeouts.idle)
            self._count()
        elif self._expected is not None:
            self._enter_idle()
            if self.held_bytes:
                self._count()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Take up what arrived while an answer was waited for, or wait for more."""
        if self._close_after:
            self._enter_idle()
            self._linger()
        elif self._parser.has_more:
            self._queue()
        elif self._is_ending:
            self._linger()
        else:
            self._enter_idle()
            self._expected = self._parser.expected
            self._resume_reading()
            self._await_more()

    def _set_aside(self, request: Request) -> None:
        """Let other clients have their turns before a large request is answered: that may take milliseconds."""
        self._request = request
        self._queue()
        self._serving.buffers.shed()

    def _queue(self, deadline: float = inf) -> None:
        """Let other clients have their turns before this one's next request. `deadline`: of a body of which more is here."""
        self.phase = _QUEUED
        self.deadline = deadline
        self._serving.turns.add(self)
        self._count()
        self._bound_read_ahead()

    def _refuse(self, error: ProtocolError) -> None:
        """Answer what broke the rules, after the answers of earlier requests, and close."""
        serving = self._serving
        response = serving.router.refusal(error)
        self._put(render(response, serving.clock.date_line, CLOSE_LINE))
        if serving.observer is not None:
            serving.observer.note(None, response, 0.0, self)
        self._flush()
        self._linger()

    def _elapsed_s(self) -> float:
        """How long the current request has taken; 0 where nobody asked for it when it came."""
        received_at, self._received_at = self._received_at, 0.0
        return perf_counter() - received_at if received_at else 0.0

    # What is held

    def _count(self) -> None:
        """Have what is held for this client counted."""
        held = self._parser.held_bytes + self._unread_bytes
        request = self._request
        if request is not None:
            held += len(request.body) + self._parser.head_weight
        if self.phase is not _CLOSED:
            self._serving.buffers.count(self, held)

    # Waiting and ending

    def _enter_idle(self) -> None:
        self._enter(_IDLE, self._serving.rest_after_s)

    def _await_more(self) -> None:
        """Set the deadline of what is missing. One that runs already is left alone: it covers the whole part."""
        stage = self._parser.stage
        if stage is Stage.HEAD:
            if self.phase is not _HEAD:
                self._enter(_HEAD, self._serving.timeouts.head)
        elif stage is Stage.BODY and self.phase is not _BODY:
            self._enter(_BODY, self._serving.timeouts.body)
            if self._parser.expects_continue:
                self._transport.write(CONTINUE)
        if stage is not Stage.IDLE:
            self._count()
            self._serving.buffers.shed()
        elif self.held_bytes:
            self._count()

    def _linger(self) -> None:
        """Say that nothing more will come, and give the client time to take what was said."""
        transport = self._transport
        if self.phase is _CLOSED or self.phase is _LINGERING or transport.is_closing():
            return
        if self._saw_eof:
            self._close()
            return
        unread = transport.get_write_buffer_size() > 0
        self._enter(_LINGERING, self._serving.timeouts.idle if unread else LINGER_S)
        self._cancel()
        self._parser.close()
        self._count()
        if transport.can_write_eof():
            with contextlib.suppress(OSError):  # reset by the client just now, which asyncio's own loop reports
                transport.write_eof()
            self._resume_reading()
        elif self._client_ends:
            self._close()
        else:
            # Over TLS writing cannot be shut down alone, and the loops reset a client that sends after a close.
            self._resume_reading()

    def _close(self) -> None:
        """Close, once: asyncio's own TLS transport is of no use any more when it is closed twice."""
        is_unread = self._saw_eof and self._transport.get_write_buffer_size() > 0
        self._enter(_CLOSING, self._serving.timeouts.idle if is_unread else CLOSE_S)
        self._transport.close()

    def _cancel(self) -> None:
        request, self._request = self._request, None
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
            observer = self._serving.observer
            if request is not None and observer is not None:
                observer.note_unanswered(request.head, GIVEN_UP, self._elapsed_s(), self)

    # Reading

    def _bound_read_ahead(self) -> None:
        if self._reading and (self.phase is _WRITING or self._parser.held_bytes > READ_AHEAD_BYTES_MAX):
            self._stop_reading()


def _incomplete() -> ProtocolError:
    return ProtocolError(400, "incomplete_request", "the request ended before it was complete")
