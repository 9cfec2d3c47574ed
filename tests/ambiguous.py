"""Requests that two programs may read in two ways, made from a seed. Knows no socket.

Each carries logins whose bodies are found nowhere else. What is `sent` may be read as a login, if only by a program that is
wrong; what is `hidden` stands where no reading by RFC 9112 makes a request of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

HOST_LINE: Final = b"Host: tokens.example.com\r\n"
JSON_LINE: Final = b"Content-Type: application/json\r\n"
PROBE: Final = b"GET /checkToken HTTP/1.1\r\nHost: tokens.example.com\r\nConnection: close\r\n\r\n"


@dataclass
class Writer:
    """Writes one client's bytes, and remembers the logins in them."""

    random: random.Random
    sent: list[str] = field(default_factory=list)  # nonces, in order
    hidden: list[str] = field(default_factory=list)

    def body(self) -> bytes:
        """Write the body of a login that counts."""
        self.sent.append(nonce := self.nonce())
        return body_of(nonce)

    def hidden_request(self) -> bytes:
        """Write a login where nobody may find it."""
        self.hidden.append(nonce := self.nonce())
        return post(body_of(nonce))

    def nonce(self) -> str:
        """Make a name that is used once."""
        return f"{self.random.getrandbits(128):032x}"

    def one_of(self, *choices: bytes) -> bytes:
        """Choose."""
        return self.random.choice(choices)


def body_of(nonce: str) -> bytes:
    """Write the body of a login."""
    return b'{"nonce":"%b"}' % nonce.encode()


def post(body: bytes, *lines: bytes, target: bytes = b"/getToken", version: bytes = b"HTTP/1.1") -> bytes:
    """Write a login with its length, and these lines more."""
    return head(b"Content-Length: %d" % len(body), *lines, target=target, version=version) + body


def head(*lines: bytes, method: bytes = b"POST", target: bytes = b"/getToken", version: bytes = b"HTTP/1.1") -> bytes:
    """Write a head."""
    fields = b"".join(line + b"\r\n" for line in lines)
    return b"%b %b %b\r\n%b%b%b\r\n" % (method, target, version, HOST_LINE, JSON_LINE, fields)


def chunked(body: bytes, extension: bytes = b"", size: bytes = b"%x", trailers: bytes = b"") -> bytes:
    """Write a body in two chunks."""
    pieces = (body[:7], body[7:])
    chunks = b"".join(b"%b%b\r\n%b\r\n" % (size % len(piece), extension, piece) for piece in pieces)
    return b"%b0\r\n%b\r\n" % (chunks, trailers)


# Well formed: every login is answered.


def plain(to: Writer) -> bytes:
    """A login as it should be."""
    return post(to.body())


def in_chunks(to: Writer) -> bytes:
    """A login in chunks, with sizes written oddly."""
    return head(b"Transfer-Encoding: chunked") + chunked(to.body(), size=to.one_of(b"%x", b"000%x", b"%X"))


def with_extensions(to: Writer) -> bytes:
    """Chunk extensions, a login in quotes among them."""
    extension = to.one_of(b";a", b";a=b", b';a="b;c"', b";" + b"x" * 200)
    return head(b"Transfer-Encoding: chunked") + chunked(to.body(), extension)


def with_trailers(to: Writer) -> bytes:
    """A trailer."""
    return head(b"Transfer-Encoding: chunked") + chunked(to.body(), trailers=b"X-Checked: 5\r\n")


def pair(to: Writer) -> bytes:
    """Two logins in one write."""
    return post(to.body()) + post(to.body())


def mixed_pair(to: Writer) -> bytes:
    """A login in chunks, and one behind it."""
    return in_chunks(to) + plain(to)


def absolute(to: Writer) -> bytes:
    """The target in absolute form."""
    return post(to.body(), target=b"http://tokens.example.com/getToken")


def expecting(to: Writer) -> bytes:
    """A client that asks whether to go on, and does not wait."""
    return post(to.body(), b"Expect: 100-continue")


# Not well formed, or read in more than one way.


def both_lengths(to: Writer) -> bytes:
    """Content-Length and Transfer-Encoding, each order; what one reading leaves is a login by the other."""
    body = chunked(to.body())
    length = to.random.choice((len(body), 4, 0, len(body) + 40))
    lines = [b"Content-Length: %d" % length, b"Transfer-Encoding: chunked"]
    to.random.shuffle(lines)
    return head(*lines) + body + post(to.body())


def odd_coding(to: Writer) -> bytes:
    """Transfer-Encoding, not quite."""
    line = to.one_of(
        *(b"Transfer-Encoding: xchunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\tchunked"),
        *(b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: Chunked"),
        *(b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding:\r\n chunked", b" Transfer-Encoding: chunked"),
        *(b"Transfer_Encoding: chunked", b"X: y\nTransfer-Encoding: chunked", b'Transfer-Encoding: "chunked"'),
        *(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding: chunked\x00"),
        *(b"Transfer-Encoding: identity", b"Transfer-Encoding: ", b"transfer-encoding: chunked, chunked"),
    )
    body = chunked(to.body())
    return head(line, b"Content-Length: %d" % to.random.choice((len(body), 4, 0))) + body + post(to.body())


def odd_length(to: Writer) -> bytes:
    """Content-Length, twice or not quite."""
    body = to.body()
    size = b"%d" % len(body)
    line = to.one_of(
        *(b"Content-Length: %b\r\nContent-Length: %b" % (size, size), b"Content-Length: %b, %b" % (size, size)),
        *(b"Content-Length: %b\r\nContent-Length: 0" % size, b"Content-Length: 0\r\nContent-Length: %b" % size),
        *(b"Content-Length: +%b" % size, b"Content-Length: 0%b" % size, b"Content-Length: 0x%x" % len(body)),
        *(b"Content-Length: -1", b"Content-Length : %b" % size, b"Content-Length: %b " % size),
        *(b"Content-Length:\r\n %b" % size, b"Content-Length: %b\x0b" % size, b"Content_Length: %b" % size),
        *(b"Content-Length: 99999999999999999999", b"Content-Length: 18446744073709551616", b"Content-Length:"),
    )
    return head(line) + body + post(to.body())


def wrong_length(to: Writer) -> bytes:
    """More or fewer bytes than were announced."""
    body = to.body()
    return head(b"Content-Length: %d" % (len(body) + to.random.choice((-3, -1, 1, 7, 4000)))) + body + post(to.body())


def named_by_connection(to: Writer) -> bytes:
    """What delimits the body is called hop-by-hop."""
    name = to.one_of(b"Content-Length", b"close, Content-Length", b"Content-Type, Content-Length", b"Host")
    return post(to.body(), b"Connection: " + name) + post(to.body())


def coding_named_by_connection(to: Writer) -> bytes:
    """The same of a body in chunks."""
    return head(b"Transfer-Encoding: chunked", b"Connection: Transfer-Encoding") + chunked(to.body()) + post(to.body())


def upgrading(to: Writer) -> bytes:
    """An offer to go on in HTTP/2, or in something else, with a body."""
    if to.random.random() < 0.5:
        return head(*offer(to), b"Transfer-Encoding: chunked") + chunked(to.body()) + post(to.body())
    return post(to.body(), *offer(to)) + post(to.body())


def upgrading_check(to: Writer) -> bytes:
    """The same with a login in the body. Who takes an upgraded request to end with its head finds it."""
    inner = to.hidden_request()
    if to.random.random() < 0.5:
        size = b"%x\r\n" % len(inner)
        return head(*offer(to), b"Transfer-Encoding: chunked", target=b"/checkToken") + size + inner + b"\r\n0\r\n\r\n"
    return post(inner, *offer(to), target=b"/checkToken")


def offer(to: Writer) -> tuple[bytes, ...]:
    """Write the lines that offer another protocol."""
    protocol = to.one_of(b"h2c", b"websocket", b"TLS/1.0", b"h2c, foo")
    return b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol, b"HTTP2-Settings: AAMAAABkAAQAAP__"


def body_on_a_check(to: Writer) -> bytes:
    """A method that has no body, with one: a login stands in it, whose every byte was announced."""
    method = to.one_of(b"GET", b"HEAD", b"GET", b"DELETE", b"OPTIONS", b"POST")
    target = to.one_of(b"/checkToken", b"/checkToken?x=1", b"/getToken", b"/nowhere")
    inner = to.hidden_request()
    return head(b"Content-Length: %d" % len(inner), method=method, target=target) + inner


def chunks_on_a_check(to: Writer) -> bytes:
    """The same in one chunk."""
    inner = to.hidden_request()
    size = b"%x\r\n" % len(inner)
    return head(b"Transfer-Encoding: chunked", method=b"GET", target=b"/checkToken") + size + inner + b"\r\n0\r\n\r\n"


def body_that_does_not_come(to: Writer) -> bytes:
    """A check that announces a body, and nothing behind it but another request."""
    return head(b"Content-Length: 43", method=b"GET", target=b"/checkToken") + post(to.body())


def odd_expectation(to: Writer) -> bytes:
    """An expectation that nobody has."""
    return post(to.body(), to.one_of(b"Expect: nothing", b"Expect: 100-continue, 200-ok", b"Expect:")) + post(to.body())


def old_version(to: Writer) -> bytes:
    """HTTP/1.0 and what is no version."""
    version = to.one_of(b"HTTP/1.0", b"HTTP/1.2", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.1 ", b"http/1.1")
    lines = (b"Connection: keep-alive",)
    if to.random.random() < 0.5:
        return head(*lines, b"Transfer-Encoding: chunked", version=version) + chunked(to.body()) + post(to.body())
    return post(to.body(), *lines, version=version) + post(to.body())


def bare_line_ends(to: Writer) -> bytes:
    """Line ends that are none, or half."""
    whole = post(to.body()) + post(to.body())
    return whole.replace(b"\r\n", to.one_of(b"\n", b"\r", b"\r\r\n", b"\n\r"), to.random.randint(1, 10))


def odd_chunks(to: Writer) -> bytes:
    """Chunk sizes that are none, or end as they should not."""
    body = to.body()
    size = b"%x" % len(body)
    begin = to.one_of(
        *(size + b"\n", size + b" \r\n", b" " + size + b"\r\n", b"0x" + size + b"\r\n", b"+" + size + b"\r\n"),
        *(size + b";\n", b"fffffffffffffff" + size + b"\r\n", size + b"\r\r\n", size + b";a\nb\r\n", b"\r\n"),
    )
    end = to.one_of(b"\r\n0\r\n\r\n", b"\n0\n\n", b"0\r\n\r\n", b"\r\n00000\r\n\r\n", b"\r\n0\r\n", b"XX0\r\n\r\n")
    return head(b"Transfer-Encoding: chunked") + begin + body + end + post(to.body())


def odd_trailers(to: Writer) -> bytes:
    """Trailers that delimit, or are malformed."""
    trailer = to.one_of(
        *(
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: identity\r\n",
            b"Host: other.example\r\n",
            b"X\r\n",
            b"X : a\r\n",
        ),
        *(b"X: a\n", b" X: a\r\n", b"X: a\r\n b\r\n", b"Connection: close\r\n", to.hidden_request()[:24] + b"\r\n"),
    )
    return head(b"Transfer-Encoding: chunked") + chunked(to.body(), trailers=trailer) + post(to.body())


def trailing_bytes(to: Writer) -> bytes:
    """Bytes after the body that belong to nothing."""
    return post(to.body()) + to.one_of(b"\r\n", b"\r\n\r\n", b"x", b"\x00", b"0\r\n\r\n", b" ", b"{}") + post(to.body())


def odd_fields(to: Writer) -> bytes:
    """Fields that are malformed, folded, doubled or look like others."""
    line = to.one_of(
        *(b"X: a\r\n b", b"X : a", b": a", b"X", b"X: a\x00b", b"X: a\rb", b"X\t: a", b"Host: other.example"),
        *(b"X-Forwarded-For: \xff", b"Content-Length\x00: 0", b"Trailer: Content-Length", b"TE: trailers, chunked"),
        *(
            b"X: " + b"y" * 9000,
            b"Keep-Alive: timeout=0",
            b"Proxy-Connection: close",
            b"X: " + to.hidden_request()[:99],
        ),
    )
    return post(to.body(), line) + post(to.body())


def odd_targets(to: Writer) -> bytes:
    """Targets that are no path, or the path written otherwise."""
    target = to.one_of(
        *(b"/getToken ", b" /getToken", b"//getToken", b"/%67etToken", b"/x/../getToken", b"/getToken?a b", b"*"),
        *(
            b"http:///getToken",
            b"https://other.example/getToken",
            b"/getToken#x",
            b"tokens.example.com:80",
            b"/getToken\t",
        ),
        *(b"http://tokens.example.com@other.example/getToken", b"/getToken;x", b"/getToken%00", b"\\getToken"),
    )
    return post(to.body(), target=target) + post(to.body())


Kind = Callable[[Writer], bytes]
WELL_FORMED: Final[tuple[Kind, ...]] = (
    *(plain, in_chunks, with_extensions, with_trailers, pair, mixed_pair, absolute, expecting),
)
AMBIGUOUS: Final[tuple[Kind, ...]] = (
    *(both_lengths, odd_coding, odd_length, wrong_length, named_by_connection, coding_named_by_connection),
    *(upgrading, upgrading_check),
    *(body_on_a_check, chunks_on_a_check, body_that_does_not_come, odd_expectation, old_version, bare_line_ends),
    *(odd_chunks, odd_trailers, trailing_bytes, odd_fields, odd_targets),
)
