"""httptools (llhttp) for one client: turns pieces of requests into heads and chunked bodies, or an error. Knows no deadlines.

Made when there is something to parse, and freed when the connection rests: it takes 0.5 KB.
"""

from __future__ import annotations

from typing import Final

import httptools

from txtoken.errors import ProtocolError
from txtoken.http1.chunks import ChunkedBody
from txtoken.http1.head_rules import ONLY_CHUNKED, ONLY_THESE_VERSIONS, check_head_size, read_head
from txtoken.http1.messages import Head
from txtoken.settings import Limits

METHOD_BYTES: Final = 16  # of a head that are parsed before a line is complete: other protocols fail here
PROXY_V2: Final = b"\x00\r\nQUIT\n"  # the PROXY protocol's signature after its two empty lines
CHUNKED_HEAD: Final = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

# llhttp's reasons for wrong transfer codings, which it finds before this module checks them.
_CODING_REASONS: Final = {"Invalid `Transfer-Encoding` header value", "Empty Transfer-Encoding"}


class Refusal:
    """The values of a `ProtocolError`."""

    __slots__ = ("code", "public", "status")

    def __init__(self, status: int, code: str, public: str) -> None:
        self.status = status
        self.code = code
        self.public = public


class Grammar:
    """The httptools parser of one client, and what it has found.

    Call `begin` before each head. Call `close` at the end: the httptools parser and this object refer to each other, and only
    `close` breaks the cycle.
    """

    __slots__ = (
        "_chunks",
        "_fields",
        "_head",
        "_head_bytes_max",
        "_header_count_max",
        "_http",
        "_is_in_body",
        "_repeated",
        "_text",
        "field_count",
        "needs_body",
    )

    def __init__(self, limits: Limits) -> None:
        self._head_bytes_max = limits.head_bytes
        self._header_count_max = limits.header_count
        self._http: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._text = b""  # the head that is being parsed: all of it, or its beginning
        self._fields: dict[bytes, bytes] = {}  # so far
        self._repeated: dict[bytes, list[bytes]] | None = None  # values of repeated fields
        self._head: Head | None = None  # complete, until `read_head` returns it
        self._is_in_body = False  # the head is complete
        self._chunks: ChunkedBody | None = None
        self.field_count = 0
        self.needs_body = False  # httptools has seen the current request's head, and has to see the body as well

    def close(self) -> None:
        """Free the httptools parser."""
        self._http = None

    def begin(self) -> None:
        """Start another head."""
        self._fields = {}
        self._repeated = self._chunks = None
        self._is_in_body = False
        self.field_count = 0
        self.needs_body = True

    def read_part(self, piece: bytes, start: bytes) -> None:
        """Read some of a head that begins with `start`. Raises as `read_head` does."""
        self._text = start
        self.read(piece)

    def read_head(self, piece: bytes, text: bytes) -> Head:
        """Read what is left of a head, whose whole text is `text`.

        Raises:
            ProtocolError: it is not the head of a request that we serve.
        """
        self._text = text
        self.read(piece)
        head, self._head = self._head, None
        if head is None:  # an HTTP/2 preface continues after its empty line
            raise ProtocolError(505, "version_not_supported", ONLY_THESE_VERSIONS)
        self._text = b""
        return head

    @property
    def is_in_head(self) -> bool:
        """Whether a head was begun, and is not accepted yet."""
        return len(self._text) > 0

    def begin_chunks(self, body_bytes_max: int) -> bytearray:
        """Start a chunked body. Returns the object for its content."""
        self._chunks = chunks = ChunkedBody(body_bytes_max)
        return chunks.content

    def read_chunks(self, piece: bytes) -> bool:
        """Read some of a chunked body. Returns whether it is complete.

        Raises:
            ProtocolError: it is malformed, or too large.
        """
        chunks = self._chunks
        assert chunks is not None
        chunks.begin_piece(len(piece))
        self.read(piece)
        return chunks.end_piece()

    @property
    def is_worn(self) -> bool:
        """Whether the next request needs another one.

        llhttp reads trailers like a head: after `Connection: close` it would reject the next request, which may be another
        client's, sent by the same proxy.
        """
        return self._chunks is not None and self._chunks.has_trailers

    def read(self, piece: bytes) -> None:
        """Have httptools read a piece. Raises ProtocolError."""
        refusal: Refusal | None = None
        assert self._http is not None
        try:
            self._http.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # The offer is ignored (RFC 9110 §7.8). For that parser the message has ended with its head, and a body would be the
            # next request. So the caller counts off a body of known length, and a new parser, which has seen a head without an
            # offer, reads a chunked one.
            self._http = httptools.HttpRequestParser(self)
            self.needs_body = False
            if self._head is not None and self._head.content_length < 0:
                self._http.feed_data(CHUNKED_HEAD)
        except httptools.HttpParserError as error:
            refusal = self._explain(error)
        if refusal is not None:
            # Outside of the handler, and from values: the error refers to the frames that it passed, and they refer to
            # the client's bytes.
            # If one of these frames referred to the error, the cycle would wait for the garbage collector: 134 KiB for a head of
            # 64.
            raise ProtocolError(refusal.status, refusal.code, refusal.public)

    def _explain(self, error: httptools.HttpParserError) -> Refusal:
        """Return why a client's bytes are rejected."""
        if isinstance(error.__context__, ProtocolError):  # raised in a callback
            return Refusal(error.__context__.status, error.__context__.code, error.__context__.public)
        if error.__context__ is not None:
            raise RuntimeError("a callback failed") from error.__context__  # a fault of ours, not the client's
        text = self._text
        if text.startswith((b"PROX", PROXY_V2)):
            return Refusal(400, "proxy_protocol", "this port speaks HTTP without the PROXY protocol before it")
        if text.startswith(b"\x16"):
            return Refusal(400, "tls_on_plain_port", "this port speaks plain HTTP, not TLS")
        reason = str(error)
        if reason == "Invalid HTTP version" or text.startswith(b"PRI * HTTP/2"):
            return Refusal(505, "version_not_supported", ONLY_THESE_VERSIONS)
        if reason in _CODING_REASONS and not self._is_in_body:
            return Refusal(501, "not_implemented", ONLY_CHUNKED)
        return Refusal(400, "bad_request", f"malformed request: {reason}")

    # Callbacks of httptools. Exceptions from here come out of feed_data.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_body:
            if self._chunks is not None:
                self._chunks.has_trailers = True
            return  # trailers are ignored (RFC 9110 §6.5.1)
        self.field_count += 1
        if self.field_count > self._header_count_max:
            raise ProtocolError(431, "too_many_fields", "the request has too many header fields")
        name = name.lower()
        value = value.rstrip(b" \t")
        fields = self._fields
        if name not in fields:
            fields[name] = value
            return
        if self._repeated is None:
            self._repeated = {}
        self._repeated.setdefault(name, [fields[name]]).append(value)  # joined at the end, in linear time

    def on_headers_complete(self) -> None:
        if self._is_in_body:
            return  # `CHUNKED_HEAD`
        if self._repeated is not None:
            for name, values in self._repeated.items():
                self._fields[name] = (b"; " if name == b"cookie" else b", ").join(values)
        assert self._http is not None
        check_head_size(self._text, self._head_bytes_max)
        self._head = read_head(self._text, self._fields, keep_alive=self._http.should_keep_alive())
        self._is_in_body = True

    def on_chunk_header(self) -> None:
        if self._chunks is not None:
            self._chunks.begin_chunk()

    def on_body(self, body: bytes) -> None:
        if self._chunks is not None:  # any other body was read as it arrived
            self._chunks.add(body)

    def on_message_complete(self) -> None:
        if self._chunks is not None:
            self._chunks.end()
