"""The access log: one line for each response, with client, request and outcome. Logs no token, no body and no query.

A line is bytes appended to a list; `flush`, called a few times a second, writes them together.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import unquote

import orjson

from txtoken.http1.messages import Client, Head, Observer, Response
from txtoken.memo import Memo
from txtoken.observe.lines import escaped, has_token, redacted
from txtoken.observe.logs import LineWriter, timestamp

BUFFERED_LINES_MAX: Final = 512
KNOWN_TEXTS_MAX: Final = 512  # methods and paths: the same few repeat
TEXT_CHARACTERS_MAX: Final = 200  # of a path or a request id: a client's text must not fill the log
# W3C Trace Context §3.2: version, trace, parent, flags. A later version may append more after a dash.
_TRACEPARENT: Final = re.compile(
    rb"(?:00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"|(?!00|ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)",
    re.DOTALL,
)
_ENCODED_MAX: Final = 4  # how many layers of percent-encoding are decoded to find tokens
# Characters that may begin a query or parameters, in any layer of encoding: in an unknown path, anything may follow.
_PARAMETERS: Final = re.compile(r"[?;&=#]|%(?:25)*(?:3[fbd]|26|23|u003[fbd]|c0%(?:25)*b[bdf])", re.IGNORECASE)


class AccessLog(Observer):
    """Collects access lines, as JSON or as text.

    `routes` are the paths that are logged unchanged. Of a path below one of `asked`, only that route is logged: the rest belongs
    to another service. `client_behind` finds the client from a peer's address and its `X-Forwarded-For`, if there are trusted
    proxies.
    """

    __slots__ = (
        "_as_json",
        "_asked",
        "_client_behind",
        "_known_texts",
        "_lines",
        "_now",
        "_routes",
        "_start",
        "_writer",
    )

    def __init__(
        self,
        writer: LineWriter,
        *,
        as_json: bool,
        routes: Collection[bytes] = (),
        asked: Collection[bytes] = (),
        client_behind: Callable[[str, bytes], str] | None = None,
    ) -> None:
        self._writer = writer
        self._as_json = as_json
        self._client_behind = client_behind
        self._routes = frozenset((*routes, *asked))
        below = sorted((path.rstrip(b"/") + b"/" for path in asked), key=len, reverse=True)
        self._asked = [(start, _quoted(start + b"*")) for start in below]  # longest first
        self._lines: list[bytes] = []
        self._known_texts: Memo[bytes, bytes] = Memo(KNOWN_TEXTS_MAX)
        self._now = 0  # Unix time in milliseconds
        self._start = b""  # the beginning of all lines of this millisecond

    def note(self, head: Head | None, response: Response, elapsed_s: float, client: Client) -> None:
        if response.is_logged:
            self._add(head, response, elapsed_s, client.address())

    def note_unanswered(self, head: Head | None, outcome: Response, elapsed_s: float, client: Client) -> None:
        self._add(head, outcome, elapsed_s, client.address())

    def flush(self) -> None:
        """Write the collected lines."""
        if self._lines:
            self._writer.write(b"".join(self._lines))
            self._lines.clear()

    def _add(self, head: Head | None, response: Response, elapsed_s: float, client: str) -> None:
        now = int(time.time() * 1000)
        if now != self._now:
            self._begin(now)
        method = path = b"null"
        request_id = trace_id = None
        if head is not None:
            method, path = self._text(head.method), self._path(head.path)
            request_id = head.fields.get(b"x-request-id")
            traceparent = head.fields.get(b"traceparent")
            if traceparent is not None:
                trace_id = _trace_id(traceparent)
            if self._client_behind is not None and (forwarded_for := head.fields.get(b"x-forwarded-for")) is not None:
                client = self._client_behind(client, forwarded_for)
                if "%" in client:  # the zone of an IPv6 address (RFC 4007 §11) may contain anything if a proxy sends it
                    client = _quoted(client.encode())[1:-1].decode()
        status, ms = _number(response.status), _milliseconds(elapsed_s)
        shown_client = client.encode("ascii", "replace")
        if self._as_json:
            parts = [
                self._start,
                method,
                b',"path":',
                path,
                b',"status":',
                status,
                b',"ms":',
                ms,
                b',"client":"',
                shown_client,
                b'"',
            ]
            if request_id is not None:
                parts += (b',"request_id":', _quoted(request_id))
            if trace_id is not None:
                parts += (b',"trace_id":"', trace_id, b'"')
            if response.remote_s is not None:
                parts += (b',"remote_ms":', _milliseconds(response.remote_s))
            if response.error is not None:
                parts += (b',"error":"', response.error.encode("ascii"), b'"')
            parts.append(b"}\n")
        else:
            parts = [
                self._start,
                method[1:-1] if head is not None else method,
                b" ",
                path[1:-1] if head is not None else path,
                b" ",
                status,
                b" ",
                ms,
                b" ms client=",
                shown_client,
            ]
            if request_id is not None:
                parts += (b" request_id=", _quoted(request_id))
            if trace_id is not None:
                parts += (b" trace_id=", trace_id)
            if response.remote_s is not None:
                parts += (b" remote=", _milliseconds(response.remote_s), b" ms")
            if response.error is not None:
                parts += (b" error=", response.error.encode("ascii"))
            parts.append(b"\n")
        line = b"".join(parts)
        self._lines.append(line)
        if len(self._lines) >= BUFFERED_LINES_MAX:
            self.flush()

    def _begin(self, now: int) -> None:
        self._now = now
        start = '{"time":"%s","level":"info","message":"request","method":' if self._as_json else "%s info    "
        stamp = f"{timestamp(now // 1000)[:-4]}{now % 1000:03d}Z"
        self._start = (start % stamp).encode("ascii")

    def _text(self, text: bytes) -> bytes:
        """Write a text that is likely to repeat."""
        known = self._known_texts.get(text)
        return self._remember(text, _quoted(text)) if known is None else known

    def _path(self, path: bytes) -> bytes:
        """Write a path: a route unchanged, another path up to possible parameters."""
        known = self._known_texts.get(path)
        if known is not None:
            return known
        if path not in self._routes:
            for below, shown in self._asked:
                if path.startswith(below):
                    return shown
        return self._remember(path, _quoted(path) if path in self._routes else _quoted(_without_parameters(path)))

    def _remember(self, text: bytes, shown: bytes) -> bytes:
        if len(text) <= TEXT_CHARACTERS_MAX:
            self._known_texts.put(text, shown)
        return shown


# The numbers in a line come from here: formatting one takes longer than the look-up.
_NUMBERS: Final = [b"%d" % number for number in range(1000)]
_THOUSANDTHS: Final = [b".%03d" % number for number in range(1000)]


def _number(number: int) -> bytes:
    return _NUMBERS[number] if 0 <= number < 1000 else b"%d" % number


def _milliseconds(seconds: float) -> bytes:
    """Write seconds as milliseconds, to the microsecond."""
    microseconds = int(seconds * 1e6 + 0.5)
    return _number(microseconds // 1000) + _THOUSANDTHS[microseconds % 1000]


def _quoted(text: bytes) -> bytes:
    """Write a client's text as a JSON string, truncated, with everything like a token removed."""
    shown = redacted(text.decode("utf-8", "replace")[:TEXT_CHARACTERS_MAX])
    if "%" in shown and _hides_token(shown):
        shown = "[token]"  # its place in the encoded text is not worth finding
    quoted = orjson.dumps(shown)
    return quoted if shown.isprintable() else escaped(quoted.decode()).encode()


def _hides_token(text: str) -> bool:
    """Whether the text contains something like a token after percent-decoding."""
    for _ in range(_ENCODED_MAX):
        text = unquote(text)
        if has_token(text):
            return True
    return False


def _without_parameters(path: bytes) -> bytes:
    shown = path[:TEXT_CHARACTERS_MAX]
    found = _PARAMETERS.search(shown.decode("latin-1"))
    return shown if found is None else shown[: found.start()] + b"[cut]"


def _trace_id(traceparent: bytes) -> bytes | None:
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    trace_id: bytes = match[1] or match[2]
    return trace_id
