"""Bytes in, complete requests out, with every limit and refusal of contract §4. Knows no sockets, no clock, no routes.

httptools (llhttp) does the grammar. What it leaves to its user is done here: sizes, `Host`, versions, transfer codings,
upgrades, expectations. It tells no offsets, and without them nothing can be counted exactly. So the bytes are fed in
pieces that end where a message may end: a body's length is known, and a head or a chunked body ends with an empty line
and nowhere else. Hence every message boundary is the end of a piece.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, NoReturn

import httptools

from txtoken.errors import ProtocolError
from txtoken.http1.heads import KNOWN_HEAD_BYTES_MAX, KnownHead, KnownHeads
from txtoken.http1.messages import Head, Request
from txtoken.settings import Limits

REQUEST_LINE_BYTES_MAX: Final = 16 * 1024  # twice what RFC 9112 §3 asks everybody to accept
CHUNK_OVERHEAD_BYTES_MAX: Final = 16 * 1024  # extensions and trailers of one body together: nobody needs more
CHUNK_FRAMING_BYTES_MAX: Final = 32  # a chunk's size and line ends, counted before the chunk is known to be complete
EMPTY_LINE: Final = b"\r\n\r\n"

ONLY_THESE_VERSIONS: Final = "only HTTP/1.1 and HTTP/1.0 are served here"
ONLY_CHUNKED: Final = "chunked is the only transfer coding served here"

# llhttp's words for transfer codings that it finds wrong before they are looked at here.
_CODING_REASONS: Final = {"Invalid `Transfer-Encoding` header value", "Empty Transfer-Encoding"}

_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(?::([0-9]*))?")
_ABSOLUTE_FORM: Final = re.compile(rb"[hH][tT][tT][pP][sS]?://([^/?#]+)([/?].*|)", re.DOTALL)

# Host values that were found valid: the same few come with every request, and a set is faster than the pattern.
KNOWN_HOSTS_MAX: Final = 64
_known_hosts: Final[set[bytes]] = set()

_NO_FIELDS: Final[dict[bytes, bytes]] = {}  # stays empty: each head that is parsed begins with a new one


class Stage(Enum):
    """Where in a message the bytes so far have ended: it decides which deadline runs."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class RequestParser:
    """One client's bytes. Feed what arrives, then ask for the next request until there is none.

    After a `ProtocolError`, and after a request whose head says `keep_alive` is False, nothing more may be asked for.
    Call `close` at the end: the httptools parser and this one know each other, and only that parts them.
    """

    __slots__ = (
        "_body",
        "_body_size",
        "_chunk_start",
        "_chunks",
        "_complete",
        "_data",
        "_failure",
        "_field_count",
        "_fields",
        "_framing_size",
        "_has_trailers",
        "_head",
        "_head_text",
        "_http",
        "_known",
        "_known_heads",
        "_limits",
        "_missing",
        "_position",
        "_tail",
        "_told",
        "_unchecked_bytes",
    )

    def __init__(self, limits: Limits, known_heads: KnownHeads) -> None:
        self._limits = limits
        self._known_heads = known_heads
        self._known: KnownHead | None = None  # the last head, if it is one that may well come again
        self._unchecked_bytes = min(limits.head_bytes, REQUEST_LINE_BYTES_MAX)  # a head of that size breaks no limit
        self._http: httptools.HttpRequestParser | None = None  # made when there is something to parse
        self._data = b""  # what was fed; what was not yet consumed of it starts at _position
        self._position = 0
        self._tail = b""  # the last bytes consumed, while an empty line may be split between them and the next
        self._head_text = b""  # the head so far
        self._fields = _NO_FIELDS  # so far
        self._field_count = 0
        self._head: Head | None = None  # complete, its body is being read
        self._told = False  # whether httptools saw that head, and so has to see the body
        self._missing = 0  # bytes still to come of a body whose length is known
        self._body: list[bytes] | None = None  # of a known length, as it arrives; None where it came in one piece
        self._chunks: bytearray | None = (
            None  # of a chunked body: thousands of small ones are no larger than one large one
        )
        self._body_size = 0  # bytes of a chunked body so far
        self._chunk_start = 0  # of them those that came before the current chunk
        self._framing_size = 0  # bytes around it so far, less what its chunks cannot do without
        self._complete = False
        self._has_trailers = False  # of a chunked body
        self._failure: ProtocolError | None = None

    @property
    def stage(self) -> Stage:
        """Where the bytes consumed so far have ended."""
        if self._head is not None:
            return Stage.BODY
        return Stage.HEAD if self._head_text else Stage.IDLE

    @property
    def is_at_rest(self) -> bool:
        """Whether the last request was all there is: no byte waits, and no part of another was seen."""
        return self._head is None and not (self._data or self._head_text or self._tail)

    @property
    def expected(self) -> KnownHead | None:
        """The head that the next request most likely has, when no byte of it and nothing else was seen.

        What `read` makes of the next bytes is then as good as what `feed` would return, and `feed` need not see them.
        """
        return self._known if self.is_at_rest else None

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1)."""
        return self._head is not None and self._head.expects_continue and not (self._body or self._chunks)

    def rest(self) -> None:
        """Keep nothing that is of use only to a client that is about to ask. To be called between two requests."""
        self._http = None
        self._fields = _NO_FIELDS
        self._known = None

    def close(self) -> None:
        """Let go of everything. The parser is of no more use."""
        self.rest()
        self._data = b""
        self._position = 0

    def feed(self, data: bytes) -> Request | None:
        """Take bytes as they arrived, and return the next complete request, or None for "not yet".

        Raises:
            ProtocolError: the bytes are not a request that we serve. Requests before them were returned already.
        """
        self.hold(data)
        return self.next_request()

    def hold(self, data: bytes) -> None:
        """Take bytes as they arrived, to be parsed by a later call."""
        if self._position < len(self._data):
            data = self._data[self._position :] + data
        self._data = data
        self._position = 0

    def next_request(self) -> Request | None:
        """Return the next complete request among the bytes already fed, or None for "not yet". Raises as `feed` does."""
        data = self._data
        while (start := self._position) < len(data):
            if self._missing:
                stop = min(start + self._missing, len(data))
                take = self._take_body
            else:
                stop = self._piece_end(data, start)
                take = self._take_head if self._head is None else self._take_chunked
            self._position = stop
            request = take(data if stop - start == len(data) else data[start:stop])
            if request is not None:
                return request
        self._data = b""
        self._position = 0
        return None

    def _piece_end(self, data: bytes, start: int) -> int:
        """Find where a message may end: just past the next empty line, else the end of the data."""
        tail = self._tail
        if tail:
            at = (tail + data[start : start + 3]).find(EMPTY_LINE)
            if at >= 0:
                self._tail = b""
                return start + at + 4 - len(tail)
        at = data.find(EMPTY_LINE, start)
        if at >= 0:
            self._tail = b""
            return at + 4
        self._tail = (tail + data[max(start, len(data) - 3) :])[-3:]
        return len(data)

    # Heads

    def _take_head(self, piece: bytes) -> Request | None:
        text = self._head_text
        if text:
            text += piece
        elif (head := self._known_meaning(piece)) is not None:
            self._told = False  # httptools has nothing to add
            return self._begin_body(head)
        else:
            text = piece.lstrip(b"\r\n")  # empty lines before a request do not begin one (RFC 9112 §2.2)
            self._fields = {}
            self._field_count = 0
        self._head_text = text
        self._parse(piece)
        head = self._head
        if head is None:
            if len(text) > self._unchecked_bytes:
                self._check_head_size(text)
            return None
        self._head_text = b""
        if len(text) <= KNOWN_HEAD_BYTES_MAX and head.content_length >= 0:
            self._known = self._known_heads.learn(text, head, self._unchecked_bytes)
        self._told = True
        return self._begin_body(head)

    def _known_meaning(self, piece: bytes) -> Head | None:
        """Return what a whole head means, if it was seen before, here or on another connection."""
        known = self._known
        if known is not None and piece == known.text:
            return known.head
        found = self._known_heads.find(piece)
        if found is not None:
            self._known = found
            return found.head
        return known.with_another_token(piece) if known is not None else None

    def _check_head_size(self, text: bytes) -> None:
        line_end = text.find(b"\r\n")
        if line_end < 0:
            line_end = len(text) - 1  # the last byte may be the first of the line's end
        if line_end > REQUEST_LINE_BYTES_MAX:
            self._fail(414, "uri_too_long", "the request line is too long")
        if len(text) > self._limits.head_bytes:
            self._fail(431, "head_too_large", "the request's header section is too large")

    def _read_head(self) -> Head:
        """Make sense of a complete head that llhttp found well-formed."""
        text, fields = self._head_text, self._fields
        if len(text) > self._unchecked_bytes:
            self._check_head_size(text)
        method, target, minor_version = self._read_request_line(text[: text.find(b"\r\n")])
        if (host := fields.get(b"host")) is not None:
            if host not in _known_hosts:
                self._check_host(host)
        elif minor_version == 1:
            self._fail(400, "host_missing", "the Host header field is missing")
        path, query = self._read_target(method, target)
        content_length = self._read_content_length(minor_version)
        if b"upgrade" in fields and content_length != 0:
            # llhttp takes such a message to end with its head and would run its body as the next request.
            self._fail(400, "upgrade_with_body", "a request with a body cannot ask for an upgrade")
        expects_continue = False
        if b"expect" in fields and minor_version == 1:
            if fields[b"expect"].lower() != b"100-continue":
                self._fail(417, "expectation_failed", "the expectation cannot be met")
            expects_continue = content_length != 0
        assert self._http is not None
        return Head(
            method,
            path,
            query,
            fields,
            minor_version=minor_version,
            keep_alive=self._http.should_keep_alive(),
            content_length=content_length,
            expects_continue=expects_continue,
        )

    def _read_request_line(self, line: bytes) -> tuple[bytes, bytes, int]:
        parts = line.split(b" ")
        if len(parts) != 3:
            self._fail(400, "bad_request", "malformed request line")
        method, target, version = parts
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):
            self._fail(505, "version_not_supported", ONLY_THESE_VERSIONS)
        return method, target, 1 if version == b"HTTP/1.1" else 0

    def _read_target(self, method: bytes, target: bytes) -> tuple[bytes, bytes]:
        """Split a request target into path and query, whichever of its forms it has (RFC 9112 §3.2)."""
        if method == b"CONNECT":
            self._fail(501, "not_implemented", "CONNECT is not served here")
        if not target.startswith(b"/"):
            absolute = _ABSOLUTE_FORM.fullmatch(target)
            if absolute is not None:
                self._check_host(absolute[1])
                self._fields[b"host"] = absolute[1]  # the target's authority replaces the field (RFC 9112 §3.2.2)
                target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
            elif target != b"*" or method != b"OPTIONS":
                self._fail(400, "bad_target", "malformed request target")
        if b"#" in target:
            self._fail(400, "bad_target", "a request target has no fragment")
        path, _, query = target.partition(b"?")
        return path, query

    def _check_host(self, host: bytes) -> None:
        match = _HOST.fullmatch(host)
        if match is None or (match[1] and (len(match[1]) > 5 or int(match[1]) > 65535)):
            self._fail(400, "bad_host", "the Host header field is malformed")
        if len(host) < 256:
            if len(_known_hosts) >= KNOWN_HOSTS_MAX:
                _known_hosts.clear()
            _known_hosts.add(host)

    def _read_content_length(self, minor_version: int) -> int:
        """Return the body's length in bytes, -1 for a chunked body (RFC 9112 §6)."""
        fields = self._fields
        length = fields.get(b"content-length")
        coding = fields.get(b"transfer-encoding")
        if coding is not None:
            if length is not None:
                self._fail(400, "bad_framing", "Content-Length and Transfer-Encoding exclude each other")
            if minor_version == 0:
                self._fail(400, "bad_framing", "HTTP/1.0 has no Transfer-Encoding")
            if coding.lower() != b"chunked":
                self._fail(501, "not_implemented", ONLY_CHUNKED)
            return -1
        if length is None:
            return 0
        if not length.isdigit():
            self._fail(400, "bad_framing", "malformed Content-Length")
        if len(length) > 18 or int(length) > self._limits.body_bytes:
            self._fail(413, "body_too_large", "the request body is too large")
        return int(length)

    # Bodies

    def _begin_body(self, head: Head) -> Request | None:
        length = head.content_length
        if length == 0:
            self._head = None
            return Request(head, b"")
        self._head = head
        if length > 0:
            self._missing = length
        else:
            self._body_size = self._chunk_start = self._framing_size = 0
            self._chunks = bytearray()
            self._complete = self._has_trailers = False
        return None

    def _take_body(self, piece: bytes) -> Request | None:
        self._missing -= len(piece)
        body = self._body
        if self._missing or body is not None:
            if body is None:
                self._body = body = []
            body.append(piece)
            if self._missing:
                return None
            piece = b"".join(body)
            self._body = None
        head = self._head
        assert head is not None
        if self._told:
            self._parse(piece)  # nothing can go wrong: this brings httptools to the end of the message
        self._head = None
        return Request(head, piece)

    def _take_chunked(self, piece: bytes) -> Request | None:
        before = self._body_size
        self._framing_size += len(piece)
        self._parse(piece)
        self._framing_size -= self._body_size - before
        slack = 0 if self._complete else CHUNK_FRAMING_BYTES_MAX
        if self._framing_size > CHUNK_OVERHEAD_BYTES_MAX + slack:
            self._fail(431, "chunk_overhead", "the body's chunk extensions and trailers are too large")
        if slack:
            return None
        head = self._head
        assert head is not None
        assert self._chunks is not None
        body = bytes(self._chunks)
        self._chunks = self._head = None
        if self._has_trailers:
            # llhttp reads them as it does a head: after `Connection: close` it would refuse the next request, which behind a
            # proxy is another client's.
            self._http = None
        return Request(head, body)

    # What httptools calls. It swallows nothing: what is raised here comes out of feed_data.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None:
            self._has_trailers = True
            return  # a trailer has no say in anything here (RFC 9110 §6.5.1)
        # Here and not when all are there: fields of one name are joined one by one.
        self._field_count += 1
        if self._field_count > self._limits.header_count:
            self._fail(431, "too_many_fields", "the request has too many header fields")
        name = name.lower()
        value = value.rstrip(b" \t")
        fields = self._fields
        if name in fields:
            value = fields[name] + (b"; " if name == b"cookie" else b", ") + value
        fields[name] = value

    def on_headers_complete(self) -> None:
        self._head = self._read_head()

    def on_chunk_header(self) -> None:
        # The chunk before this one is complete: its size in hexadecimal digits and two line ends are no overhead. Before
        # the first one there is none, and what that takes off stands for the last chunk, whose size is 0 too.
        size = self._body_size - self._chunk_start
        self._chunk_start = self._body_size
        self._framing_size -= len(b"%x" % size) + 4

    def on_body(self, body: bytes) -> None:
        head = self._head
        if head is None or head.content_length >= 0:
            return  # it was taken as it arrived
        self._body_size += len(body)
        if self._body_size > self._limits.body_bytes:
            self._fail(413, "body_too_large", "the request body is too large")
        assert self._chunks is not None
        self._chunks += body

    def on_message_complete(self) -> None:
        self._complete = True

    def _parse(self, piece: bytes) -> None:
        if self._http is None:
            self._http = httptools.HttpRequestParser(self)
        try:
            self._http.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # The offer is declined by answering as if it had not been made (RFC 9110 §7.8). That parser has ended.
            self._http = httptools.HttpRequestParser(self)
        except httptools.HttpParserError as error:
            if self._failure is not None:
                raise self._failure from None
            if error.__context__ is not None:
                raise error.__context__ from None  # a fault of ours in a callback, and not the client's
            raise self._explain(error) from error

    def _explain(self, error: httptools.HttpParserError) -> ProtocolError:
        text = self._head_text
        if text.startswith(b"\x16"):
            return ProtocolError(400, "tls_on_plain_port", "this port speaks plain HTTP, not TLS")
        reason = str(error)
        if reason == "Invalid HTTP version" or text.startswith(b"PRI * HTTP/2"):
            return ProtocolError(505, "version_not_supported", ONLY_THESE_VERSIONS)
        if reason in _CODING_REASONS and self._head is None:
            return ProtocolError(501, "not_implemented", ONLY_CHUNKED)
        return ProtocolError(400, "bad_request", f"malformed request: {reason}")

    def _fail(self, status: int, code: str, public: str) -> NoReturn:
        self._failure = ProtocolError(status, code, public)
        raise self._failure
