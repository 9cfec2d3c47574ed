"""One client's transport: writes answers, pauses and resumes reading, and counts unread answers. Knows no requests."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from txtoken.http1.member import Member
from txtoken.http1.messages import UNIX, UNKNOWN, Peer
from txtoken.http1.phase import BODY, CLOSED, HEAD, IDLE, LINGERING, RESTING, Phase
from txtoken.http1.proxies import plain_address
from txtoken.http1.serving import Serving

# Requests being answered, and answers in transit, are not counted below this: the connection itself costs as much, and checking
# each answer would cost the most common request 0.5 %.
UNCOUNTED_BYTES_MAX: Final = 4 * 1024
# The phases that wait for bytes of the client.
_READING: Final = frozenset((IDLE, RESTING, HEAD, BODY, LINGERING))


class Channel(Member):
    """The part of a connection that uses the transport, independent of the bytes' meaning."""

    __slots__ = (
        "_address",
        "_more_output",
        "_output",
        "_reading",
        "_serving",
        "_transport",
        "_unread_bytes",
        "_unseen_bytes",
        "phase",
    )

    def __init__(self, serving: Serving) -> None:
        super().__init__()
        self._serving = serving
        self._transport: asyncio.Transport
        self._output = b""  # the response of the next write
        self._more_output: list[bytes] | None = None  # further responses, if a client pipelines
        self._unseen_bytes = 0  # of answers since the last check that the client reads
        self._unread_bytes = 0  # of answers that waited in the transport at the last check
        self._reading = True
        self._address = ""
        self.phase = Phase.IDLE

    def _count(self) -> None:
        """Count what is held for this client."""
        raise NotImplementedError

    def _enter(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self.deadline = self._serving.time() + seconds

    # Writing

    def _put(self, response: bytes) -> None:
        self._unseen_bytes += len(response)
        # Nearly always there is one answer. A list would cost each connection 60 bytes, even an idle one.
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
            self._write(output)
            if self._unseen_bytes > UNCOUNTED_BYTES_MAX:
                self._look_at_output(len(output))

    def _write(self, data: bytes) -> None:
        """Write, unless the client is gone. uvloop closes a reset transport before it calls `connection_lost`, and raises for
        every use of it until then: that would stop the shedding of hundreds of such clients.
        """
        try:  # noqa: SIM105 - `suppress` takes 0.3 µs for each answer
            self._transport.write(data)
        except RuntimeError:
            pass

    def flush(self) -> None:
        if self._output:
            self._flush()

    def _look_at_output(self, written: int) -> None:
        """Check whether the client reads its answers. uvloop writes at the end of its turn: the last answer is still here."""
        size = self._transport.get_write_buffer_size()
        if size > written or size > UNCOUNTED_BYTES_MAX:
            self._unread_bytes = size
            self._count()
            self._serving.buffers.watch(self)
        else:
            self._unseen_bytes = 0

    def review_output(self) -> bool:
        if self.phase is CLOSED:
            return False
        size = self._transport.get_write_buffer_size()
        if size == 0:
            self._unseen_bytes = 0
        self._unread_bytes = size
        self._count()
        return size > 0

    # Reading

    def _stop_reading(self) -> None:
        self._reading = False
        with contextlib.suppress(RuntimeError):  # as in `_write`
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reading:
            self._serving.turns.read(self)

    def read_on(self) -> None:
        if self.phase in _READING and not self._reading and not self._transport.is_closing():
            self._reading = True
            with contextlib.suppress(RuntimeError):  # as in `_write`
                self._transport.resume_reading()

    # The other end

    def peer(self) -> Peer:
        """Return the other end."""
        is_encrypted = self._transport.get_extra_info("sslcontext") is not None
        return Peer(self.address(), "https" if is_encrypted else "http")

    def address(self) -> str:
        """Return the peer's address. It is looked up once."""
        return self._address or self._find_address()

    def _find_address(self) -> str:
        name = self._transport.get_extra_info("peername")
        if name is None:
            self._address = UNKNOWN
        else:
            # A Unix socket's name is a text, usually empty.
            self._address = plain_address(name[0]) if isinstance(name, tuple) else UNIX
        return self._address
