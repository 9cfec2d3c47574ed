"""RequestParser: bytes in, requests or one refusal out. Every case three ways: whole, in crumbs, with a request behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import pytest

from tests.http1.feeding import feed, next_request
from txtoken.errors import ProtocolError
from txtoken.http1.heads import KNOWN_HEAD_BYTES_MAX, KnownHeads
from txtoken.http1.messages import Request
from txtoken.http1.parser import RequestParser, Stage
from txtoken.settings import Limits

HOST: Final = b"Host: a.example\r\n"
FOLLOWING: Final = b"PUT /following HTTP/1.1\r\nHost: next.example\r\nContent-Length: 3\r\n\r\n\r\n\r"
CRUMBLED_BYTES: Final = 3000  # of a longer text only the end comes byte by byte, the rest in bigger pieces


class Refusal(NamedTuple):
    """A ProtocolError as a value."""

    status: int
    code: str
    public: str


class Outcome(NamedTuple):
    """What a parser made of some bytes: requests, then perhaps a refusal, and where it stands."""

    requests: tuple[tuple[object, ...], ...]
    refusal: Refusal | None
    stage: Stage


def facts(request: Request) -> tuple[object, ...]:
    """All that a request says, to be compared."""
    head = request.head
    return (
        *(head.method, head.path, head.query, tuple(sorted(head.fields.items())), head.minor_version),
        *(head.keep_alive, head.content_length, head.expects_continue, request.body),
    )


def parse(pieces: Iterable[bytes], limits: Limits | None = None) -> Outcome:
    """Feed pieces as a connection does. A second and a third connection have to make the same of them as the first."""
    pieces = list(pieces)
    known_heads = KnownHeads()
    outcomes = [parse_one(pieces, RequestParser(limits or Limits(), known_heads)) for _ in range(3)]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    return outcomes[0]


def take(parser: RequestParser, data: bytes) -> Request | None:
    """Take bytes as a connection does: by the head that is expected, where they are one request with that, else by parsing."""
    known = parser.expected
    return (known and known.read(data)) or feed(parser, data)


def parse_one(pieces: Iterable[bytes], parser: RequestParser) -> Outcome:
    """Ask until there is no more, and stop behind a refusal or a last request."""
    requests = []
    refusal = None
    try:
        for piece in pieces:
            request = take(parser, piece)
            while request is not None:
                requests.append(facts(request))
                if not request.head.keep_alive:
                    return Outcome(tuple(requests), None, parser.stage)
                request = next_request(parser)
    except ProtocolError as error:
        refusal = Refusal(error.status, error.code, error.public)
    finally:
        stage = parser.stage
        parser.close()
    return Outcome(tuple(requests), refusal, stage)


def crumbs(data: bytes) -> list[bytes]:
    """Cut into single bytes, save for the beginning of a long text."""
    start = max(0, len(data) - CRUMBLED_BYTES)
    return [data[at : min(at + 997, start)] for at in range(0, start, 997)] + [
        data[at : at + 1] for at in range(start, len(data))
    ]


def whole(data: bytes) -> list[bytes]:
    """All in one piece."""
    return [data]


def followed(data: bytes) -> list[bytes]:
    """All in one piece with the next request."""
    return [data + FOLLOWING]


FOLLOWER: Final = parse([FOLLOWING]).requests[0]
ways = pytest.mark.parametrize("way", [whole, crumbs, followed])
Way = Callable[[bytes], Sequence[bytes]]


# Requests that are served


@dataclass(frozen=True)
class Served:
    """A request, and what it says. What is not named is as in a plain GET."""

    name: str
    data: bytes
    method: bytes = b"GET"
    path: bytes = b"/"
    query: bytes = b""
    fields: dict[bytes, bytes] = field(default_factory=dict)  # beside Host
    host: bytes | None = b"a.example"
    minor_version: int = 1
    keep_alive: bool = True
    content_length: int = 0
    expects_continue: bool = False
    body: bytes = b""

    def facts(self) -> tuple[object, ...]:
        """Give these as `facts` does."""
        fields = self.fields if self.host is None else self.fields | {b"host": self.host}
        return (
            *(self.method, self.path, self.query, tuple(sorted(fields.items())), self.minor_version),
            *(self.keep_alive, self.content_length, self.expects_continue, self.body),
        )


def get(*lines: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1", host: bytes = HOST) -> bytes:
    """Write a GET."""
    return b"GET %b %b\r\n%b%b\r\n" % (target, version, host, b"".join(line + b"\r\n" for line in lines))


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """Write a POST to /p without any framing of its own."""
    return b"POST /p HTTP/1.1\r\n%b%b\r\n%b" % (HOST, b"".join(line + b"\r\n" for line in lines), body)


CL: Final = b"Content-Length: 5"
TE: Final = b"Transfer-Encoding: chunked"
KEPT: Final = b"Connection: Keep-Alive"
UPGRADE: Final = (b"Connection: Upgrade", b"Upgrade: h2c")


def head_of(size: int) -> bytes:
    """Write a request whose head has that many bytes."""
    return get(b"X: " + (size - len(get(b"X: "))) * b"x")


def chunked(name: str, data: bytes, body: bytes) -> Served:
    """A row of the table: a chunked POST."""
    text = post(b"Transfer-Encoding: chunked", body=data)
    fields = {b"transfer-encoding": b"chunked"}
    return Served(name, text, method=b"POST", path=b"/p", fields=fields, content_length=-1, body=body)


def sized(name: str, length: bytes, body: bytes) -> Served:
    """A row of the table: a POST with Content-Length."""
    text = post(b"Content-Length:" + length, body=body)
    fields = {b"content-length": length.strip()}
    return Served(name, text, method=b"POST", path=b"/p", fields=fields, content_length=len(body), body=body)


def offer(
    name: str, lines: Sequence[bytes], framing: bytes, content: bytes, body: bytes, *, kept: bool = True
) -> Served:
    """A row of the table: a POST that offers another protocol for its connection."""
    fields = dict(line.split(b": ", 1) for line in (framing, *lines))
    return Served(
        name,
        post(framing, *lines, body=content),
        method=b"POST",
        path=b"/p",
        fields={field.lower(): value for field, value in fields.items()},
        content_length=-1 if framing == TE else int(framing[16:]),
        keep_alive=kept,
        body=body,
    )


SMUGGLED: Final = b"GET / HTTP/1.1\r\nHost: smuggled.example\r\n\r\n"
JAVA: Final = (b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAEAAEAAAAIAAAAB", b"Upgrade: h2c")

SERVED: Final = [
    Served("get", get()),
    Served("query", get(target=b"/a?b=c?d&e"), path=b"/a", query=b"b=c?d&e"),
    Served("undecoded", get(target=b"/%41%zz?%"), path=b"/%41%zz", query=b"%"),
    Served("absolute", get(target=b"http://B.example:80/x?y"), path=b"/x", query=b"y", host=b"B.example:80"),
    Served("absolute-no-path", get(target=b"HTTP://b.example"), host=b"b.example"),
    Served("absolute-query", get(target=b"http://b.example?y"), query=b"y", host=b"b.example"),
    Served("asterisk", get(target=b"*").replace(b"GET", b"OPTIONS"), method=b"OPTIONS", path=b"*"),
    Served("head", get().replace(b"GET", b"HEAD"), method=b"HEAD"),
    Served("empty-line-before", b"\r\n" + get()),
    Served("empty-lines-before", 7 * b"\r\n" + get()),
    Served("host-port", get(host=b"Host: a:65535\r\n"), host=b"a:65535"),
    Served("host-no-port", get(host=b"Host: a:\r\n"), host=b"a:"),
    Served("host-v6", get(host=b"Host: [::1]:8888\r\n"), host=b"[::1]:8888"),
    Served("host-empty", get(host=b"Host:\r\n"), host=b""),
    Served("host-of-1.0", get(version=b"HTTP/1.0", host=b""), minor_version=0, keep_alive=False, host=None),
    Served("name-case", get(b"X-A: b", host=b"hOsT: a.example\r\n"), fields={b"x-a": b"b"}),
    Served("white-space", get(b"X-A: \t b c\t ", b"X-B:d"), fields={b"x-a": b"b c", b"x-b": b"d"}),
    Served("empty-value", get(b"X-A:", b"X-B: "), fields={b"x-a": b"", b"x-b": b""}),
    Served("obs-text", get(b"X-A: \xff\x80"), fields={b"x-a": b"\xff\x80"}),
    Served("repeated", get(b"X-A: 1", b"x-a: 2", b"X-A: 3"), fields={b"x-a": b"1, 2, 3"}),
    Served("cookies", get(b"Cookie: a=1", b"Cookie: b=2"), fields={b"cookie": b"a=1; b=2"}),
    Served("close", get(b"Connection: close"), fields={b"connection": b"close"}, keep_alive=False),
    Served("close-in-list", get(b"Connection: x, Close"), fields={b"connection": b"x, Close"}, keep_alive=False),
    Served("1.0", get(version=b"HTTP/1.0"), minor_version=0, keep_alive=False),
    Served("1.0-kept", get(KEPT, version=b"HTTP/1.0"), fields={b"connection": b"Keep-Alive"}, minor_version=0),
    Served("upgrade-declined", get(*UPGRADE), fields={b"connection": b"Upgrade", b"upgrade": b"h2c"}),
    offer("upgrade-body", UPGRADE, b"Content-Length: 41", SMUGGLED[:41], SMUGGLED[:41]),
    offer("upgrade-empty-lines", UPGRADE, b"Content-Length: 8", b"\r\n\r\n\r\n\r\n", b"\r\n\r\n\r\n\r\n"),
    offer("upgrade-chunks", UPGRADE, TE, b"29\r\n" + SMUGGLED[:41] + b"\r\n0\r\n\r\n", SMUGGLED[:41]),
    offer("upgrade-trailers", UPGRADE, TE, b"5\r\nhello\r\n0\r\nUpgrade: h2c\r\n\r\n", b"hello"),
    offer("upgrade-chunked-empty", UPGRADE, TE, b"0\r\n\r\n", b""),
    offer("upgrade-alone", UPGRADE[1:], CL, b"hello", b"hello"),
    offer("java", JAVA, CL, b"hello", b"hello"),
    offer("upgrade-and-close", (b"Connection: Upgrade, close", b"Upgrade: h2c"), TE, b"0\r\n\r\n", b"", kept=False),
    sized("body", b" 5", b"hello"),
    sized("body-empty", b"0", b""),
    sized("body-zeros", b"\t007 ", b"hello\r\n"),
    sized("body-like-a-request", b" 41", b"GET / HTTP/1.1\r\nHost: smuggled.example\r\n\r\n"[:41]),
    sized("body-empty-lines", b" 8", b"\r\n\r\n\r\n\r\n"),
    Served(
        "expect",
        post(b"Expect: 100-Continue", CL, body=b"hello"),
        method=b"POST",
        path=b"/p",
        fields={b"expect": b"100-Continue", b"content-length": b"5"},
        content_length=5,
        expects_continue=True,
        body=b"hello",
    ),
    Served("expect-nothing", get(b"Expect: 100-continue"), fields={b"expect": b"100-continue"}),
    Served(
        "expect-of-1.0",
        get(b"Expect: what", version=b"HTTP/1.0"),
        fields={b"expect": b"what"},
        minor_version=0,
        keep_alive=False,
    ),
    chunked("chunked", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    chunked("chunked-empty", b"0\r\n\r\n", b""),
    chunked("chunked-zeros", b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    chunked("chunked-hexadecimal", b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 2 * b"0123456789"),
    chunked("chunked-empty-lines", b"4\r\n\r\n\r\n\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n\r\n0\r\n\r\n"),
    chunked("extensions", b'5;a;b="c"\r\nhello\r\n0;d=e\r\n\r\n', b"hello"),
    chunked("trailers", b"5\r\nhello\r\n0\r\nHost: b\r\nX-A: c\r\n\r\n", b"hello"),
    chunked("trailer-close", b"5\r\nhello\r\n0\r\nConnection: close\r\n\r\n", b"hello"),
    chunked("trailer-upgrade", b"5\r\nhello\r\n0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", b"hello"),
    chunked("trailer-framing", b"5\r\nhello\r\n0\r\nX-Content-Length: 9\r\n\r\n", b"hello"),
]


@ways
@pytest.mark.parametrize("row", SERVED, ids=lambda row: row.name)
def test_served(row: Served, way: Way) -> None:
    """A request that is served is read wrongly, or a byte behind it is lost."""
    outcome = parse(way(row.data))
    assert outcome.refusal is None
    expected = (row.facts(), FOLLOWER) if way is followed and row.keep_alive else (row.facts(),)
    assert outcome == Outcome(expected, None, Stage.IDLE)


# Bytes that are refused

BAD: Final = "bad_request"

REFUSED: Final = {
    # Request lines
    "no-version": (b"GET /\r\n\r\n", 400, BAD),
    "three-spaces": (get(target=b"/a b"), 400, BAD),
    "tab": (b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, BAD),
    "bare-lf": (get().replace(b"\r\n", b"\n"), 400, BAD),
    "bare-cr": (get(b"X-A: b\rc"), 400, BAD),
    "unknown-method": (get().replace(b"GET", b"FOO"), 400, BAD),
    "status-line": (b"HTTP/1.1 200 OK\r\n\r\n", 400, BAD),
    "relative-target": (get(target=b"a"), 400, BAD),
    "asterisk-get": (get(target=b"*"), 400, "bad_target"),
    "fragment": (get(target=b"/a#b"), 400, "bad_target"),
    "other-scheme": (get(target=b"ftp://b.example/"), 400, "bad_target"),
    "absolute-no-host": (get(target=b"http:///x"), 400, "bad_target"),
    "absolute-userinfo": (get(target=b"http://u@b.example/"), 400, "bad_host"),
    "connect": (b"CONNECT b.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", 501, "not_implemented"),
    # Versions
    "0.9": (get(version=b"HTTP/0.9"), 505, "version_not_supported"),
    "2.0": (get(version=b"HTTP/2.0"), 505, "version_not_supported"),
    "1.2": (get(version=b"HTTP/1.2"), 505, "version_not_supported"),
    "3.0": (get(version=b"HTTP/3.0"), 505, "version_not_supported"),
    "1.10": (get(version=b"HTTP/1.10"), 400, BAD),
    "lower-case": (get(version=b"http/1.1"), 400, BAD),
    "other-protocol": (b"OPTIONS / RTSP/1.0\r\n" + HOST + b"\r\n", 505, "version_not_supported"),
    "proxy-v1": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(), 400, "proxy_protocol"),
    "proxy-v2": (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + 12 * b"\x01" + get(), 400, "proxy_protocol"),
    "nearly-proxy-v2": (b"\r\n\r\n\x00\r\nQUIET\r\n\r\n", 400, BAD),
    "http2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_not_supported"),
    "tls-hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "tls_on_plain_port"),
    # Host
    "no-host": (get(host=b""), 400, "host_missing"),
    "no-host-absolute": (get(target=b"http://b.example/", host=b""), 400, "host_missing"),
    "two-hosts": (get(b"Host: a.example"), 400, "bad_host"),
    "two-hosts-1.0": (get(b"Host: b.example", version=b"HTTP/1.0"), 400, "bad_host"),
    "two-empty-hosts": (get(b"Host:", host=b"Host:\r\n"), 400, "bad_host"),
    "two-hosts-absolute": (get(b"Host: b.example", target=b"http://a.example/"), 400, "bad_host"),
    "host-userinfo": (get(host=b"Host: u@a\r\n"), 400, "bad_host"),
    "host-path": (get(host=b"Host: a/b\r\n"), 400, "bad_host"),
    "host-space": (get(host=b"Host: a b\r\n"), 400, "bad_host"),
    "host-port-text": (get(host=b"Host: a:http\r\n"), 400, "bad_host"),
    "host-port-65536": (get(host=b"Host: a:65536\r\n"), 400, "bad_host"),
    "host-port-long": (get(host=b"Host: a:000080\r\n"), 400, "bad_host"),
    "host-bracket": (get(host=b"Host: [::1\r\n"), 400, "bad_host"),
    "host-8-bit": (get(host=b"Host: \xe4\r\n"), 400, "bad_host"),
    # Fields
    "space-before-colon": (get(b"X-A : b"), 400, BAD),
    "no-colon": (get(b"X-A"), 400, BAD),
    "no-name": (get(b": b"), 400, BAD),
    "name-control": (get(b"X\x01: b"), 400, BAD),
    "name-8-bit": (get(b"X\xff: b"), 400, BAD),
    "value-nul": (get(b"X-A: b\x00c"), 400, BAD),
    "value-control": (get(b"X-A: b\x01c"), 400, BAD),
    "value-del": (get(b"X-A: b\x7fc"), 400, BAD),
    "obs-fold-space": (get(b"X-A: b", b" c"), 400, BAD),
    "obs-fold-tab": (get(b"X-A: b", b"\tc"), 400, BAD),
    "fold-first": (get(host=b" X-A: b\r\n" + HOST), 400, BAD),
    # Framing
    "length-and-coding": (post(CL, TE, body=b"0\r\n\r\n"), 400, BAD),
    "coding-and-length": (post(TE, CL, body=b"0\r\n\r\n"), 400, BAD),
    "length-same-twice": (post(CL, CL, body=b"hello"), 400, BAD),
    "length-differs": (post(CL, b"Content-Length: 4", body=b"hello"), 400, BAD),
    "length-list": (post(b"Content-Length: 5, 5", body=b"hello"), 400, BAD),
    "length-empty": (post(b"Content-Length:"), 400, BAD),
    "length-plus": (post(b"Content-Length: +5", body=b"hello"), 400, BAD),
    "length-minus": (post(b"Content-Length: -5", body=b"hello"), 400, BAD),
    "length-hexadecimal": (post(b"Content-Length: 0x5", body=b"hello"), 400, BAD),
    "length-underscore": (post(b"Content-Length: 1_0", body=b"hello"), 400, BAD),
    "length-20-digits": (post(b"Content-Length: " + 20 * b"9"), 400, BAD),
    "length-19-digits": (post(b"Content-Length: " + 19 * b"9"), 413, "body_too_large"),
    "coding-gzip": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501, "not_implemented"),
    "coding-twice": (post(TE, TE, body=b"0\r\n\r\n"), 501, "not_implemented"),
    "coding-not-last": (post(b"Transfer-Encoding: chunked, gzip"), 501, "not_implemented"),
    "coding-identity": (post(b"Transfer-Encoding: identity"), 501, "not_implemented"),
    "coding-empty": (post(b"Transfer-Encoding:"), 501, "not_implemented"),
    "coding-of-1.0": (post(TE, body=b"0\r\n\r\n").replace(b"/1.1", b"/1.0"), 400, "bad_framing"),
    "upgrade-and-both": (post(CL, TE, *UPGRADE, body=b"0\r\n\r\n"), 400, BAD),
    "upgrade-chunk-size": (post(TE, *UPGRADE, body=b"g\r\n"), 400, BAD),
    "upgrade-chunk-long": (post(TE, *UPGRADE, body=b"4\r\nhello\r\n0\r\n\r\n"), 400, BAD),
    "expect-other": (post(CL, b"Expect: 200-ok"), 417, "expectation_failed"),
    "expect-list": (post(CL, b"Expect: 100-continue, x"), 417, "expectation_failed"),
    # Chunks
    "chunk-size-text": (post(TE, body=b"g\r\n"), 400, BAD),
    "chunk-size-empty": (post(TE, body=b"\r\nhello"), 400, BAD),
    "chunk-size-minus": (post(TE, body=b"-5\r\nhello"), 400, BAD),
    "chunk-size-17-digits": (post(TE, body=17 * b"f" + b"\r\n"), 400, BAD),
    "chunk-size-bare-lf": (post(TE, body=b"5\nhello\r\n0\r\n\r\n"), 400, BAD),
    "chunk-size-bare-cr": (post(TE, body=b"5\rhello\r\n0\r\n\r\n"), 400, BAD),
    "chunk-data-short": (post(TE, body=b"6\r\nhello\r\n0\r\n\r\n"), 400, BAD),
    "chunk-data-long": (post(TE, body=b"4\r\nhello\r\n0\r\n\r\n"), 400, BAD),
    "chunk-extension-control": (post(TE, body=b"5;\x00\r\nhello\r\n0\r\n\r\n"), 400, BAD),
    "chunk-extension-bare-lf": (post(TE, body=b"5;a\nhello\r\n0\r\n\r\n"), 400, BAD),
    "trailer-no-name": (post(TE, body=b"0\r\n: b\r\n\r\n"), 400, BAD),
    "trailer-coding": (post(TE, body=b"0\r\nTransfer-Encoding: gzip, chunked, x\r\n\r\n"), 400, BAD),
    "trailer-control": (post(TE, body=b"0\r\nX-A: \x00\r\n\r\n"), 400, BAD),
}


@ways
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, way: Way) -> None:
    """Bytes that are to be refused are served, or refused for another reason than the rule they break."""
    data, status, code = REFUSED[name]
    outcome = parse(way(data))
    assert outcome.refusal is not None
    assert (outcome.requests, outcome.refusal[:2]) == ((), (status, code))


@ways
@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_the_second(name: str, way: Way) -> None:
    """A refusal takes the place of the complete request before it, or that request spoils the reason."""
    data, status, code = REFUSED[name]
    outcome = parse(way(FOLLOWING + data))
    assert outcome.refusal is not None
    assert (outcome.requests, outcome.refusal[:2]) == ((FOLLOWER,), (status, code))


# What a connection asks of its parser


@pytest.mark.parametrize(
    ("data", "stage", "expects_continue"),
    [
        (b"", Stage.IDLE, False),
        (b"\r\n\r\n\r", Stage.IDLE, False),
        (b"\r\nG", Stage.HEAD, False),
        (get()[:-1], Stage.HEAD, False),
        (get(), Stage.IDLE, False),
        (get() + b"\r\n", Stage.IDLE, False),
        (post(CL), Stage.BODY, False),
        (post(CL, b"Expect: 100-continue"), Stage.BODY, True),
        (post(TE, b"Expect: 100-continue"), Stage.BODY, True),
        (post(CL, b"Expect: 100-continue", body=b"h"), Stage.BODY, False),
        (post(CL, b"Expect: 100-continue").replace(b"/1.1", b"/1.0"), Stage.BODY, False),
        (post(TE, body=b"0\r\n\r"), Stage.BODY, False),
        (post(CL, body=b"hello"), Stage.IDLE, False),
    ],
    ids=[
        *("nothing", "empty-lines", "first-byte", "head-all-but-one", "complete", "empty-line-behind", "head"),
        *("expect-length", "expect-chunked", "body-begun", "expect-of-1.0", "chunks-all-but-one", "complete-body"),
    ],
)
@pytest.mark.parametrize("way", [whole, crumbs])
def test_stage(data: bytes, stage: Stage, expects_continue: bool, way: Way) -> None:
    """The parser names another part of a message than the one that is missing, so the wrong deadline runs."""
    parser = RequestParser(Limits(), KnownHeads())
    for piece in way(data):
        parser.feed(piece)
    assert (parser.stage, parser.expects_continue) == (stage, expects_continue)
    assert stage is Stage.IDLE or not parser.is_at_rest
    parser.close()


def test_held_bytes_are_kept_in_order() -> None:
    """Bytes that arrive while an answer is waited for are lost, or parsed in another order."""
    parser = RequestParser(Limits(), KnownHeads())
    first = parser.feed(get(target=b"/1") + get(target=b"/2")[:9])
    parser.hold(get(target=b"/2")[9:20])
    parser.hold(get(target=b"/2")[20:] + get(target=b"/3"))
    seen = [first, parser.next_request(), parser.next_request(), parser.next_request()]
    assert [request and request.head.path for request in seen] == [b"/1", b"/2", b"/3", None]
    parser.close()


def read_one(parser: RequestParser, data: bytes) -> Request:
    """Feed one complete request."""
    request = take(parser, data)
    assert request is not None
    return request


def test_a_repeated_head_is_remembered() -> None:
    """A head that comes again to the letter is parsed again, or the body or a later request is read wrongly for it."""
    parser = RequestParser(Limits(), KnownHeads())
    first = read_one(parser, post(CL, body=b"hello"))
    again = read_one(parser, post(CL, body=b"\r\n\r\nx"))
    assert again.head is first.head
    assert (first.body, again.body) == (b"hello", b"\r\n\r\nx")
    other = read_one(parser, post(b"Content-Length: 4", body=b"four"))
    assert (other.head.content_length, other.body) == (4, b"four")
    assert read_one(parser, post(b"Content-Length: 4", body=b"4444")).head is other.head
    assert read_one(parser, post(TE, body=b"1\r\na\r\n0\r\n\r\n")).body == b"a"
    assert read_one(parser, post(b"Content-Length: 4", body=b"IIII")).head is other.head
    parser.close()


@pytest.mark.parametrize("way", [whole, crumbs])
def test_a_head_that_begins_like_the_remembered_one(way: Way) -> None:
    """A head is taken for the remembered one though it only begins or ends like it."""
    longer = get(b"X-A: b")
    outcome = parse(way(get() + longer + get() + b"\r\n" + get() + longer))
    assert [dict(request[3]) for request in outcome.requests if isinstance(request[3], tuple)] == [
        {b"host": b"a.example"},
        {b"host": b"a.example", b"x-a": b"b"},
        {b"host": b"a.example"},
        {b"host": b"a.example"},
        {b"host": b"a.example", b"x-a": b"b"},
    ]


@pytest.mark.parametrize(
    ("data", "remembered"),
    [
        (head_of(KNOWN_HEAD_BYTES_MAX), True),
        (head_of(KNOWN_HEAD_BYTES_MAX + 1), False),
        (post(TE, body=b"0\r\n\r\n"), False),
        (get(*UPGRADE), True),
    ],
    ids=["2KiB", "larger", "chunked", "upgrade"],
)
def test_what_is_remembered(data: bytes, remembered: bool) -> None:
    """An idle connection holds on to a large head, or a head is remembered whose body needs httptools."""
    parser = RequestParser(Limits(), KnownHeads())
    first, again = read_one(parser, data), read_one(parser, data)
    assert facts(first) == facts(again)
    assert (first.head is again.head) is remembered
    parser.close()


def test_a_refused_host_is_not_taken_for_known() -> None:
    """A malformed Host passes the second time, because it was seen before."""
    for _ in range(2):
        outcome = parse([get(host=b"Host: u@a.example\r\n")])
        assert outcome.refusal is not None
