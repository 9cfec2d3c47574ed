"""Parses one reply of the remote: bytes to a status and a body, or to the failure. Knows no connection.

httptools (llhttp) parses the grammar. Sizes, versions, interim replies and codings are checked here.
"""

from __future__ import annotations

import re
import ssl
from typing import Final, NoReturn

import httptools

from txtoken.errors import RemoteError, RemoteInvalid, RemoteTruncated, RemoteUnreachable
from txtoken.memo import Memo

HEAD_BYTES_MAX: Final = 64 * 1024
FIELDS_MAX: Final = 256  # header lines and trailers together; counted as they arrive, because each costs a call
INTERIM_REPLIES_MAX: Final = 8  # 1xx before the final reply; real servers send one or two
FRAMING_BYTES_MAX: Final = 16 * 1024  # extensions and trailers of a chunked reply, together
CHUNK_FRAMING_BYTES: Final = 10  # the size digits and two line ends of one chunk
# Chunks that any reply may have, and how many bytes of `limits.replyBytes` allow one more. Each costs three calls (0.2 µs):
# 128 KiB in chunks of one byte would block the loop for 28 ms.
CHUNKS_MAX: Final = 16 * 1024
CHUNK_BYTES: Final = 64
EMPTY_LINE: Final = b"\r\n\r\n"
KNOWN_HEADS_MAX: Final = 64  # a remote's Date makes new heads each second, and old ones never return

# The codings that change a body (RFC 9110 §8.4.1, RFC 8878). Servers also write other words into Content-Encoding, such as
# `UTF-8` and `none`, that change nothing.
CODINGS: Final = frozenset((b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"compress"))

# The fields of a head that are kept: no other is used.
_FIELDS: Final = frozenset(
    (b"content-encoding", b"content-length", b"keep-alive", b"retry-after", b"transfer-encoding")
)

_KEEP_ALIVE_TIMEOUT: Final = re.compile(rb"timeout\s*=\s*([0-9]{1,9})", re.IGNORECASE)


class KnownReplyHead:
    """The meaning of a successful reply's head: the length of its body, and how many seconds its connection may be idle."""

    __slots__ = ("body_size", "idle_s", "text")

    def __init__(self, text: bytes, body_size: int, idle_s: float) -> None:
        self.text = text  # including the empty line
        self.body_size = body_size
        self.idle_s = idle_s


class KnownReplyHeads:
    """The known heads of a remote's successful replies. A reply with the same head, byte for byte, needs no parser."""

    __slots__ = ("_by_text", "_recent")

    def __init__(self) -> None:
        self._by_text: Memo[bytes, KnownReplyHead] = Memo(KNOWN_HEADS_MAX)
        self._recent: KnownReplyHead | None = None  # the head of the last reply, most likely the next one's, too

    def __len__(self) -> int:
        return len(self._by_text)

    def find(self, data: bytes) -> KnownReplyHead | None:
        """Return the head of a reply, if it is known."""
        recent = self._recent
        if recent is None or not data.startswith(recent.text):
            recent = self._by_text.get(data[: data.find(EMPTY_LINE) + 4])
            if recent is not None:
                self._recent = recent
        return recent

    def remember(self, head: KnownReplyHead) -> None:
        """Remember a head."""
        self._by_text.put(head.text, head)
        self._recent = head


class ParsingStopped(Exception):
    """Stops httptools. The parser has the failure: an exception that is raised twice keeps the frames of both times."""


class ReplyParser:
    """Parses one reply, with the checks that httptools leaves to its user. Each reply gets a new parser.

    It has more than 15 attributes because they are a parser's hot state: httptools' callbacks, several for each chunk, use them.
    """

    __slots__ = (
        "_body",
        "_chunk_count",
        "_chunks_max",
        "_failure",
        "_field_count",
        "_fields",
        "_framing_size",
        "_head_size",
        "_http",
        "_in_body",
        "_interim_count",
        "_received",
        "_reply_bytes_max",
        "_success_statuses",
        "body_size",
        "complete",
        "encoded",
        "ends_with_connection",
        "is_between",
        "keep_alive",
        "keep_alive_timeout_s",
        "remembered_head",
        "status",
    )

    def __init__(self, reply_bytes_max: int, success_statuses: frozenset[int]) -> None:
        http = httptools.HttpResponseParser(self)
        http.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)  # some devices pad sizes to a fixed width
        self._http: httptools.HttpResponseParser | None = http
        self._reply_bytes_max = reply_bytes_max
        self._success_statuses = success_statuses
        self._field_count = 0
        self._head_size = 0  # bytes of the fields
        self._chunk_count = 0
        self._chunks_max = CHUNKS_MAX + reply_bytes_max // CHUNK_BYTES
        self._fields: dict[bytes, bytes] = {}
        self._body = bytearray()
        self._failure: RemoteError | None = None
        self._received = 0  # bytes
        self._framing_size = 0  # bytes of a chunked body without its content
        self._in_body = False
        self._interim_count = 0
        self.status = 0
        self.body_size = 0
        self.complete = False
        self.encoded = False
        self.is_between = False  # everything so far were complete interim replies
        self.ends_with_connection = False  # the body ends with the connection (RFC 9112 §6.3)
        self.keep_alive = False
        self.keep_alive_timeout_s: float | None = None  # the value that the remote announced
        self.remembered_head = b""  # the head of a complete, plain reply: the next one may have the same

    @property
    def body(self) -> bytes:
        """The body so far."""
        return bytes(self._body)

    @property
    def retry_after(self) -> bytes:
        """The raw value of Retry-After (RFC 9110 §10.2.3). Empty: none."""
        return self._fields.get(b"retry-after", b"")

    def close(self) -> None:
        """Break the reference cycle with the httptools parser, which would keep the reply until the garbage collector runs."""
        self._http = None

    def feed(self, data: bytes) -> bool:
        """Feed bytes as they arrive. True once the reply is complete; bytes after it make `keep_alive` False.

        Raises:
            RemoteUnreachable: this is not an HTTP reply.
            RemoteTruncated: its body is malformed or too long.
        """
        whole = not self._received
        self._received += len(data)
        self._framing_size += len(data)
        assert self._http is not None
        try:
            self._http.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._failure = _malformed("an upgrade that the request did not allow")
        except httptools.HttpParserError as error:
            if self.complete:
                self.keep_alive = False
            elif self._failure is None:
                self._failure = _malformed(str(error))
                if self._in_body:
                    self._failure = RemoteTruncated("truncated", "the reply's body is malformed", self.status)
        if self.complete:
            if whole and self.keep_alive and self.status in self._success_statuses and not self.encoded:
                self._remember_head(data)
            return True
        if self._failure is None:
            if not self._in_body and self._received > HEAD_BYTES_MAX:
                self._failure = _malformed("its header section is too large")
            elif self._in_body and self._framing_size > FRAMING_BYTES_MAX:
                self._failure = RemoteTruncated("too_large", "the reply's chunk framing is too large", self.status)
        if self._failure is not None:
            raise self._take_failure()
        return False

    def cut_short(self) -> RemoteError:
        """Return the failure of a reply whose connection ends here."""
        if self._in_body:
            return RemoteTruncated("truncated", "the reply was cut short", self.status)
        return lost_before_reply(None)

    def _remember_head(self, data: bytes) -> None:
        end = data.find(EMPTY_LINE) + 4
        if b"content-length" in self._fields and len(data) == end + self.body_size and not self._interim_count:
            self.remembered_head = data[:end]

    # Callbacks of httptools

    def on_message_begin(self) -> None:
        self.is_between = False
        if self.complete:
            raise RemoteInvalid("surplus", "bytes after the reply")  # stops the parsing; feed keeps the reply

    def on_header(self, name: bytes, value: bytes) -> None:
        self._field_count += 1
        if self._field_count > FIELDS_MAX:
            if self._in_body:
                self._fail(RemoteTruncated("too_large", "the reply has too many trailers", self.status))
            self._fail(_malformed("it has too many header lines"))
        if self._in_body:
            return
        self._head_size += len(name) + len(value) + 4
        if self._head_size > HEAD_BYTES_MAX:
            self._fail(_malformed("its header section is too large"))
        name = name.lower()
        if name in _FIELDS:
            before = self._fields.get(name)
            self._fields[name] = value.strip() if before is None else before + b", " + value.strip()

    def on_headers_complete(self) -> None:
        assert self._http is not None
        status = self._http.get_status_code()
        fields = self._fields
        if not 100 <= status <= 599 or status == 101 or self._http.get_http_version() not in ("1.1", "1.0"):
            self._fail(_malformed("its status line is not supported"))
        if status < 200:
            return
        coding = fields.get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            self._fail(_malformed("its transfer coding is not chunked"))
        self.status = status
        self.encoded = _is_encoded(fields.get(b"content-encoding", b""))
        self.keep_alive = self._http.should_keep_alive()
        self.keep_alive_timeout_s = _announced_timeout(fields.get(b"keep-alive", b""))
        self.ends_with_connection = coding is None and b"content-length" not in fields
        if int(fields.get(b"content-length", b"0")) > self._reply_bytes_max:
            self._fail(RemoteTruncated("too_large", "the reply is too large", self.status))
        self._in_body = True
        self._framing_size = 0  # counted from here on, without the head

    def on_chunk_header(self) -> None:
        self._framing_size -= CHUNK_FRAMING_BYTES
        self._chunk_count += 1
        if self._chunk_count > self._chunks_max:
            self._fail(RemoteTruncated("too_large", "the reply has too many chunks", self.status))

    def on_body(self, body: bytes) -> None:
        self.body_size += len(body)
        self._framing_size -= len(body)
        if self.body_size > self._reply_bytes_max:
            self._fail(RemoteTruncated("too_large", "the reply is too large", self.status))
        self._body += body

    def on_message_complete(self) -> None:
        if self._in_body:
            self.complete = True
            return
        self._fields = {}
        self.is_between = True
        self._interim_count += 1
        if self._interim_count > INTERIM_REPLIES_MAX:
            self._fail(_malformed("too many interim replies"))

    def _fail(self, failure: RemoteError) -> NoReturn:
        """Stop the parsing. `feed` raises the failure."""
        self._failure = failure
        raise ParsingStopped

    def _take_failure(self) -> RemoteError:
        """Return the failure and drop it. Its traceback refers to the frame of `feed`, and so to this parser and the whole reply:
        a reference cycle, which would last until the garbage collector runs.
        """
        failure, self._failure = self._failure, None
        assert failure is not None
        return failure


def _malformed(why: str) -> RemoteError:
    return RemoteUnreachable("bad_response", f"the remote's reply is not valid HTTP: {why}")


def _is_encoded(content_encoding: bytes) -> bool:
    """Whether one of the words in Content-Encoding is a coding that changes the body (RFC 9110 §8.4)."""
    return bool(content_encoding) and any(word.strip() in CODINGS for word in content_encoding.lower().split(b","))


def _announced_timeout(keep_alive: bytes) -> float | None:
    """Read `timeout=N` (seconds) of a Keep-Alive field (RFC 2068 §19.7.1)."""
    match = _KEEP_ALIVE_TIMEOUT.search(keep_alive)
    return float(match[1]) if match else None


def lost_before_reply(error: Exception | None) -> RemoteError:
    """Return the failure of a request whose connection ended before a byte of a reply. `error` is None for a clean end."""
    if error is None:
        return RemoteUnreachable("closed", "the remote closed the connection without an answer")
    if isinstance(error, ssl.SSLError):
        # In TLS 1.3, the client's part of the handshake ends before the remote has verified the client's certificate.
        return RemoteUnreachable("tls", "the TLS handshake with the remote failed")
    return RemoteUnreachable("reset", "the connection to the remote was reset")
