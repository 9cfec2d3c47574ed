"""RequestParser's limits to the byte, and what holds for any bytes however they are split. Its rules: test_parser.py."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http1.feeding import feed, next_request
from tests.http1.test_parser import CL, HOST, TE, Way, crumbs, followed, get, head_of, parse, post, take, whole
from txtoken.http1.chunks import CHUNK_OVERHEAD_BYTES_MAX
from txtoken.http1.head_rules import REQUEST_LINE_BYTES_MAX
from txtoken.http1.heads import KnownHeads
from txtoken.http1.parser import RequestParser, Stage
from txtoken.settings import Limits

KEEP_ALIVE: Final = 5  # its place among the facts of a request

# Limits: what is exactly as large passes, one byte more does not


def line_of(size: int) -> bytes:
    """Write a request whose first line has that many bytes, without its line end."""
    return get(target=b"/" + (size - len(b"GET / HTTP/1.1")) * b"x")


def fields_of(count: int) -> bytes:
    """Write a request with that many fields, Host included."""
    return get(*(count - 1) * [b"a:"])


def body_of(size: int) -> bytes:
    """Write a request whose body of a known length has that many bytes."""
    return post(b"Content-Length: %d" % size, body=size * b"x")


def chunked_body_of(size: int) -> bytes:
    """Write a request whose body has that many bytes in chunks of up to 100."""
    chunks = [b"%x\r\n%b\r\n" % (part, part * b"x") for part in (*size // 100 * [100], size % 100) if part]
    return post(TE, body=b"".join(chunks) + b"0\r\n\r\n")


def extension_of(size: int) -> bytes:
    """Write a body of 300 chunks with that much between the digits of one size and its line end."""
    return post(TE, body=299 * b"1\r\nx\r\n" + b"1;" + (size - 1) * b"e" + b"\r\nx\r\n0\r\n\r\n")


def last_extension_of(size: int) -> bytes:
    """Write a body whose last chunk has that much behind its size."""
    return post(TE, body=b"1f\r\n" + 31 * b"x" + b"\r\n0;" + (size - 1) * b"e" + b"\r\n\r\n")


def trailers_of(size: int) -> bytes:
    """Write a body with trailers of that size, their line ends included."""
    return post(TE, body=b"0\r\nX: " + (size - 5) * b"x" + b"\r\n\r\n")


def zeros_of(size: int) -> bytes:
    """Write a body that spends that much on digits which say nothing."""
    return post(TE, body=size * b"0" + b"10\r\n" + 16 * b"x" + b"\r\n0\r\n\r\n")


def overhead_in_small_change(size: int) -> bytes:
    """Write a body that spends that much in extensions of 8 bytes each."""
    rest = b"0;" + (size % 8 + 7) * b"e"
    return post(TE, body=(size // 8 - 1) * b"1;aaaaaaa\r\nx\r\n" + rest + b"\r\n\r\n")


LINE, OVERHEAD = REQUEST_LINE_BYTES_MAX, CHUNK_OVERHEAD_BYTES_MAX
LIMITS: Final = {
    "head": (head_of, 65536, Limits(), 431, "head_too_large"),
    "head-1KiB": (head_of, 1024, Limits(head_bytes=1024), 431, "head_too_large"),
    "head-20000": (head_of, 20000, Limits(head_bytes=20000), 431, "head_too_large"),
    "line": (line_of, LINE, Limits(), 414, "uri_too_long"),
    "fields": (fields_of, 100, Limits(), 431, "too_many_fields"),
    "fields-2": (fields_of, 2, Limits(header_count=2), 431, "too_many_fields"),
    "body": (body_of, 1024 * 1024, Limits(), 413, "body_too_large"),
    "body-3": (body_of, 3, Limits(body_bytes=3), 413, "body_too_large"),
    "chunked": (chunked_body_of, 1024 * 1024, Limits(), 413, "body_too_large"),
    "chunked-7": (chunked_body_of, 7, Limits(body_bytes=7), 413, "body_too_large"),
    "extension": (extension_of, OVERHEAD, Limits(), 431, "chunk_overhead"),
    "last-extension": (last_extension_of, OVERHEAD, Limits(), 431, "chunk_overhead"),
    "extensions": (overhead_in_small_change, OVERHEAD, Limits(), 431, "chunk_overhead"),
    "trailers": (trailers_of, OVERHEAD, Limits(), 431, "chunk_overhead"),
    "zeros": (zeros_of, OVERHEAD, Limits(), 431, "chunk_overhead"),
}


def empty_line_first(data: bytes) -> list[bytes]:
    """All in one piece behind an empty line, which is no part of the head."""
    return [b"\r\n" + data]


@pytest.mark.parametrize("way", [whole, crumbs, followed, empty_line_first])
@pytest.mark.parametrize("name", LIMITS)
def test_at_the_limit(name: str, way: Way) -> None:
    """What is exactly as large as its limit is refused."""
    write, size, limits, _, _ = LIMITS[name]
    outcome = parse(way(write(size)), limits)
    assert (outcome.refusal, outcome.stage) == (None, Stage.IDLE)
    assert len(outcome.requests) == (2 if way is followed else 1)


@pytest.mark.parametrize("way", [whole, crumbs, followed, empty_line_first])
@pytest.mark.parametrize("name", LIMITS)
def test_past_the_limit(name: str, way: Way) -> None:
    """What is one byte (or field) larger than its limit is served, or refused with another status."""
    write, size, limits, status, code = LIMITS[name]
    outcome = parse(way(write(size + 1)), limits)
    assert outcome.refusal is not None
    assert (outcome.requests, outcome.refusal[:2]) == ((), (status, code))


EARLY: Final = {
    "declared-length": (post(b"Content-Length: 1048577"), 413),
    "line-without-end": (b"GET /" + REQUEST_LINE_BYTES_MAX * b"x", 414),
    "head-without-end": (get(b"X: " + 65536 * b"x")[:-4], 431),
    "fields-without-end": (get(*(101 * [b"a:"]))[:-2], 431),
    "chunk-without-end": (post(TE, body=b"fffffff\r\n" + 1048577 * b"x"), 413),
    "extension-without-end": (post(TE, body=b"1;" + (CHUNK_OVERHEAD_BYTES_MAX + 32) * b"e"), 431),
    "trailers-without-end": (post(TE, body=b"0\r\n" + (CHUNK_OVERHEAD_BYTES_MAX // 4 + 10) * b"a:\r\n"), 431),
}


@pytest.mark.parametrize("way", [whole, crumbs])
@pytest.mark.parametrize("name", EARLY)
def test_refused_before_its_end(name: str, way: Way) -> None:
    """A request that is too large already is read on, and what it sends is kept or waited for."""
    data, status = EARLY[name]
    outcome = parse(way(data))
    assert outcome.refusal is not None
    assert (outcome.requests, outcome.refusal.status) == ((), status)


def test_small_chunks_take_no_more_than_large_ones() -> None:
    """A body in thousands of chunks takes many times its size while it arrives."""
    parser = RequestParser(Limits(), KnownHeads())
    tracemalloc.start()
    try:
        assert parser.feed(post(TE)) is None
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            assert feed(parser, 1000 * b"2\r\nxy\r\n") is None
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < 2 * 200_000
    request = parser.feed(b"0\r\n\r\n")
    assert request is not None
    assert request.body == 100_000 * b"xy"


# Heads that are like the last one


def auth(*lines: bytes, target: bytes = b"/checkToken", version: bytes = b"HTTP/1.1") -> bytes:
    """Write a GET with fields between two others."""
    return get(b"X-A: b", *lines, b"X-C: d", target=target, version=version)


ALIKE: Final = {
    "token": auth(b"Authorization: Bearer aaa.bbb.ccc"),
    "other-token": auth(b"Authorization: Bearer dddddd.e.f"),
    "long-token": auth(b"Authorization: Bearer " + 20_000 * b"a"),
    "other-case": auth(b"authorization: bearer aaa.bbb.ccc"),
    "bare": auth(b"Authorization: aaa.bbb.ccc"),
    "no-token": auth(b"Authorization: Bearer"),
    "empty": auth(b"Authorization:"),
    "two-words": auth(b"Authorization: Bearer aaa bbb"),
    "list": auth(b"Authorization: Bearer aaa,bbb"),
    "space-behind": auth(b"Authorization: Bearer aaa.bbb.ccc "),
    "twice": auth(b"Authorization: Bearer aaa", b"Authorization: Bearer aaa"),
    "more-fields": auth(b"Authorization: Bearer aaa", b"X-D: e"),
    "smuggled": auth(b"Authorization: Bearer aaa\r\nConnection: close"),
    "control": auth(b"Authorization: Bearer aaa\x00bbb"),
    "no-space": auth(b"Authorization:HTTP/1.1"),
    "no-space-1.0": auth(b"Authorization:HTTP/1.1", version=b"HTTP/1.0"),
    "no-space-2.0": auth(b"Authorization:HTTP/1.1", version=b"HTTP/2.0"),
    "no-space-host": get(b"Authorization:Host: a.example"),
    "no-space-other-host": get(b"Authorization:Host: a.example", host=b"Host: b.example\r\n"),
    "close": auth(b"Authorization: Bearer aaa.bbb.ccc", b"Connection: close"),
    "none": auth(),
    "body": post(b"Authorization: Bearer aaa", CL, body=b"hello"),
    "other-body": post(b"Authorization: Bearer bbb", CL, body=b"\r\n\r\n!"),
    "shorter-body": post(b"Authorization: Bearer bbb", b"Content-Length: 4", body=b"four"),
}


@settings(max_examples=500)
@given(names=st.lists(st.sampled_from(sorted(ALIKE)), min_size=2, max_size=4))
def test_what_came_before_does_not_change_what_a_head_means(names: list[str]) -> None:
    """A head that is like the one before it is taken for it: its own token, version, host or framing is not read."""
    pieces = [ALIKE[name] for name in names]
    requests: list[tuple[object, ...]] = []
    refusal = None
    for piece in pieces:
        alone = parse([piece])
        requests += alone.requests
        refusal = alone.refusal
        if refusal or not alone.requests[-1][KEEP_ALIVE]:
            break
    for split in (pieces, [b"".join(pieces)], crumbs(b"".join(pieces))):
        outcome = parse(split)
        assert (outcome.requests, outcome.refusal) == (tuple(requests), refusal)


@pytest.mark.parametrize(("first", "second"), [("no-space", "no-space-1.0"), ("no-space", "no-space-2.0")])
def test_a_version_is_no_token(first: str, second: str) -> None:
    """A field without a space makes the parser take the version for the token that may differ."""
    assert parse([ALIKE[first], ALIKE[second]]) == parse([ALIKE[first] + ALIKE[second]])
    alone = parse([ALIKE[second]])
    outcome = parse([ALIKE[first], ALIKE[second]])
    assert (outcome.requests[1:], outcome.refusal) == (alone.requests, alone.refusal)


def test_another_token_is_recognized() -> None:
    """A proxy that asks for one client after the other has every head parsed anew, or all get the first one's token."""
    parser = RequestParser(Limits(), KnownHeads())
    tokens = [b"aaa.bbb.ccc", b"d", b"e.f.g"]
    for token in tokens:
        request = take(parser, auth(b"Authorization: Bearer " + token))
        assert request is not None
        assert request.head.fields[b"authorization"] == b"Bearer " + token
        parser.next_request()
        assert (parser._grammar is None) == (token != tokens[0]), "the first head alone is parsed"
        parser._part_from_grammar()
    parser.close()


# Whatever comes

FRAGMENTS: Final = [
    *(get(), post(CL, body=b"hello"), post(TE, body=b"3\r\nabc\r\n0\r\n\r\n"), post(TE), HOST, b"\r\n", b"\r", b"\n"),
    *(b"GET / HTTP/1.1\r\n", b"POST /p HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"GET http://b/ HTTP/1.1\r\n"),
    *(CL + b"\r\n", TE + b"\r\n", b"Content-Length: 0\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n"),
    *(b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Connection: keep-alive\r\n", b"X:\r\n", b" ", b"\t", b":", b"\x00"),
    *(
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"0;a=b\r\n",
        b"abc",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/1.2",
    ),
]
any_bytes = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=4)), max_size=9).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=6)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut at these places, those beyond the end left out."""
    return [data[a:b] for a, b in pairwise([0, *sorted(p for p in set(places) if 0 < p < len(data)), len(data)])]


@settings(max_examples=400)
@given(data=any_bytes, places=cuts)
def test_any_bytes_however_split(data: bytes, places: list[int]) -> None:
    """Some bytes raise more than a ProtocolError, or what they mean depends on the packets they came in."""
    outcome = parse([data])
    assert parse(cut(data, places)) == outcome
    assert parse(crumbs(data)) == outcome


@settings(max_examples=200)
@given(data=any_bytes, places=cuts, size=st.integers(1, 60), count=st.integers(1, 3))
def test_any_bytes_with_small_limits(data: bytes, places: list[int], size: int, count: int) -> None:
    """With tight limits some bytes raise more than a ProtocolError, or pass by being split."""
    limits = Limits(head_bytes=size, header_count=count, body_bytes=size % 6)
    outcome = parse([data], limits)
    other = parse(cut(data, places), limits)
    # Bytes that break several rules may be refused for one or the other.
    assert (other.requests, other.refusal is None) == (outcome.requests, outcome.refusal is None)


token = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=12).map(lambda text: f"x-{text}".encode())
value = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(str.encode)
bodies = st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n\r\n", b"0\r\n\r\n", get(), b"\r\n\r"]))


@dataclass(frozen=True)
class Written:
    """A valid request, and the bytes that it was written as."""

    method: bytes
    target: bytes
    fields: dict[bytes, bytes]
    body: bytes
    data: bytes


@st.composite
def written(draw: st.DrawFn) -> Written:
    """Write a valid request in one of the ways there are."""
    method = draw(st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS"]))
    target = b"/" + draw(st.text("abc/%&=?.~", max_size=20)).encode()
    fields = {b"host": b"a.example"} | draw(st.dictionaries(token, value, max_size=4))
    body = draw(bodies)
    framing = draw(st.sampled_from(["length", "chunked"])) if body else "none"
    content = body
    if framing == "length":
        fields[b"content-length"] = b"%d" % len(body)
    elif framing == "chunked":
        fields[b"transfer-encoding"] = b"chunked"
        parts = cut(body, draw(st.lists(st.integers(1, 40), max_size=4)))
        content = b"".join(
            b"%X%b\r\n%b\r\n" % (len(part), draw(st.sampled_from([b"", b";a=b"])), part) for part in parts
        )
        content += b"0\r\n" + draw(st.sampled_from([b"", b"X-T: u\r\n"])) + b"\r\n"
    spelling = draw(st.sampled_from([bytes.title, bytes.upper, bytes.lower]))
    lines = b"".join(b"%b: %b\r\n" % (spelling(name), text) for name, text in fields.items())
    return Written(method, target, fields, body, b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, target, lines, content))


def read_by_h11(data: bytes) -> list[tuple[bytes, bytes, dict[bytes, bytes], bytes]]:
    """Let h11 read requests: method, target, fields and body of each."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    seen = []
    while isinstance(event := reader.next_event(), h11.Request):
        request, body = event, b""
        while isinstance(event := reader.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        seen.append((request.method, request.target, dict(request.headers), body))
        reader.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        reader.send(h11.EndOfMessage())
        reader.start_next_cycle()
    assert event is h11.NEED_DATA
    return seen


@settings(max_examples=200)
@given(requests=st.lists(written(), min_size=1, max_size=5), places=cuts)
def test_what_was_written_is_read(requests: list[Written], places: list[int]) -> None:
    """A valid request is read as something else than what was written, or than what h11 reads."""
    data = b"".join(request.data for request in requests)
    parser = RequestParser(Limits(), KnownHeads())
    seen = []
    for piece in cut(data, places):
        request = take(parser, piece)
        while request is not None:
            head = request.head
            target = head.path + (b"?" + head.query if head.query else b"")
            seen.append((head.method, target, head.fields, request.body))
            request = next_request(parser)
    assert parser.stage is Stage.IDLE
    parser.close()
    expected = [
        (r.method, r.target.removesuffix(b"?") if r.target.count(b"?") == 1 else r.target, r.fields, r.body)
        for r in requests
    ]
    assert seen == expected
    assert [
        (m, t.removesuffix(b"?") if t.count(b"?") == 1 else t, f, b) for m, t, f, b in read_by_h11(data)
    ] == expected
