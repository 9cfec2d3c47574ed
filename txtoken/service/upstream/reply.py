"""One reply of the remote: bytes in, a status and a body out, or the reason why there is none. Knows no connection.

httptools (llhttp) does the grammar; sizes, versions, interim replies and codings are checked here.
"""

from __future__ import annotations

import re
import ssl
from typing import Final, NoReturn

import httptools

from txtoken.errors import RemoteError, RemoteInvalid, RemoteTruncated, RemoteUnreachable
from txtoken.memo import Memo

HEAD_BYTES_MAX: Final = 64 * 1024
FIELDS_MAX: Final = 256  # header lines and trailers together; counted as they come, for each costs a call
INTERIM_REPLIES_MAX: Final = 8  # 1xx before the final reply; nobody sends more than one or two
FRAMING_BYTES_MAX: Final = 16 * 1024  # of a chunked reply: extensions and trailers together
CHUNK_FRAMING_BYTES: Final = 10  # size digits and two line ends of one chunk
# Chunks that a reply may have, however small they are, and how many bytes `limits.replyBytes` gives room for one more. Each
# costs three calls (0.2 µs): 128 KiB in chunks of one byte would hold the loop for 28 ms.
CHUNKS_MAX: Final = 16 * 1024
CHUNK_BYTES: Final = 64
EMPTY_LINE: Final = b"\r\n\r\n"
KNOWN_HEADS_MAX: Final = 64  # a remote's Date makes new ones each second, and the old ones never come again

# The codings that change a body (RFC 9110 §8.4.1, RFC 8878). Servers write all sorts of other words into Content-Encoding,
# `UTF-8` and `none` among them, that change nothing.
CODINGS: Final = frozenset((b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"compress"))

# What is kept of a head: nothing else is looked at.
_FIELDS: Final = frozenset(
    (b"content-encoding", b"content-length", b"keep-alive", b"retry-after", b"transfer-encoding")
)

_KEEP_ALIVE_TIMEOUT: Final = re.compile(rb"timeout\s*=\s*([0-9]{1,9})", re.IGNORECASE)


class KnownReplyHead:
    """What the head of a successful reply means: how long its body is, and how many seconds its connection may idle."""

    __slots__ = ("body_size", "idle_s", "text")

    def __init__(self, text: bytes, body_size: int, idle_s: float) -> None:
        self.text = text  # up to and with the empty line
        self.body_size = body_size
        self.idle_s = idle_s


class KnownReplyHeads:
    """Heads of one remote's successful replies. A reply with the same head, byte for byte, needs no parser."""

    __slots__ = ("_by_text", "_recent")

    def __init__(self) -> None:
        self._by_text: Memo[bytes, KnownReplyHead] = Memo(KNOWN_HEADS_MAX)
        self._recent: KnownReplyHead | None = None  # the one of the last reply, which is the next one's most likely

    def __len__(self) -> int:
        return len(self._by_text)

    def find(self, data: bytes) -> KnownReplyHead | None:
        """Return the head that a reply begins with, if it was seen before."""
        recent = self._recent
        if recent is None or not data.startswith(recent.text):
            recent = self._by_text.get(data[: data.find(EMPTY_LINE) + 4])
            if recent is not None:
                self._recent = recent
        return recent

    def remember(self, head: KnownReplyHead) -> None:
        """Remember a head for when it comes again."""
        self._by_text.put(head.text, head)
        self._recent = head


class ParsingStopped(Exception):
    """Leaves httptools. The failure is in the parser: an exception that is raised twice keeps the frames of both times."""


class ReplyParser:
    """One reply, from its first byte on, with the checks that httptools leaves to its user. Made anew for each reply.

    It has more than 15 attributes because they are a parser's hot state: httptools' callbacks, several a chunk, read and write
    them.
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
        http.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)  # devices pad sizes to a fixed width
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
        self._framing_size = 0  # bytes of a chunked body that are not its content
        self._in_body = False
        self._interim_count = 0
        self.status = 0
        self.body_size = 0
        self.complete = False
        self.encoded = False
        self.is_between = False  # all that came were whole interim replies
        self.ends_with_connection = False  # the body lasts until the connection ends (RFC 9112 §6.3)
        self.keep_alive = False
        self.keep_alive_timeout_s: float | None = None  # what the remote announced
        self.remembered_head = b""  # of a reply that came whole and plain: the next one's may be the same

    @property
    def body(self) -> bytes:
        """The body so far."""
        return bytes(self._body)

    @property
    def retry_after(self) -> bytes:
        """The value of Retry-After (RFC 9110 §10.2.3), as it came. Empty when there is none."""
        return self._fields.get(b"retry-after", b"")

    def close(self) -> None:
        """Break the reference cycle with the httptools parser, which would keep all of a reply until the collector runs."""
        self._http = None

    def feed(self, data: bytes) -> bool:
        """Take bytes as they arrived. True once the reply is complete; bytes after it make `keep_alive` False.

        Raises:
            RemoteUnreachable: this is no HTTP reply.
            RemoteTruncated: its body breaks the rules, or is too long.
        """
        whole = not self._received
        self._received += len(data)
        self._framing_size += len(data)
        assert self._http is not None
        try:
            self._http.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._failure = _malformed("an upgrade that nobody asked for")
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

    # What httptools calls

    def on_message_begin(self) -> None:
        self.is_between = False
        if self.complete:
            raise RemoteInvalid("surplus", "bytes behind the reply")  # ends the parsing; feed keeps the reply

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
            self._fail(_malformed("its status line is not one that we understand"))
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
        self._framing_size = 0  # counted from here on; what came with the head does not count

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
        """End the parsing. `feed` raises the failure."""
        self._failure = failure
        raise ParsingStopped

    def _take_failure(self) -> RemoteError:
        """Return the failure and keep it no longer. Its traceback refers to the frame of `feed`, and so to this parser and the
        whole reply: a reference cycle, which would last until the collector runs.
        """
        failure, self._failure = self._failure, None
        assert failure is not None
        return failure


def _malformed(why: str) -> RemoteError:
    return RemoteUnreachable("bad_response", f"the remote's reply is not HTTP that we accept: {why}")


def _is_encoded(content_encoding: bytes) -> bool:
    """Whether one of a Content-Encoding's words is a coding that changes the body (RFC 9110 §8.4)."""
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
        # In TLS 1.3 the client's part of the handshake is over before the remote has judged the client's certificate.
        return RemoteUnreachable("tls", "the TLS handshake with the remote failed")
    return RemoteUnreachable("reset", "the connection to the remote was reset")
