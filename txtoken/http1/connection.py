"""One client's connection: order, pipelining, keep-alive, back-pressure, deadlines. Knows no routes.

Requests are answered one after the other: until an answer is sent, the bytes after its request stay unparsed. That keeps
pipelined answers in order, and runs a client's logins in the order it sent them (RFC 9112 §9.3.2: POST is not safe). Reading
continues meanwhile, up to a bound: only reading shows that a client has left.
"""

from __future__ import annotations

import asyncio
from math import inf
from time import perf_counter
from typing import Final, cast

from txtoken.errors import ProtocolError
from txtoken.http1.channel import UNCOUNTED_BYTES_MAX
from txtoken.http1.ending import EndingChannel
from txtoken.http1.heads import KnownHead
from txtoken.http1.messages import CLOSE_LINE, CONTINUE, KEEP_ALIVE_LINE, Pending, Request, Response, render
from txtoken.http1.parser import RequestParser, Stage
from txtoken.http1.phase import ANSWERING, BODY, CLOSED, CLOSING, DEFERRED, HEAD, IDLE, LINGERING, QUEUED, WRITING
from txtoken.http1.serving import Serving

# Bytes of answers in one write, unless the client's turn ends before. Then the connection checks whether the client reads them:
# thousands of requests arrive with one read, and all their answers would be held for a client that never reads.
ANSWER_BYTES_A_WRITE_MAX: Final = 64 * 1024

READ_AHEAD_BYTES_MAX: Final = 64 * 1024  # that a client may send while its request is answered
# A larger request is answered in its client's turn: parsing and checking it may take milliseconds, and 300 clients with one each
# would make all others wait for a second.
LARGE_BYTES: Final = 4 * 1024

# For observers only: the client went away before its answer, or does not read. Other servers also call this 499.
GIVEN_UP: Final = Response(499, b"", b"", error="given_up")
SHED: Final = Response(499, b"", b"", error="buffered_bytes")


class Connection(EndingChannel):
    """One client, from its first byte to the last.

    It is an `asyncio.Protocol` without the base class: with that base mypyc could not make a native class, and a login takes 1 µs
    more (bench/micro). With its bases it has 23 attributes, because one object takes less memory and time than several.
    """

    __slots__ = ("_expected", "_parser", "_pending", "_received_at", "_request", "_writable")

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self._parser = RequestParser(serving.limits, serving.known_heads, serving.waits_for_body)
        # The next request's head, most likely. While it is set, the parser is empty, and is not accessed: with 1 000 clients at
        # once, untouched memory need not return to the processor's cache.
        self._expected: KnownHead | None = None
        self._request: Request | None = None  # the one being answered
        self._pending: Pending | None = None  # its answer, if it comes later
        self._writable = True
        self._received_at = 0.0  # of the current request, by perf_counter

    # Callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._enter_idle()
        self._serving.places.admit(self)

    def data_received(self, data: bytes) -> None:
        if self.phase is not IDLE and self._put_aside(data):
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
            if self._parser.has_more and self.phase is BODY:
                self._queue(self.deadline)  # a long chunked body
        elif len(request.body) + self._parser.head_weight > LARGE_BYTES:
            self._set_aside(request)
        elif self._take(request):
            self._queue()
            self._serving.buffers.shed()

    def _put_aside(self, data: bytes) -> bool:
        """Keep or drop bytes that must not be parsed now. False: they can be parsed."""
        phase = self.phase
        if phase is LINGERING:
            self._drop(data)
        elif phase is ANSWERING or phase is QUEUED or phase is WRITING or phase is DEFERRED:
            # Pausing only after much data, and not at every waiting request, saves two system calls (epoll_ctl) of each login.
            # And asyncio before 3.12 and uvloop start to read after `connection_made`, even if it paused reading.
            self._expected = None
            self._parser.hold(data)
            self._count()
            self._bound_read_ahead()
            self._serving.buffers.shed()
        elif phase is not CLOSING and phase is not CLOSED:
            return False
        return True

    def eof_received(self) -> bool:
        """The client stops sending. If no answer is due, the connection closes once everything is written."""
        phase = self.phase
        if phase is HEAD or phase is BODY:
            self._refuse(_incomplete())
        elif phase is QUEUED or phase is WRITING:
            self._saw_eof = self._is_ending = True
            return True
        # While an answer is due: a client that closed and one that shut down its sending side look the same. Perhaps no client
        # is left to read the answer, so it is cancelled (contract §2), by connection_lost.
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.phase = CLOSED
        self.deadline = inf
        self._let_go()
        self._expected = None
        self._output = b""
        self._more_output = None
        self._serving.forget(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self.phase is WRITING:
            self._go_on()

    # Calls of the server

    def start(self) -> None:
        self._go_on()

    def shed(self) -> None:
        if self._unread_bytes > UNCOUNTED_BYTES_MAX or self.phase in (WRITING, LINGERING, CLOSING):
            # A client that does not read cannot get an answer.
            if self._serving.observer is not None:
                self._serving.observer.note_unanswered(None, SHED, 0.0, self)
            self._parser.close()
            self._serving.buffers.count(self, 0)
            self.abort()
            return
        error = ProtocolError(503, "buffered_bytes", "the service buffers too much for its clients")
        if self.phase is QUEUED or self.phase is ANSWERING:
            self._linger_briefly()  # the client has pipelined requests
        if self._request is None:
            self._refuse(error)
            return
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.withdraw()
        self._close_after = True
        self.respond(self._serving.router.refusal(error, self._request.head))
        self._flush()
        self._linger()

    # Answering

    def take_turn(self) -> bool:
        if self.phase is not QUEUED:
            return False  # it has ended since
        request = self._request  # a large one
        is_late = request is None and self.deadline == inf  # it had not begun when the client announced its end
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
                    self._linger()  # perhaps no client is left to read that answer: send nothing to the remote for it
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
        """Wait for the rest of a body, until its deadline."""
        if self._saw_eof:
            self._refuse(_incomplete())
            return
        self._close_after |= self._is_ending
        self.phase = BODY
        self._count()
        self._resume_reading()

    def _take(self, request: Request) -> bool:
        if self._parser.leaves_body:
            self._close_after = True
            self._linger_briefly()
        return self._answer(request)

    def _answer(self, request: Request) -> bool:
        """Have a request answered. Returns whether more requests can be answered in the connection's next turn."""
        serving = self._serving
        self._request = request
        if not self.has_asked:
            self.has_asked = True
            serving.places.room.note_asked(self)
        if serving.observer is not None:
            self._received_at = perf_counter()
        try:
            pending = serving.router.find(request.head).handle(request, self)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not break the connection's order
            pending = None
            response = serving.router.failure(error)
            if self._is_waiting():
                self.respond(response)
        if self._is_waiting():
            self._pending = pending
            self.flush()
            self.phase = ANSWERING
            self.deadline = inf
            if (
                self.held_bytes
                or len(request.body) + self._parser.head_weight > UNCOUNTED_BYTES_MAX
                or (self._expected is None and self._parser.has_more)
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
        """Send the answer to the current request. Called by its handler, at once or later, and exactly once."""
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
        """Continue after everything that can be answered is answered and written."""
        if self._close_after:
            self._linger()
        elif not self._writable:
            # The service does not read from a client that does not read. The client has `timeouts.idle` to continue.
            self._stop_reading()
            self._enter(WRITING, self._serving.timeouts.idle)
            self._count()
        elif self._expected is not None:
            self._enter(IDLE, self._serving.rest_after_s)  # `_enter_idle` would be a call more for each answer
            if self.held_bytes:
                self._count()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Process bytes that arrived during an answer, or wait for more."""
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
        """Give other clients their turns before a large request is answered, which may take milliseconds."""
        self._request = request
        self._queue()
        self._serving.buffers.shed()

    def _queue(self, deadline: float = inf) -> None:
        """Give other clients their turns before this one's next request. `deadline`: of a body of which more is here."""
        self.phase = QUEUED
        self.deadline = deadline
        self._serving.turns.add(self)
        self._count()
        self._bound_read_ahead()

    def _refuse(self, error: ProtocolError) -> None:
        """Answer malformed bytes, after the answers of earlier requests, and close."""
        serving = self._serving
        response = serving.router.refusal(error)
        self._put(render(response, serving.clock.date_line, CLOSE_LINE))
        if serving.observer is not None:
            serving.observer.note(None, response, 0.0, self)
        self._flush()
        self._linger()

    def _elapsed_s(self) -> float:
        """Return how long the current request has taken; 0 if there was no observer when it arrived."""
        received_at, self._received_at = self._received_at, 0.0
        return perf_counter() - received_at if received_at else 0.0

    # What is held

    def _count(self) -> None:
        """Have what is held for this client counted."""
        held = self._parser.held_bytes + self._unread_bytes
        request = self._request
        if request is not None:
            held += len(request.body) + self._parser.head_weight
        if self.phase is not CLOSED:
            self._serving.buffers.count(self, held)

    # Waiting

    def _enter_idle(self) -> None:
        self._enter(IDLE, self._serving.rest_after_s)

    def _await_more(self) -> None:
        """Set the deadline of the missing part. A running deadline stays: it covers the whole part."""
        stage = self._parser.stage
        if stage is Stage.HEAD:
            if self.phase is not HEAD:
                self._enter(HEAD, self._serving.timeouts.head)
        elif stage is Stage.BODY and self.phase is not BODY:
            self._enter(BODY, self._serving.timeouts.body)
            if self._parser.expects_continue:
                self._write(CONTINUE)
        if stage is not Stage.IDLE:
            self._count()
            self._serving.buffers.shed()
        elif self.held_bytes:
            self._count()

    def _keep_little(self) -> None:
        self._expected = None
        self._parser.rest()

    def _let_go(self) -> None:
        request, self._request = self._request, None
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
            observer = self._serving.observer
            if request is not None and observer is not None:
                observer.note_unanswered(request.head, GIVEN_UP, self._elapsed_s(), self)
        self._parser.close()

    # Reading

    def _bound_read_ahead(self) -> None:
        if self._reading and (self.phase is WRITING or self._parser.held_bytes > READ_AHEAD_BYTES_MAX):
            self._stop_reading()


def _incomplete() -> ProtocolError:
    return ProtocolError(400, "incomplete_request", "the request ended before it was complete")
