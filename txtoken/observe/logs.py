"""The service's log: one line for each event on stdout, as JSON or as text. Never blocks.

A thread writes the lines, because a full pipe or a slow disk must not stop the loop. Lines above `PENDING_BYTES_MAX` are dropped
and counted: the service keeps running.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from txtoken.observe.lines import as_json, escaped, redacted

PENDING_BYTES_MAX: Final = 4 * 1024 * 1024
FINISH_S: Final = 1.0  # how long the exit waits for a reader of the last lines
KEPT_BYTES_MAX: Final = 256 * 1024  # kept for a slow reader by a process without a thread
LINE_END: Final = 0x0A

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LineWriter:
    """Writes lines to a file descriptor from its own thread. `write` never waits.

    `dropped` counts the lines that could not be written in time.
    """

    __slots__ = (
        *("_ended", "_failed", "_fd", "_is_within_line", "_pending", "_pending_bytes", "_piece_bytes_max"),
        *("_thread", "_wake", "dropped"),
    )

    def __init__(self, fd: int, *, piece_bytes_max: int | None = None) -> None:
        self._fd = fd
        self._piece_bytes_max = piece_bytes_max  # write whole lines of at most this many bytes at once
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._wake = threading.Condition()
        self._ended = False
        self._is_within_line = False  # an error has truncated the last piece
        self._failed = False  # the last lines could not be written
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    @property
    def is_stuck(self) -> bool:
        """Whether lines are being dropped now: a line about that would be dropped as well, and would have to be reported next."""
        return self._failed or self._pending_bytes > PENDING_BYTES_MAX // 2

    def write(self, lines: bytes) -> None:
        """Accept whole lines, each with its line end."""
        with self._wake:
            if self._pending_bytes + len(lines) > PENDING_BYTES_MAX:
                self.dropped += lines.count(b"\n")
                return
            self._pending.append(lines)
            self._pending_bytes += len(lines)
            self._wake.notify()

    def close(self) -> None:
        """Write the remaining lines, and wait for that a moment."""
        with self._wake:
            self._ended = True
            self._wake.notify()
        self._thread.join(FINISH_S)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._pending:
                    if self._ended:
                        return
                    self._wake.wait()
                lines = b"".join(self._pending)
                self._pending.clear()
            for piece in _pieces(lines, self._piece_bytes_max):
                self._write_all(piece)
            with self._wake:
                self._pending_bytes -= len(lines)

    def _write_all(self, lines: bytes) -> None:
        view = memoryview(b"\n" + lines if self._is_within_line else lines)
        while view:
            try:
                written = os.write(self._fd, view)
            except BlockingIOError:  # another process that shares the pipe made it non-blocking: wait for the reader
                _wait_for_room(self._fd, None)
                continue
            except OSError:
                # A closed pipe, a full disk: there is no place to report this. The service continues without these lines.
                with self._wake:
                    self.dropped += bytes(view).count(b"\n") - (len(view) > len(lines))
                self._failed = True
                return
            self._is_within_line = view[written - 1] != LINE_END if written else self._is_within_line
            view = view[written:]
        self._failed = False


class DirectWriter:
    """Writes lines at once, for a process that must not have threads. `write` never waits: lines that cannot be written are kept,
    up to `KEPT_BYTES_MAX`, and the next `write` or `flush` writes them.

    `dropped` counts the lines above that, and those lost by an error.
    """

    __slots__ = ("_failed", "_fd", "_kept", "_shared_fd", "_socket", "dropped")

    def __init__(self, fd: int) -> None:
        self._shared_fd = fd
        self._fd = _without_blocking(fd)
        self._socket = _as_socket(fd)
        self._kept = bytearray()
        self._failed = False  # the last lines could not be written
        self.dropped = 0

    @property
    def is_stuck(self) -> bool:
        """Whether lines are being dropped now: a line about that would be dropped as well, and would have to be reported next."""
        return self._failed or len(self._kept) > KEPT_BYTES_MAX // 2

    def write(self, lines: bytes) -> None:
        """Accept whole lines, each with its line end."""
        if len(self._kept) + len(lines) > KEPT_BYTES_MAX:
            self.flush()
        if len(self._kept) + len(lines) > KEPT_BYTES_MAX:
            self.dropped += lines.count(b"\n")
            return
        self._kept += lines
        self.flush()

    def flush(self) -> None:
        """Write as much as possible now."""
        self._write_kept(0.0)

    def close(self) -> None:
        """Write the remaining lines, and wait for that a moment."""
        until = time.monotonic() + FINISH_S
        while self._kept and (left_s := until - time.monotonic()) > 0:
            self._write_kept(left_s)
        if self._fd != self._shared_fd:
            os.close(self._fd)
            self._fd = self._shared_fd
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _write_kept(self, wait_s: float) -> None:
        while self._kept and _wait_for_room(self._fd, wait_s):
            wait_s = 0.0
            # A pipe accepts a piece of this size as a whole or not at all: no other process's line comes between.
            piece = next(_pieces(bytes(self._kept), select.PIPE_BUF))
            try:
                written = self._write_piece(piece[: select.PIPE_BUF])
            except BlockingIOError:
                return
            except OSError:  # a closed pipe, a full disk: there is no place to report this
                self.dropped += self._kept.count(b"\n")
                self._kept.clear()
                self._failed = True
                return
            self._failed = False
            del self._kept[:written]

    def _write_piece(self, piece: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(piece, socket.MSG_DONTWAIT)
        return os.write(self._fd, piece)


def _wait_for_room(fd: int, wait_s: float | None) -> bool:
    """Wait until the descriptor is writable, or has an error that writing will raise. Returns whether it is."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(None if wait_s is None else wait_s * 1000))


def _without_blocking(fd: int) -> int:
    """Open a pipe again, so that writing never blocks here, and blocks as before in processes that share it.

    Another process can fill a pipe between the check and the write.
    """
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no /proc, another user's pipe, or one without a reader: use it as it is
        return fd
    return fd


def _as_socket(fd: int) -> socket.socket | None:
    """Return a socket object (journald's log is a socket): each send can request not to wait."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            return socket.socket(fileno=os.dup(fd))
    return None


class Writer(Protocol):
    """Accepts whole lines, and never waits for their reader."""

    def write(self, lines: bytes) -> None: ...


def _pieces(lines: bytes, bytes_max: int | None) -> Iterator[bytes]:
    """Split after line ends, into pieces of at most `bytes_max`. A longer line is a separate piece."""
    start = 0
    while bytes_max is not None and len(lines) - start > bytes_max:
        end = lines.rfind(b"\n", start, start + bytes_max) + 1 or lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end
    if start < len(lines):
        yield lines[start:] if start else lines


def timestamp(now: float) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"


class EventFormatter(logging.Formatter):
    """Makes one line of a log record. Fields come with `extra={"fields": {…}}`; their values are shown as JSON."""

    def __init__(self, *, is_json: bool) -> None:
        super().__init__()
        self._is_json = is_json

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, object] = getattr(record, "fields", {})
        level = record.levelname.lower()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._is_json:
            event = {"time": timestamp(record.created), "level": level, "message": record.getMessage(), **fields}
            if trace:
                event["traceback"] = trace
            return redacted(as_json(event))
        shown = "".join(f" {escaped(key)}={_shown(value)}" for key, value in fields.items())
        line = f"{timestamp(record.created)} {level:<7} {escaped(record.getMessage())}{shown}"
        # Indented, so that no line of an exception's text looks like a log line.
        return redacted("\n".join([line, *(f"    {escaped(text)}" for text in trace.split("\n") if trace)]))


class _WriterHandler(logging.Handler):
    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        self._writer.write(self.format(record).encode("utf-8", "replace") + b"\n")


def open_log(writer: Writer, *, level: str, as_json: bool) -> logging.Logger:
    """Send the whole process's logging, asyncio's and aiohttp's included, to `writer`. Returns the service's own logger."""
    handler = _WriterHandler(writer)
    handler.setFormatter(EventFormatter(is_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # The libraries' own debug lines are of no use to an operator.
    root.setLevel(max(_LEVELS[level], logging.INFO))
    log = logging.getLogger("txtoken")
    log.setLevel(_LEVELS[level])
    return log


class Repeats:
    """Limits repeated messages, so that they do not flood the log: one line of each kind every `period_s` seconds."""

    __slots__ = ("_period_s", "_seen")

    def __init__(self, period_s: float = 1.0) -> None:
        self._period_s = period_s
        self._seen: dict[str, tuple[float, int]] = {}

    def due(self, kind: str) -> int | None:
        """Return how many messages of this kind were suppressed since the last one. None: suppress this one, too."""
        now = time.monotonic()
        last, kept_back = self._seen.get(kind, (-self._period_s, 0))
        if now - last < self._period_s:
            self._seen[kind] = last, kept_back + 1
            return None
        self._seen[kind] = now, 0
        return kept_back


def _shown(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and " " not in value else as_json(value)
