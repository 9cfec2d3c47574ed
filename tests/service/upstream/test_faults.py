"""What a remote can do wrong once a request has reached it. Row numbers are those of the catalogue of faults."""

from __future__ import annotations

import asyncio
import contextlib
import time
import zlib
from itertools import pairwise
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.certifying import client_context, server_context
from tests.running import run
from tests.service.faulty_remote import (
    GOOD,
    GOOD_BODY,
    Call,
    FaultyRemote,
    Peer,
    Script,
    answer,
    calling,
    connection_of,
    good,
    post,
    says,
    silent,
    turning,
)
from txtoken.errors import RemoteError, RemoteStatus, RemoteTruncated
from txtoken.service.upstream.remote import Remote
from txtoken.service.upstream.reply import (
    CHUNKS_MAX,
    FIELDS_MAX,
    FRAMING_BYTES_MAX,
    HEAD_BYTES_MAX,
    INTERIM_REPLIES_MAX,
    KNOWN_HEADS_MAX,
    KnownReplyHead,
    ReplyParser,
)
from txtoken.settings import RemoteTls

LIMITS: Final[dict[str, Any]] = {"reply_bytes": 2000}
OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS: Final = b'7\r\n{"user"\r\n7;x=y\r\n:"ada"}\r\n0\r\n'
EARLY: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
GZIP: Final = zlib.compress(GOOD_BODY, wbits=31)

CLOSED: Final = ("RemoteUnreachable", "closed")
RESET: Final = ("RemoteUnreachable", "reset")
BAD: Final = ("RemoteUnreachable", "bad_response")
CUT: Final = ("RemoteTruncated", "truncated")
TOO_LARGE: Final = ("RemoteTruncated", "too_large")
TIMEOUT: Final = ("RemoteTimeout", "timeout")
ENCODED: Final = ("RemoteInvalid", "bad_encoding")
STATUS: Final = ("RemoteStatus", "status")
EARLY_ANSWER: Final = ("RemoteUnreachable", "early")


class Fault(NamedTuple):
    """A reply, how the connection ends ("fin", "rst", "" for not at all), the outcome, whether the connection is kept."""

    row: str
    reply: bytes
    ending: str
    outcome: bytes | tuple[str, str]
    kept: bool = False


FAULTS: Final = [
    Fault("12-fin-without-a-byte", b"", "fin", CLOSED),
    Fault("13-rst-without-a-byte", b"", "rst", RESET),
    Fault("18-never-answers", b"", "", TIMEOUT),
    Fault("19-half-a-head", OK + b"X: ", "", TIMEOUT),
    Fault("22-a-body-alone", GOOD_BODY, "", BAD),
    Fault("22-another-protocol", b"220 mail.example ESMTP\r\n", "", BAD),
    Fault("22-a-request", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "", BAD),
    Fault("23-cut-status-line", b"HTTP/1.1 20", "fin", CLOSED),
    Fault("23-cut-head", OK + b"Content-Length: 14\r\n", "fin", CLOSED),
    Fault("24-one-large-field", answer(GOOD_BODY, b"X: " + b"x" * HEAD_BYTES_MAX), "", BAD),
    Fault("24-many-fields", OK + b"X-Y: z\r\n" * (HEAD_BYTES_MAX // 8 + 1), "", BAD),
    Fault("24-endless-field", OK + b"X: " + b"x" * HEAD_BYTES_MAX * 2, "", BAD),
    Fault("24-fields-at-the-limit", answer(GOOD_BODY, *[b"X: y"] * (FIELDS_MAX - 1)), "", GOOD_BODY, kept=True),
    Fault("24-one-field-too-many", answer(GOOD_BODY, *[b"X: y"] * FIELDS_MAX), "", BAD),
    Fault("24-64000-fields", answer(GOOD_BODY, *[b"Retry-After: y"] * 64_000), "", BAD),
    Fault("25-obs-fold", answer(GOOD_BODY, b"X: a\r\n b"), "", BAD),
    Fault("26-lf-only", GOOD.replace(b"\r\n", b"\n"), "", BAD),
    Fault("26-cr-only", GOOD.replace(b"\r\n", b"\r"), "", BAD),
    Fault("27-nul-in-value", answer(GOOD_BODY, b"X: a\0b"), "", BAD),
    Fault("27-space-before-colon", answer(GOOD_BODY, b"X : a"), "", BAD),
    Fault("28-status-99", answer(status=b"99 X"), "", BAD),
    Fault("28-status-099", answer(status=b"099 X"), "", BAD),
    Fault("28-status-600", answer(status=b"600 X"), "", BAD),
    Fault("28-status-2000", answer(status=b"2000 X"), "", BAD),
    Fault("28-http-2.0", answer(version=b"2.0"), "", BAD),
    Fault("28-http-0.9", answer(version=b"0.9"), "", BAD),
    Fault("28-http-1.2", answer(version=b"1.2"), "", BAD),
    Fault("29-two-lengths", answer(GOOD_BODY, b"Content-Length: 5"), "", BAD),
    Fault("29-the-same-length-twice", answer(GOOD_BODY, b"Content-Length: 14"), "", BAD),
    Fault("29-length-list", OK + b"Content-Length: 14, 14\r\n\r\n" + GOOD_BODY, "", BAD),
    Fault("29-negative-length", OK + b"Content-Length: -1\r\n\r\n", "", BAD),
    Fault("29-length-past-64-bits", OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", "", BAD),
    Fault("30-length-and-chunked", CHUNKED[:-2] + b"Content-Length: 14\r\n\r\n" + CHUNKS + b"\r\n", "", BAD),
    Fault("31-unknown-coding", OK + b"Transfer-Encoding: frob\r\n\r\n" + GOOD_BODY, "fin", BAD),
    Fault("31-two-codings", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS + b"\r\n", "", BAD),
    Fault("31-coding-in-two-fields", CHUNKED[:-2] + b"Transfer-Encoding: gzip\r\n\r\n" + CHUNKS + b"\r\n", "", BAD),
    Fault("32-one-interim", EARLY + GOOD, "", GOOD_BODY, kept=True),
    Fault(
        "32-three-kinds",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 X\r\n\r\n" + EARLY + GOOD,
        "",
        GOOD_BODY,
        kept=True,
    ),
    Fault("32-eight-interims", EARLY * INTERIM_REPLIES_MAX + GOOD, "", GOOD_BODY, kept=True),
    Fault("32-nine-interims", EARLY * (INTERIM_REPLIES_MAX + 1) + GOOD, "", BAD),
    Fault("32-fields-of-an-interim", EARLY[:-2] + b"Content-Encoding: gzip\r\n\r\n" + GOOD, "", GOOD_BODY, kept=True),
    Fault("32-interim-alone", EARLY, "fin", CLOSED),
    Fault("32-interim-then-silence", EARLY, "", TIMEOUT),
    Fault("33-upgrade", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nabc", "", BAD),
    Fault("33-upgrade-without-fields", b"HTTP/1.1 101 Switching\r\n\r\n", "", BAD),
    Fault("34-rst-in-body", answer()[:-4], "rst", CUT),
    Fault("34-rst-in-body-until-eof", OK + b"\r\n" + GOOD_BODY, "rst", CUT),
    Fault("35-fin-in-body-that-parses", OK + b"Content-Length: 15\r\n\r\n" + GOOD_BODY, "fin", CUT),
    Fault("35-fin-before-body", OK + b"Content-Length: 15\r\n\r\n", "fin", CUT),
    Fault("36-length-too-short", OK + b"Content-Length: 5\r\n\r\n" + GOOD_BODY, "", GOOD_BODY[:5]),
    Fault("37-surplus-reply", GOOD + answer(b'{"user":"STOLEN"}'), "", GOOD_BODY),
    Fault("37-surplus-byte", GOOD + b"H", "", GOOD_BODY),
    Fault("37-surplus-rubbish", GOOD + b"\0\xff", "", GOOD_BODY),
    Fault("37-surplus-behind-chunks", CHUNKED + CHUNKS + b"\r\n" + GOOD, "", GOOD_BODY),
    Fault("38-bad-chunk-size", CHUNKED + b"xyz\r\n" + GOOD_BODY, "", CUT),
    Fault("38-negative-chunk-size", CHUNKED + b"-1\r\n" + GOOD_BODY, "", CUT),
    Fault("38-huge-chunk-size", CHUNKED + b"f" * 40 + b"\r\n", "", CUT),
    Fault("38-cut-before-last-chunk", CHUNKED + CHUNKS[:-3], "fin", CUT),
    Fault("38-cut-before-last-line-end", CHUNKED + CHUNKS, "fin", CUT),
    Fault("38-chunk-longer-than-its-size", CHUNKED + b'3\r\n{"user"\r\n', "", CUT),
    Fault("39-chunked", CHUNKED + CHUNKS + b"\r\n", "", GOOD_BODY, kept=True),
    Fault("39-trailers", CHUNKED + CHUNKS + b"X: y\r\nDate: z\r\n\r\n", "", GOOD_BODY, kept=True),
    Fault("39-length-as-trailer", CHUNKED + CHUNKS + b"Content-Length: 5\r\n\r\n", "", CUT),
    Fault("39-large-trailers", CHUNKED + CHUNKS + b"X: y\r\n" * FRAMING_BYTES_MAX * 4, "", TOO_LARGE),
    Fault("39-large-extension", CHUNKED + b"1;" + b"x" * FRAMING_BYTES_MAX * 24, "", TOO_LARGE),
    Fault("39-many-small-chunks", CHUNKED + b"00001\r\nx\r\n" * 1990 + b"0\r\n\r\n", "", b"x" * 1990, kept=True),
    Fault("39-chunks-of-one-byte", CHUNKED + b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n", "", b"x" * 2000, kept=True),
    Fault("39-many-trailers", CHUNKED + CHUNKS + b"X: y\r\n" * FIELDS_MAX + b"\r\n", "", TOO_LARGE),
    Fault("39-blanks-after-the-size", CHUNKED + b"E  \r\n" + GOOD_BODY + b"\r\n0  \r\n\r\n", "", GOOD_BODY, kept=True),
    Fault("39-blanks-before-the-size", CHUNKED + b"  E\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n", "", CUT),
    Fault("39-blanks-in-the-size", CHUNKED + b"0 E\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n", "", CUT),
    Fault("40-until-eof-1.0", b"HTTP/1.0 200 OK\r\n\r\n" + GOOD_BODY, "fin", GOOD_BODY),
    Fault("40-until-eof-1.1", OK + b"\r\n" + GOOD_BODY, "fin", GOOD_BODY),
    Fault("40-until-eof-that-never-comes", OK + b"\r\n" + GOOD_BODY, "", TIMEOUT),
    Fault("41-1.0-keep-alive", answer(GOOD_BODY, b"Connection: keep-alive", version=b"1.0"), "", GOOD_BODY, kept=True),
    Fault("41-1.0", answer(version=b"1.0"), "", GOOD_BODY),
    Fault("42-close-announced", answer(GOOD_BODY, b"Connection: close"), "", GOOD_BODY),
    Fault("42-close-among-others", answer(GOOD_BODY, b"Connection: x, Close"), "", GOOD_BODY),
    Fault("43-half-a-body", answer()[:-1], "", TIMEOUT),
    Fault("43-half-a-chunk", CHUNKED + CHUNKS[:-9], "", TIMEOUT),
    Fault("44-largest", answer(b"x" * 2000), "", b"x" * 2000, kept=True),
    Fault("44-large-by-length", OK + b"Content-Length: 2001\r\n\r\n", "", TOO_LARGE),
    Fault("44-large-by-chunks", CHUNKED + (b"64\r\n" + b"x" * 100 + b"\r\n") * 21, "", TOO_LARGE),
    Fault("44-large-until-eof", OK + b"\r\n" + b"x" * 2001, "", TOO_LARGE),
    Fault("44-large-with-a-status", answer(b"x" * 2001, status=b"404 Not Found"), "", TOO_LARGE),
    Fault("45-gzip", answer(GZIP, b"Content-Encoding: gzip"), "", ENCODED, kept=True),
    Fault("46-gzip-by-name-only", answer(GOOD_BODY, b"content-encoding: GZIP"), "", ENCODED, kept=True),
    *(
        Fault(f"46-{word.decode()}", answer(GOOD_BODY, b"Content-Encoding: " + word), "", GOOD_BODY, kept=True)
        for word in (
            *(b"Identity", b"identity, identity", b"UTF-8", b"utf8", b"none", b"8bit", b"application/json", b""),
            *(b"gzipped", b"x-br", b"aes128gcm", b","),
        )
    ),
    *(
        Fault(f"45-{word.decode()}", answer(GOOD_BODY, b"Content-Encoding: " + word), "", ENCODED, kept=True)
        for word in (
            *(b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"compress", b"Br", b"utf-8, GZIP", b"deflate ,x"),
            b"identity\r\nContent-Encoding: br",
        )
    ),
    Fault("47-204", b"HTTP/1.1 204 No Content\r\n\r\n", "", STATUS, kept=True),
    Fault("47-205", answer(b"", status=b"205 Reset Content"), "", STATUS, kept=True),
    Fault("47-empty-200", answer(b""), "", b"", kept=True),
    Fault("48-204-with-a-body", b"HTTP/1.1 204 No Content\r\n\r\n" + GOOD_BODY, "", STATUS),
    Fault("48-304-with-a-body", b"HTTP/1.1 304 Not Modified\r\n\r\n" + GOOD_BODY, "", STATUS),
    *(
        Fault(f"49-{code}", answer(b"", b"Location: http://127.0.0.1:1/", status=b"%d X" % code), "", STATUS, kept=True)
        for code in (301, 302, 303, 307, 308)
    ),
    *(
        Fault(f"50-{code}", answer(b'{"e":1}', status=b"%d X" % code), "", STATUS, kept=True)
        for code in (201, 400, 401, 403, 422, 423)
    ),
    *(
        Fault(f"51-{code}", answer(b"busy", b"Retry-After: 9", status=b"%d X" % code), "", STATUS, kept=True)
        for code in (429, 503)
    ),
    *(
        Fault(f"52-{code}", answer(b"oops", status=b"%d X" % code), "", STATUS, kept=True)
        for code in (500, 502, 504, 599)
    ),
    Fault("52-no-reason", answer(b"oops", status=b"500"), "", STATUS, kept=True),
]
SHORT: Final = 25_000  # bytes: a reply that can be given byte by byte without anybody growing old


async def settle(remote: Remote, call: Call, outcome: object) -> None:
    """Wait for an outcome; where it is a timeout, let the time pass."""
    if outcome == TIMEOUT:
        assert not call.has_outcome
        remote.sweep(call.deadline - 0.001)
        assert not call.has_outcome
        remote.sweep(call.deadline)
        assert call.has_outcome
    assert await call.outcome() == outcome


def ends_on(go: asyncio.Event, ending: str) -> Script:
    """Make a script that answers nothing, and ends the connection on demand."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await go.wait()
        if ending == "fin":
            peer.fin()
        elif ending == "rst":
            peer.reset()

    return play


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.row)
def test_faults(fault: Fault) -> None:
    """A faulty reply has its outcome and no other, its request is sent once, and the next caller gets a good reply."""

    async def main() -> None:
        script = says(fault.reply, fault.ending)
        async with FaultyRemote(script, good).listening() as faulty, calling(faulty.url, **LIMITS) as remote:
            call = post(remote, b'{"n":1}')
            await faulty.requested(1)
            await settle(remote, call, fault.outcome)
            if not fault.kept:
                await faulty.peers[0].ended()
            assert await post(remote, b'{"n":2}').outcome() == GOOD_BODY
            assert faulty.bodies == [(0, b'{"n":1}'), (0 if fault.kept else 1, b'{"n":2}')]
            assert remote.open_count == remote.idle_count == 1

    run(main())


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if 0 < len(fault.reply) < SHORT], ids=lambda fault: fault.row
)
def test_faults_byte_by_byte(fault: Fault) -> None:
    """It does not matter in what pieces a faulty reply arrives."""

    async def main() -> None:
        go = asyncio.Event()
        script = ends_on(go, fault.ending)
        async with FaultyRemote(script, good).listening() as faulty, calling(faulty.url, **LIMITS) as remote:
            call = post(remote)
            await faulty.requested(1)
            feed(call, [fault.reply[index : index + 1] for index in range(len(fault.reply))])
            go.set()
            await settle(remote, call, fault.outcome)
            assert usable(remote) == fault.kept

    run(main())


def feed(call: Call, pieces: list[bytes]) -> None:
    """Hand pieces of a reply to the connection of a call, as its transport would: none any more once it is closed."""
    connection = connection_of(call)
    for piece in pieces:
        if not connection.transport.is_closing():
            connection.data_received(piece)


async def sending(call: Call) -> None:
    """Wait until a request has its connection."""
    await turning(lambda: call.connection_number > 0)


def usable(remote: Remote) -> int:
    """Count the connections that the next request could get."""
    return sum(not connection.transport.is_closing() for connection in remote._idle)


def test_a_status_is_told() -> None:
    """The status is known for the status map."""

    async def main() -> None:
        async with FaultyRemote(says(answer(status=b"418 X"))).listening() as faulty, calling(faulty.url) as remote:
            error = await post(remote).told
            assert isinstance(error, RemoteStatus)
            assert error.status == 418

    run(main())


SUCCESSES: Final = frozenset((200, 201, 202, 203, 204, 205, 206))


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer(status=b"201 Created"), GOOD_BODY),
        (answer(status=b"206 X"), GOOD_BODY),
        (answer(GOOD_BODY, b"Content-Encoding: gzip", status=b"201 Created"), ENCODED),
        (answer(status=b"207 X"), STATUS),
        (answer(status=b"401 X"), STATUS),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (answer(b"", status=b"205 X"), b""),
    ],
)
def test_other_successes(reply: bytes, outcome: object) -> None:
    """With `successStatus` its statuses are successes, and their heads are known again as those of 200 are."""

    async def replies(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(reply)

    async def main() -> None:
        async with (
            FaultyRemote(replies).listening() as faulty,
            calling(faulty.url, success_statuses=SUCCESSES) as remote,
        ):
            for _ in range(3):
                assert await post(remote).outcome() == outcome
            assert len(faulty.peers) == 1
            assert len(remote.known_heads) == (isinstance(outcome, bytes) and b"Content-Length" in reply)

    run(main())


def test_200_need_not_be_a_success() -> None:
    """With a `successStatus` that does not name it, 200 is a failure like any other."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as faulty,
            calling(faulty.url, success_statuses=frozenset((201,))) as remote,
        ):
            for _ in range(3):
                assert await post(remote).outcome() == STATUS

    run(main())


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([OK + b"X-Y: z\r\n" * 64_000 + b"\r\n"], id="fields"),
        pytest.param([OK + b"Retry-After: 1\r\n" * 64_000 + b"\r\n"], id="one-field-again-and-again"),
        pytest.param([EARLY * 20_000], id="interims"),
        pytest.param([OK + b"X: " + b"x" * 2_000_000], id="a-field-without-end"),
        pytest.param([CHUNKED + b"1\r\nx\r\n" * 131_072], id="chunks-of-one-byte"),
        pytest.param([CHUNKED + b"1;a\r\nx\r\n" * 131_072], id="extensions"),
        pytest.param([CHUNKED + b"0\r\n" + b"A: b\r\n" * 100_000], id="trailers"),
        pytest.param([OK + b"Content-Encoding: " + b"," * 65_000 + b"\r\n\r\n"], id="codings"),
        pytest.param([OK + b"Content-Length: 131072\r\n\r\n", *[b"x"] * 131_072], id="a-body-byte-by-byte"),
        pytest.param([CHUNKED, *[b"10\r\n" + b"x" * 16 + b"\r\n"] * 8192], id="chunk-by-chunk"),
    ],
)
def test_how_long_the_loop_is_held(pieces: list[bytes]) -> None:
    """Whatever a reply of `replyBytes` consists of, to read it takes 10 ms of CPU at most."""

    def cpu_s() -> float:
        parser = ReplyParser(128 * 1024, frozenset((200,)))
        before = time.process_time()
        with contextlib.suppress(RemoteError):
            for piece in pieces:
                parser.feed(piece)
        return time.process_time() - before

    assert min(cpu_s() for _ in range(5)) < 0.010 + len(pieces) * 1e-6  # the calls themselves are the test's


def test_how_many_chunks() -> None:
    """A reply may have `CHUNKS_MAX` chunks, however small they are, and more when it may be longer."""
    for reply_bytes, chunks_max in ((1_000_000, CHUNKS_MAX + 15_625), (64 * 1024, CHUNKS_MAX + 1024)):
        for count in (chunks_max, chunks_max + 1):
            parser = ReplyParser(reply_bytes, frozenset((200,)))
            chunks = CHUNKED + b"1\r\nx\r\n" * (count - 1)  # and the last one, which is empty
            parser.feed(chunks)
            if count > chunks_max:
                with pytest.raises(RemoteTruncated):
                    parser.feed(b"0\r\n\r\n")
            else:
                assert parser.feed(b"0\r\n\r\n")


# Rows 20 and 21: a remote that does not read

LARGE: Final = b'"' + b"x" * 8_000_000 + b'"'  # more than the kernel takes in


async def reads_nothing(peer: Peer) -> None:
    """Never take a byte."""
    peer.transport.pause_reading()


def test_20_a_remote_that_stops_reading() -> None:
    """The deadline covers writing, and what was not written is dropped with the connection."""

    async def main() -> None:
        async with FaultyRemote(reads_nothing, good).listening() as faulty, calling(faulty.url) as remote:
            call = post(remote, LARGE)
            await faulty.connected(1)
            await sending(call)
            await settle(remote, call, TIMEOUT)
            assert await post(remote).outcome() == GOOD_BODY
            assert faulty.bodies == [(1, b"{}")]

    run(main())


@pytest.mark.parametrize("ending", ["", "half_close", "fin"])
def test_21_an_early_answer(ending: str) -> None:
    """A reply that comes before the request was read is the outcome, and that connection is not used again."""

    async def early(peer: Peer) -> None:
        peer.transport.pause_reading()
        await go.wait()
        peer.send(answer(b"too large", status=b"413 X"))
        if ending == "fin":
            peer.fin()  # which resets it, since the request was not read
        elif ending:
            peer.half_close()

    go = asyncio.Event()

    async def main() -> None:
        async with FaultyRemote(early, good).listening() as faulty, calling(faulty.url) as remote:
            call = post(remote, LARGE)
            await sending(call)
            go.set()
            assert await call.outcome() == STATUS
            assert await post(remote).outcome() == GOOD_BODY
            assert faulty.bodies == [(1, b"{}")]

    run(main())


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("early", "outcome"),
    [
        pytest.param(answer(b'{"user":"STOLEN"}'), EARLY_ANSWER, id="a-success"),
        pytest.param(EARLY + answer(b'{"user":"STOLEN"}'), EARLY_ANSWER, id="after-an-interim"),
        pytest.param(CHUNKED + CHUNKS + b"\r\n", EARLY_ANSWER, id="chunked"),
        pytest.param(answer(b"no", status=b"413 X"), STATUS, id="a-refusal"),
    ],
)
def test_21_a_reply_before_the_whole_request(early: bytes, outcome: object, *, tls: bool) -> None:
    """What comes before the last byte of a request was given to the kernel is never a success; a refusal is what it is."""

    async def main() -> None:
        go = asyncio.Event()

        async def rude(peer: Peer) -> None:
            peer.transport.pause_reading()
            await go.wait()
            peer.send(early)

        context = server_context("localhost") if tls else None
        client = RemoteTls(context=client_context()) if tls else None
        async with FaultyRemote(rude, good).listening(context) as faulty, calling(faulty.url, tls=client) as remote:
            call = post(remote, LARGE)
            await sending(call)
            assert connection_of(call)._unsent() > 0
            go.set()
            assert await call.outcome() == outcome
            assert not remote.idle_count
            assert await post(remote).outcome() == GOOD_BODY
            assert faulty.bodies == [(1, b"{}")]

    run(main())


def test_21_an_interim_reply_before_the_whole_request() -> None:
    """A 1xx that comes while a request is written says nothing against the reply that comes when it is."""

    async def eager(peer: Peer) -> None:
        peer.transport.pause_reading()
        await go.wait()
        peer.send(EARLY)
        await sent.wait()
        peer.transport.resume_reading()
        await peer.request()
        peer.send(GOOD)

    go, sent = asyncio.Event(), asyncio.Event()

    async def main() -> None:
        async with FaultyRemote(eager).listening() as faulty, calling(faulty.url) as remote:
            call = post(remote, LARGE)
            await sending(call)
            go.set()
            await turning(lambda: connection_of(call)._reply is not None)
            sent.set()
            assert await call.outcome() == GOOD_BODY

    run(main())


# The short way: a reply whose head was seen before


def test_known_heads_change_nothing() -> None:
    """With a head that was seen before, a reply in any two pieces is what it is with a new one."""
    replies = [GOOD, GOOD.replace(b"ada", b"bob"), answer(b"")]

    async def main() -> None:
        async with FaultyRemote(silent).listening() as faulty, calling(faulty.url) as remote:
            for reply in replies:
                for cut in range(len(reply)):
                    call = post(remote)
                    await sending(call)
                    feed(call, [piece for piece in (reply[:cut], reply[cut:]) if piece])
                    assert await call.outcome() == reply.partition(b"\r\n\r\n")[2]
                    assert remote.idle_count == 1
            assert len(remote.known_heads) == 2
            assert len(faulty.peers) == 1

    run(main())


@pytest.mark.parametrize(
    ("pieces", "ending", "outcome", "kept"),
    [
        ([GOOD + b"H"], "", GOOD_BODY, False),
        ([GOOD + GOOD], "", GOOD_BODY, False),
        ([GOOD, b"H"], "", GOOD_BODY, False),
        ([GOOD[:-1]], "fin", CUT, False),
        ([GOOD[:-1]], "rst", CUT, False),
        ([GOOD[:-1], b"}" + b"H"], "", GOOD_BODY, False),
        ([GOOD[:-14], GOOD_BODY], "", GOOD_BODY, True),
        ([EARLY + GOOD], "", GOOD_BODY, True),
        ([EARLY, GOOD], "", GOOD_BODY, True),
        ([GOOD.replace(b"200", b"500")], "", STATUS, True),
    ],
)
def test_known_heads_and_faults(
    pieces: list[bytes], ending: str, outcome: bytes | tuple[str, str], *, kept: bool
) -> None:
    """A known head does not hide a fault behind it."""

    async def main() -> None:
        go = asyncio.Event()
        async with (
            FaultyRemote(ends_on(go, ending), good).listening() as faulty,
            calling(faulty.url) as remote,
        ):
            remote.known_heads.remember(KnownReplyHead(GOOD[:-14], 14, 15.0))
            call = post(remote)
            await faulty.requested(1)
            feed(call, pieces)
            go.set()
            assert await call.outcome() == outcome
            assert usable(remote) == kept

    run(main())


@pytest.mark.parametrize(
    "reply",
    [
        answer(status=b"201 Created"),
        answer(GOOD_BODY, b"Connection: close"),
        answer(GOOD_BODY, b"Content-Encoding: gzip"),
        CHUNKED + CHUNKS + b"\r\n",
        EARLY + GOOD,
        GOOD + GOOD,
        answer(version=b"1.0"),
    ],
)
def test_only_plain_heads_are_remembered(reply: bytes) -> None:
    """A head that asks for more than copying the body is read anew each time."""

    async def main() -> None:
        async with FaultyRemote(says(reply)).listening() as faulty, calling(faulty.url) as remote:
            await post(remote).outcome()
            assert not remote.known_heads

    run(main())


def test_known_heads_are_few() -> None:
    """A remote whose head is never the same does not make this process grow."""
    dates = KNOWN_HEADS_MAX * 2 + 1

    async def dated(peer: Peer) -> None:
        for number in range(dates):
            await peer.request()
            peer.send(answer(GOOD_BODY, b"Date: %d" % number))

    async def main() -> None:
        async with FaultyRemote(dated).listening() as faulty, calling(faulty.url) as remote:
            for _ in range(dates):
                assert await post(remote).outcome() == GOOD_BODY
                assert len(remote.known_heads) <= KNOWN_HEADS_MAX
            assert len(faulty.peers) == 1

    run(main())


# Any bytes at all

FRAGMENTS: Final = [
    OK,
    b"HTTP/1.1 204 X\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 103 X\r\n\r\n",
    b"Content-Length: 14\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: Upgrade\r\n",
    b"Upgrade: h2c\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Keep-Alive: timeout=1\r\n",
    b"\r\n",
    CHUNKED,
    CHUNKS,
    GOOD_BODY,
    GOOD,
    EARLY,
]
CLASSES: Final = {"RemoteUnreachable", "RemoteStatus", "RemoteTruncated", "RemoteInvalid", "RemoteTimeout"}


async def outcome_of(pieces: list[bytes], ending: str) -> bytes | tuple[str, str]:
    """Play a reply in pieces, and what follows it. Returns the outcome of the request; a second one gets a good one."""
    go = asyncio.Event()
    trouble: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: trouble.append(context))
    async with (
        FaultyRemote(ends_on(go, ending)).listening() as faulty,
        calling(faulty.url, **LIMITS) as remote,
    ):
        call = post(remote)
        await faulty.requested(1)
        feed(call, pieces)
        go.set()
        if not ending:
            remote.sweep(call.deadline)
        outcome = await call.outcome()
        assert len(faulty.requests) == 1
    assert not trouble
    return outcome


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=12), max_size=8),
    st.lists(st.integers(0, 200), max_size=6),
    st.sampled_from(["", "fin", "rst"]),
)
@example([GOOD, b"H"], [1], "fin")
@example([OK, b"\r\n", GOOD_BODY], [], "fin")
def test_any_reply_has_one_documented_outcome(fragments: list[bytes], cuts: list[int], ending: str) -> None:
    """Whatever bytes arrive in whatever pieces, the outcome is a documented one, and the pieces do not matter."""
    reply = b"".join(fragments)
    places = sorted({0, len(reply), *(cut for cut in cuts if cut < len(reply))})
    pieces = [reply[start:end] for start, end in pairwise(places)]
    outcome = run(outcome_of(pieces, ending))
    assert isinstance(outcome, bytes) or outcome[0] in CLASSES
    assert run(outcome_of([reply] if reply else [], ending)) == outcome
