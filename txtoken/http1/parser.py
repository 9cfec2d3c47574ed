"""Bytes in, complete requests out, with every limit and refusal of contract §4. Knows no sockets, no clock, no routes.

httptools (llhttp) does the grammar. What it leaves to its user is done here: sizes, `Host`, versions, transfer codings,
upgrades, expectations. It tells no offsets, and without them nothing can be counted exactly. So the bytes are fed in
pieces that end where a message may end: a body's length is known, and a head or a chunked body ends with an empty line
and nowhere else. Hence every message boundary is the end of a piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NoReturn

import httptools

from txtoken.errors import ProtocolError
from txtoken.http1.heads import KNOWN_HEAD_BYTES_MAX, KnownHead, KnownHeads
from txtoken.http1.messages import Head, Request
from txtoken.memo import Memo
from txtoken.settings import Limits

REQUEST_LINE_BYTES_MAX: Final = 16 * 1024  # twice what RFC 9112 §3 asks everybody to accept
CHUNK_OVERHEAD_BYTES_MAX: Final = 16 * 1024  # extensions and trailers of one body together: nobody needs more
CHUNK_FRAMING_BYTES_MAX: Final = 32  # a chunk's size and line ends, counted before the chunk is known to be complete
EMPTY_LINE: Final = b"\r\n\r\n"
CHUNKED_PART_BYTES: Final = 4 * 1024  # of a chunked body that are read at once: 700 of the smallest chunks, 0.2 ms
METHOD_BYTES: Final = (
    16  # of a head that httptools sees at once, before a line is complete: what is no HTTP at all fails here
)
FIELD_BYTES: Final = 150  # that a header field costs beside its text: two objects and an entry of a dictionary
LENGTH_DIGITS_MAX: Final = 18

PROXY_V2: Final = b"\x00\r\nQUIT\n"  # of its signature what comes after two empty lines
CHUNKED_HEAD: Final = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

ONLY_THESE_VERSIONS: Final = "only HTTP/1.1 and HTTP/1.0 are served here"
ONLY_CHUNKED: Final = "chunked is the only transfer coding served here"

# llhttp's words for transfer codings that it finds wrong before they are looked at here.
_CODING_REASONS: Final = {"Invalid `Transfer-Encoding` header value", "Empty Transfer-Encoding"}

_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(?::([0-9]*))?")
_ABSOLUTE_FORM: Final = re.compile(rb"[hH][tT][tT][pP][sS]?://([^/?#]+)([/?].*|)", re.DOTALL)

# Host values that were found valid: the same few come with every request, and a look-up is faster than the pattern.
KNOWN_HOSTS_MAX: Final = 64
_known_hosts: Final[Memo[bytes, bool]] = Memo(KNOWN_HOSTS_MAX)

_NO_FIELDS: Final[dict[bytes, bytes]] = {}  # stays empty: each head that is parsed begins with a new one


class Refusal:
    """What becomes a `ProtocolError`."""

    __slots__ = ("code", "public", "status")

    def __init__(self, status: int, code: str, public: str) -> None:
        self.status = status
        self.code = code
        self.public = public


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
        "_complete",
        "_data",
        "_fed",
        "_field_count",
        "_fields",
        "_framing_size",
        "_has_trailers",
        "_head",
        "_head_part",
        "_head_text",
        "_held",
        "_http",
        "_known",
        "_known_heads",
        "_limits",
        "_missing",
        "_position",
        "_repeated",
        "_tail",
        "_told",
        "_unchecked_bytes",
        "_waits_for_body",
        "_weight",
        "leaves_body",
    )

    def __init__(
        self, limits: Limits, known_heads: KnownHeads, waits_for_body: Callable[[Head], bool] | None = None
    ) -> None:
        self._limits = limits
        self._known_heads = known_heads
        self._known: KnownHead | None = None  # the last head, if it is one that may well come again
        self._unchecked_bytes = min(limits.head_bytes, REQUEST_LINE_BYTES_MAX)  # a head of that size breaks no limit
        self._http: httptools.HttpRequestParser | None = None  # made when there is something to parse
        self._data = b""  # what was fed; what was not yet consumed of it starts at _position
        self._position = 0
        self._held: bytearray | None = None  # what was fed after that
        self._tail = b""  # the last bytes consumed, while an empty line may be split between them and the next
        self._head_part: bytearray | None = None  # of a head that does not come whole: what came so far
        self._fed = 0  # bytes of it that httptools saw
        self._head_text = b""  # the whole head, while it is parsed
        self._fields = _NO_FIELDS  # so far
        self._field_count = 0
        self._repeated: dict[bytes, list[bytes]] | None = None  # values of fields that came more than once
        self._weight = 0  # of the last head that was parsed, in bytes
        self._waits_for_body = waits_for_body  # None: bodies are always waited for
        self._head: Head | None = None  # complete, its body is being read
        self._told = False  # whether httptools saw that head, and so has to see the body
        self._missing = 0  # bytes still to come of a body whose length is known
        self._body: bytearray | None = None  # as it arrives: thousands of small pieces are no larger than one large one
        self._body_size = 0  # bytes of a chunked body so far
        self._chunk_start = 0  # of them those that came before the current chunk
        self._framing_size = 0  # bytes around it so far, less what its chunks cannot do without
        self._complete = False
        self.leaves_body = False  # the last request was returned at the end of its head: nothing more may be parsed
        self._has_trailers = False  # of a chunked body

    @property
    def stage(self) -> Stage:
        """Where the bytes consumed so far have ended."""
        if self._head is not None:
            return Stage.BODY
        return Stage.HEAD if self._head_part is not None or self._head_text else Stage.IDLE

    @property
    def is_at_rest(self) -> bool:
        """Whether the last request was all there is: no byte waits, and no part of another was seen."""
        return self._head is None and not (self._data or self._tail) and self._head_part is None

    @property
    def has_more(self) -> bool:
        """Whether bytes wait that were not looked at."""
        return len(self._data) > 0  # empty as soon as the last byte was taken

    @property
    def head_weight(self) -> int:
        """How many bytes the last request's head takes. 0 where others have the same one."""
        return self._weight

    @property
    def held_bytes(self) -> int:
        """How many bytes are kept of what was fed and is no complete request."""
        held = len(self._data)
        if self._head is not None:
            held += self._weight
        if self._held is not None:
            held += len(self._held)
        if self._head_part is not None:
            held += len(self._head_part) + self._fed + FIELD_BYTES * self._field_count
        if self._body is not None:
            held += len(self._body)
        return held

    @property
    def expected(self) -> KnownHead | None:
        """The head that the next request most likely has, when no byte of it and nothing else was seen.

        What `read` makes of the next bytes is then as good as what `feed` would return, and `feed` need not see them.
        """
        return self._known if self.is_at_rest else None

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1)."""
        return self._head is not None and self._head.expects_continue and not self._body

    def rest(self) -> None:
        """Keep nothing that is of use only to a client that is about to ask. To be called between two requests."""
        self._http = None
        self._fields = _NO_FIELDS
        self._known = None

    def close(self) -> None:
        """Let go of everything. The parser is of no more use."""
        self.rest()
        self._data = b""
        self._position = self._missing = self._weight = 0
        self._held = self._head_part = self._body = self._head = None
        self._tail = b""

    def feed(self, data: bytes) -> Request | None:
        """Take bytes as they arrived, and return the next complete request, or None for "not yet".

        Raises:
            ProtocolError: the bytes are not a request that we serve. Requests before them were returned already.
        """
        self.hold(data)
        return self.next_request()

    def hold(self, data: bytes) -> None:
        """Take bytes as they arrived, to be parsed by a later call."""
        if not self._data:
            self._data = data
        elif self._held is None:
            self._held = bytearray(data)
        else:
            self._held += data

    def next_request(self) -> Request | None:
        """Return the next complete request among the bytes already fed, or None for "not yet". Raises as `feed` does.

        Of a long chunked body each call reads a part; then `has_more` is true, and it is to be called again.
        """
        data = self._data
        part_end = -1  # where a part of a chunked body ends that is enough for once
        while data:
            start = self._position
            if self._missing:
                stop = min(start + self._missing, len(data))
                take = self._take_body
            elif self._head is None:
                stop = self._piece_end(data, start, len(data))
                take = self._take_head
            else:
                if part_end < 0:
                    part_end = min(start + CHUNKED_PART_BYTES, len(data))
                stop = self._piece_end(data, start, part_end)
                take = self._take_chunked
            self._position = stop
            request = take(data if stop - start == len(data) else data[start:stop])
            if stop == len(data):
                held, self._held = self._held, None
                self._data = data = b"" if held is None else bytes(held)
                self._position = 0
            if request is not None:
                return request
            if stop == part_end:
                break
        head = self._head
        if head is not None and self._waits_for_body is not None and not self._waits_for_body(head):
            return self._leave_body(head)
        return None

    def _leave_body(self, head: Head) -> Request:
        """Return a request at the end of its head."""
        self.leaves_body = True
        self._head = self._body = None
        self._missing = 0
        return Request(head, b"")

    def _piece_end(self, data: bytes, start: int, end: int) -> int:
        """Find where a message may end: just past the next empty line before `end`, else there."""
        tail = self._tail
        if tail:
            at = (tail + data[start : min(start + 3, end)]).find(EMPTY_LINE)
            if at >= 0:
                self._tail = b""
                return start + at + 4 - len(tail)
        at = data.find(EMPTY_LINE, start, end)
        if at >= 0:
            self._tail = b""
            return at + 4
        self._tail = (tail + data[max(start, end - 3) : end])[-3:]
        return end

    # Heads

    def _take_head(self, piece: bytes) -> Request | None:
        is_whole = not self._tail
        part = self._head_part
        if part is None:
            if is_whole and (head := self._known_meaning(piece)) is not None:
                self._told = False  # httptools has nothing to add
                self._weight = 0
                return self._begin_body(head)
            text = piece.lstrip(b"\r\n")  # empty lines before a request do not begin one (RFC 9112 §2.2)
            if not text:
                return None
            self._fields = {}
            self._field_count = 0
            self._repeated = None
            unfed = text
        else:
            part += piece
            text = unfed = b""
        if not is_whole:
            self._take_part(text, piece)
            return None
        if part is not None:
            text = bytes(part)
            unfed = text[self._fed :]
        self._head_text = text
        self._told = True
        self._parse(unfed)
        head = self._head
        if head is None:
            self._fail(
                505, "version_not_supported", ONLY_THESE_VERSIONS
            )  # an HTTP/2 preface goes on after its empty line
        self._head_text = b""
        self._head_part = None
        self._weight = len(text) + FIELD_BYTES * self._field_count
        if len(text) <= KNOWN_HEAD_BYTES_MAX and 0 <= head.content_length <= self._limits.body_bytes:
            self._known = self._known_heads.learn(text, head, self._unchecked_bytes)
        return self._begin_body(head)

    def _take_part(self, text: bytes, piece: bytes) -> None:
        """Take some of a head. httptools sees it line by line: it adds up what is split, and would copy all each time."""
        part = self._head_part
        if part is None:
            self._head_part = part = bytearray(text)
            self._fed = 0
        if len(part) < len(PROXY_V2) and PROXY_V2.startswith(part):
            return
        stop = len(part) - len(piece) + piece.rfind(b"\n") + 1 if b"\n" in piece else 0
        if stop <= self._fed and self._fed < METHOD_BYTES:
            stop = min(len(part), METHOD_BYTES)
        if stop > self._fed:
            unfed = bytes(part[self._fed : stop])
            self._fed = stop
            self._parse(unfed)
        if len(part) > self._unchecked_bytes:
            self._check_head_size(part)

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

    def _check_head_size(self, text: bytes | bytearray) -> None:
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
            if _known_hosts.get(host) is None:
                self._check_host(host)
        elif minor_version == 1:
            self._fail(400, "host_missing", "the Host header field is missing")
        path, query = self._read_target(method, target)
        content_length = self._read_content_length(minor_version)
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
            _known_hosts.put(host, True)

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
        return int(length) if len(length) <= LENGTH_DIGITS_MAX else 10**LENGTH_DIGITS_MAX

    # Bodies

    def _begin_body(self, head: Head) -> Request | None:
        length = head.content_length
        if length == 0:
            self._head = None
            return Request(head, b"")
        if length > self._limits.body_bytes:
            if self._waits_for_body is not None and not self._waits_for_body(head):
                return self._leave_body(head)
            self._fail(413, "body_too_large", "the request body is too large")
        self._head = head
        if length > 0:
            self._missing = length
        else:
            self._body_size = self._chunk_start = self._framing_size = 0
            self._body = bytearray()
            self._complete = self._has_trailers = False
        return None

    def _take_body(self, piece: bytes) -> Request | None:
        self._missing -= len(piece)
        body = self._body
        if body is not None:
            body += piece
        elif self._missing:
            self._body = bytearray(piece)
        if self._missing:
            return None
        if body is not None:
            piece = bytes(body)
            self._body = None
        head = self._head
        assert head is not None
        if self._told:
            self._parse(piece)  # nothing can go wrong: this brings httptools to the end of the message
        self._head = None
        return Request(head, piece)

    def _take_chunked(self, piece: bytes) -> Request | None:
        head = self._head
        assert head is not None
        try:
            return self._read_chunks(head, piece)
        except ProtocolError:
            if self._waits_for_body is None or self._waits_for_body(head):
                raise
            return self._leave_body(head)

    def _read_chunks(self, head: Head, piece: bytes) -> Request | None:
        before = self._body_size
        self._framing_size += len(piece)
        self._parse(piece)
        self._framing_size -= self._body_size - before
        slack = 0 if self._complete else CHUNK_FRAMING_BYTES_MAX
        if self._framing_size > CHUNK_OVERHEAD_BYTES_MAX + slack:
            self._fail(431, "chunk_overhead", "the body's chunk extensions and trailers are too large")
        if slack:
            return None
        assert self._body is not None
        body = bytes(self._body)
        self._body = self._head = None
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
        self._field_count += 1
        if self._field_count > self._limits.header_count:
            self._fail(431, "too_many_fields", "the request has too many header fields")
        name = name.lower()
        value = value.rstrip(b" \t")
        fields = self._fields
        if name not in fields:
            fields[name] = value
            return
        if self._repeated is None:
            self._repeated = {}
        self._repeated.setdefault(name, [fields[name]]).append(value)  # joined when all are there: that is linear

    def on_headers_complete(self) -> None:
        if self._head is not None:
            return  # `_begin_chunks`
        if self._repeated is not None:
            for name, values in self._repeated.items():
                self._fields[name] = (b"; " if name == b"cookie" else b", ").join(values)
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
        assert self._body is not None
        self._body += body

    def on_message_complete(self) -> None:
        self._complete = True

    def _parse(self, piece: bytes) -> None:
        if self._http is None:
            self._http = httptools.HttpRequestParser(self)
        refusal: Refusal | None = None
        try:
            self._http.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # The offer is declined by answering as if it had not been made (RFC 9110 §7.8). For that parser the message has
            # ended with its head, and a body would be the next request: one of a known length is counted off here, and a
            # chunked one is read by a new parser that has seen a head without an offer.
            self._http = httptools.HttpRequestParser(self)
            self._told = False
            if self._head is not None and self._head.content_length < 0:
                self._http.feed_data(CHUNKED_HEAD)
        except httptools.HttpParserError as error:
            refusal = self._explain(error)
        if refusal is not None:
            # Out here, and made of values: the error knows the frames that it came through, which know the client's bytes. With
            # one of these frames knowing the error, all of it would wait for the collector: 134 KiB of a head of 64.
            raise ProtocolError(refusal.status, refusal.code, refusal.public)

    def _explain(self, error: httptools.HttpParserError) -> Refusal:
        """Say why a client's bytes are refused."""
        if isinstance(error.__context__, ProtocolError):  # raised in a callback
            return Refusal(error.__context__.status, error.__context__.code, error.__context__.public)
        if error.__context__ is not None:
            raise RuntimeError("a callback failed") from error.__context__  # a fault of ours, and not the client's
        text = self._head_text or bytes((self._head_part or b"")[:METHOD_BYTES])
        if text.startswith((b"PROX", PROXY_V2)):
            return Refusal(400, "proxy_protocol", "this port speaks HTTP without the PROXY protocol before it")
        if text.startswith(b"\x16"):
            return Refusal(400, "tls_on_plain_port", "this port speaks plain HTTP, not TLS")
        reason = str(error)
        if reason == "Invalid HTTP version" or text.startswith(b"PRI * HTTP/2"):
            return Refusal(505, "version_not_supported", ONLY_THESE_VERSIONS)
        if reason in _CODING_REASONS and self._head is None:
            return Refusal(501, "not_implemented", ONLY_CHUNKED)
        return Refusal(400, "bad_request", f"malformed request: {reason}")

    def _fail(self, status: int, code: str, public: str) -> NoReturn:
        raise ProtocolError(status, code, public)
