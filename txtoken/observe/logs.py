"""The service's log: one event a line on stdout, as JSON or as text. Knows how lines are made and that none may block.

Lines are handed to a thread that writes them, because a full pipe or a slow disk must not stop the loop. What piles up
past `PENDING_BYTES_MAX` is dropped and counted: serving goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import orjson

PENDING_BYTES_MAX: Final = 4 * 1024 * 1024
FINISH_S: Final = 1.0  # how long the end of the process waits for a reader of the last lines

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LineWriter:
    """Writes lines to a file descriptor from a thread of its own. `write` never waits.

    `dropped` counts the lines that nobody took in time.
    """

    __slots__ = ("_ended", "_fd", "_pending", "_pending_bytes", "_piece_bytes_max", "_thread", "_wake", "dropped")

    def __init__(self, fd: int, *, piece_bytes_max: int | None = None) -> None:
        self._fd = fd
        self._piece_bytes_max = piece_bytes_max  # write whole lines up to that many bytes at once
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._wake = threading.Condition()
        self._ended = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def write(self, lines: bytes) -> None:
        """Take whole lines, each with its line end."""
        with self._wake:
            if self._pending_bytes + len(lines) > PENDING_BYTES_MAX:
                self.dropped += lines.count(b"\n")
                return
            self._pending.append(lines)
            self._pending_bytes += len(lines)
            self._wake.notify()

    def close(self) -> None:
        """Write what is left, and wait for that a moment."""
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
        view = memoryview(lines)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except OSError:
                # A closed pipe, a full disk: there is no place left to say so. The service goes on without these lines.
                self.dropped += bytes(view).count(b"\n")
                return


class DirectWriter:
    """Writes lines at once, for a process that must have no thread. What nobody takes at once is dropped."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, lines: bytes) -> None:
        """Write whole lines, each with its line end."""
        with contextlib.suppress(OSError):  # a closed pipe, a full disk: there is no place left to say so
            for start in range(0, len(lines), select.PIPE_BUF):  # what fits for certain when there is room at all
                if not select.select([], [self._fd], [], 0)[1]:
                    return
                os.write(self._fd, lines[start : start + select.PIPE_BUF])


class Writer(Protocol):
    """Takes whole lines, and never waits for who reads them."""

    def write(self, lines: bytes) -> None: ...


def _pieces(lines: bytes, bytes_max: int | None) -> Iterator[bytes]:
    """Cut behind line ends, into pieces of `bytes_max` at most. A longer line is a piece of its own."""
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

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, object] = getattr(record, "fields", {})
        level = record.levelname.lower()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            event = {"time": timestamp(record.created), "level": level, "message": record.getMessage(), **fields}
            if trace:
                event["traceback"] = trace
            return orjson.dumps(event, default=str).decode()
        told = "".join(f" {key}={_shown(value)}" for key, value in fields.items())
        line = f"{timestamp(record.created)} {level:<7} {record.getMessage()}{told}"
        return f"{line}\n{trace}" if trace else line


class _WriterHandler(logging.Handler):
    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        self._writer.write(self.format(record).encode("utf-8", "replace") + b"\n")


def open_log(writer: Writer, *, level: str, as_json: bool) -> logging.Logger:
    """Send the whole process's logging, asyncio's and aiohttp's included, to `writer`. Returns the service's own logger."""
    handler = _WriterHandler(writer)
    handler.setFormatter(EventFormatter(as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # What the libraries tell about themselves on the debug level is of no use to who runs this service.
    root.setLevel(max(_LEVELS[level], logging.INFO))
    log = logging.getLogger("txtoken")
    log.setLevel(_LEVELS[level])
    return log


class Repeats:
    """Keeps a message that comes with every request from flooding the log: one line a kind each `period_s` seconds."""

    __slots__ = ("_period_s", "_seen")

    def __init__(self, period_s: float = 1.0) -> None:
        self._period_s = period_s
        self._seen: dict[str, tuple[float, int]] = {}

    def due(self, kind: str) -> int | None:
        """Return how many messages of this kind were kept back since the last one, or None to keep this one back too."""
        now = time.monotonic()
        last, kept_back = self._seen.get(kind, (-self._period_s, 0))
        if now - last < self._period_s:
            self._seen[kind] = last, kept_back + 1
            return None
        self._seen[kind] = now, 0
        return kept_back


def _shown(value: object) -> str:
    return (
        value
        if isinstance(value, str) and value.isprintable() and " " not in value
        else orjson.dumps(value, default=str).decode()
    )
