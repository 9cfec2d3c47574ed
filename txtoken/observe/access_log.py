"""One line a response: who asked for what, and what came of it. Knows no token, no body and no query, so it tells none.

A line is bytes appended to a list; `flush`, called a few times a second, hands them on together.
"""

from __future__ import annotations

import re
import time
from time import perf_counter
from typing import Final

import orjson

from txtoken.http1.messages import Head, Response
from txtoken.observe.logs import LineWriter, timestamp

BUFFERED_LINES_MAX: Final = 512
TEXT_CHARACTERS_MAX: Final = 200  # of a path or a request id: a client's text must not fill the log
_TOKEN_LIKE: Final = re.compile(r"eyJ[\w-]+\.[\w-]*(?:\.[\w-]*)?")


class AccessLog:
    """Collects access lines, as JSON or as text."""

    __slots__ = ("_as_json", "_known_texts", "_lines", "_second", "_stamp", "_writer")

    def __init__(self, writer: LineWriter, *, as_json: bool) -> None:
        self._writer = writer
        self._as_json = as_json
        self._lines: list[bytes] = []
        self._known_texts: dict[bytes, bytes] = {}
        self._second = 0
        self._stamp = b""

    def add(self, head: Head | None, response: Response, received_at: float, client: str) -> None:
        """Note one response. `received_at` is when its request was complete (perf_counter); `client` an address."""
        ended = perf_counter()
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = timestamp(second)[:-4].encode("ascii")
        ms = (ended - received_at) * 1000
        method = path = b"null"
        request_id = None
        if head is not None:
            method, path = self._text(head.method), self._text(head.path)
            request_id = head.fields.get(b"x-request-id")
        if self._as_json:
            line = (
                b'{"time":"%b%03dZ","level":"info","message":"request","method":%b,"path":%b,"status":%d,"ms":%.3f,"client":"%b"'
                % (
                    self._stamp,
                    int(now * 1000) % 1000,
                    method,
                    path,
                    response.status,
                    ms,
                    client.encode("ascii", "replace"),
                )
            )
            if request_id is not None:
                line += b',"request_id":%b' % self._text(request_id)
            if response.remote_s is not None:
                line += b',"remote_ms":%.3f' % (response.remote_s * 1000)
            if response.error is not None:
                line += b',"error":"%b"' % response.error.encode("ascii")
            line += b"}\n"
        else:
            line = b"%b%03dZ info    %b %b %d %.3f ms client=%b" % (
                self._stamp,
                int(now * 1000) % 1000,
                method.strip(b'"'),
                path.strip(b'"'),
                response.status,
                ms,
                client.encode("ascii", "replace"),
            )
            if request_id is not None:
                line += b" request_id=%b" % self._text(request_id)
            if response.remote_s is not None:
                line += b" remote=%.3f ms" % (response.remote_s * 1000)
            if response.error is not None:
                line += b" error=%b" % response.error.encode("ascii")
            line += b"\n"
        self._lines.append(line)
        if len(self._lines) >= BUFFERED_LINES_MAX:
            self.flush()

    def flush(self) -> None:
        """Hand on what was collected."""
        if self._lines:
            self._writer.write(b"".join(self._lines))
            self._lines.clear()

    def _text(self, text: bytes) -> bytes:
        """Write a client's text as a JSON string, cut to a sane length, with anything like a token taken out."""
        known = self._known_texts.get(text)
        if known is None:
            shown = text.decode("utf-8", "replace")[:TEXT_CHARACTERS_MAX]
            known = orjson.dumps(_TOKEN_LIKE.sub("[token]", shown))
            if len(self._known_texts) < BUFFERED_LINES_MAX and len(text) <= TEXT_CHARACTERS_MAX:
                self._known_texts[text] = known
        return known
