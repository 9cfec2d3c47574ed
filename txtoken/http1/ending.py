"""Ends a connection: at a deadline, without room or memory, at a drain, or after its last answer. Knows no requests.

A client may still be sending when it gets its last answer. Closing at once would make the kernel send a reset, which would
discard the answer (RFC 9112 §9.6). So writing is shut down first, reading continues for a while, and then everything is closed.
"""

from __future__ import annotations

import contextlib
from math import inf
from typing import Final

from txtoken.errors import ProtocolError
from txtoken.http1.channel import Channel
from txtoken.http1.phase import BODY, CLOSED, CLOSING, DEFERRED, HEAD, IDLE, LINGERING, QUEUED, RESTING, WRITING
from txtoken.http1.serving import Serving

LINGER_S: Final = 1.0
# A client that is rejected while it sends a body reads the answer after the body.
LINGER_BYTES_MAX: Final = 4 * 1024 * 1024
LINGER_UNREAD_BYTES_MAX: Final = 64 * 1024  # after a request answered before its body: most clients send none
CLOSE_S: Final = 3.0  # for a transport to close; longer than `TLS_CLOSE_S`


class EndingChannel(Channel):
    """A channel and the ways it ends. The connection implements three methods for the effects on requests."""

    __slots__ = ("_client_ends", "_close_after", "_is_ending", "_lingered", "_saw_eof")

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self._saw_eof = False  # the client has shut down its sending side
        self._is_ending = False  # no new requests: only received ones that can be answered at once are answered
        self._close_after = False  # the next response is the last
        self._client_ends = False  # the client has announced its last request
        self._lingered = 0  # bytes dropped while lingering

    def _refuse(self, error: ProtocolError) -> None:
        """Answer malformed bytes, after the answers of earlier requests, and close."""
        raise NotImplementedError

    def _keep_little(self) -> None:
        """Free everything that only helps a client with another request soon."""
        raise NotImplementedError

    def _let_go(self) -> None:
        """Cancel the request that is being answered, and drop the bytes of all others."""
        raise NotImplementedError

    # Calls of the server

    def defer(self) -> None:
        self.phase = DEFERRED
        self.deadline = inf

    def expire(self) -> None:
        idle_s, rest_after_s = self._serving.timeouts.idle, self._serving.rest_after_s
        if self.phase is IDLE and idle_s > rest_after_s and not self._close_after:
            self.phase = RESTING
            self.deadline += idle_s - rest_after_s
            self._keep_little()
        elif self.phase is HEAD:
            self._refuse(ProtocolError(408, "head_timeout", "the request's header section did not arrive in time"))
        elif self.phase is BODY or self.phase is QUEUED:
            self._refuse(ProtocolError(408, "body_timeout", "the request's body did not arrive in time"))
        elif self.phase is CLOSING or self._transport.get_write_buffer_size():
            self.deadline = inf
            self._transport.abort()  # closing would wait for a client that does not read
        else:
            self._close()

    def drain(self, idle_deadline: float) -> None:
        if self.phase is QUEUED or self.phase is WRITING:
            self._is_ending = True
            self._stop_reading()
            return
        self._close_after = True
        if self.phase is IDLE:
            self.deadline = min(self.deadline, idle_deadline)
        elif self.phase is RESTING or self.phase is DEFERRED:
            self._close()

    def abort(self) -> None:
        if self.phase is QUEUED:
            self.phase = CLOSING  # its turn may come before the loop reports the end
            self._output = b""
            self._more_output = None
        self._transport.abort()

    def idle_since(self) -> float:
        phase, timeouts = self.phase, self._serving.timeouts
        if phase is IDLE:
            return self.deadline - self._serving.rest_after_s
        if phase is RESTING or phase is WRITING:
            return self.deadline - timeouts.idle
        if phase is LINGERING or phase is CLOSING:
            return self.deadline - max(timeouts.idle, CLOSE_S)  # it has its answer, or does not read it
        return inf

    # Stages

    def _linger_briefly(self) -> None:
        """Read only little after the last answer: the client has sent more than the server read."""
        self._lingered = LINGER_BYTES_MAX - LINGER_UNREAD_BYTES_MAX

    def _linger(self) -> None:
        """Shut down writing, and give the client time to read the last answer."""
        transport = self._transport
        if self.phase is CLOSED or self.phase is LINGERING or transport.is_closing():
            return
        if self._saw_eof:
            self._close()
            return
        unread = transport.get_write_buffer_size() > 0
        self._enter(LINGERING, self._serving.timeouts.idle if unread else LINGER_S)
        self._let_go()
        self._count()
        if transport.can_write_eof():
            # The client has just reset it. asyncio's own loop reports that, and uvloop by another error (`Channel._write`).
            with contextlib.suppress(OSError, RuntimeError):
                transport.write_eof()
            self._resume_reading()
        elif self._client_ends:
            self._close()
        else:
            # With TLS, writing cannot be shut down separately, and the loops reset a client that sends after a close.
            self._resume_reading()

    def _drop(self, data: bytes) -> None:
        """Drop what a client sends after its last answer."""
        self._lingered += len(data)
        if self._lingered > LINGER_BYTES_MAX:
            self._close()
        else:
            self._stop_reading()  # the loop would read megabytes before any other client has a turn
            self._resume_reading()

    def _close(self) -> None:
        """Close, once: asyncio's own TLS transport is broken by a second close."""
        is_unread = self._saw_eof and self._transport.get_write_buffer_size() > 0
        self._enter(CLOSING, self._serving.timeouts.idle if is_unread else CLOSE_S)
        self._transport.close()
