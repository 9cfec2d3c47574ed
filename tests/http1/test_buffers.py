"""What is held for clients stays within `limits.bufferedBytes`, whatever they do, and is counted for what it costs."""

from __future__ import annotations

import asyncio
import contextlib
import time
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from tests.http1.feeding import feed as feed_whole
from tests.http1.loopback import Client, Go, House, Place, get, house, post, read_answers, turn, until
from txtoken.http1.buffers import EASED_BYTES
from txtoken.http1.channel import UNCOUNTED_BYTES_MAX
from txtoken.http1.connection import READ_AHEAD_BYTES_MAX, Connection
from txtoken.http1.heads import KnownHeads
from txtoken.http1.messages import Request
from txtoken.http1.parser import RequestParser
from txtoken.http1.phase import Phase
from txtoken.settings import Limits, Timeouts

LIMIT: Final = 300_000
LIMITS: Final = Limits(buffered_bytes=LIMIT)


def head(size: int) -> bytes:
    """Write so many bytes of a head that does not end."""
    return (get(b"/now?head")[:-2] + b"X-Endless: ").ljust(size, b"x")


def body(size: int) -> bytes:
    """Write so many bytes of a request whose body does not end."""
    return post(b"", length=1 << 20).ljust(size, b"x")


def chunks(size: int) -> bytes:
    """Write so many bytes of a chunked request that does not end."""
    begin = get(b"/now", b"Transfer-Encoding: chunked").replace(b"GET", b"POST")
    return (begin + size * b"1\r\nx\r\n")[:size]


def pipelined(size: int) -> bytes:
    """Write so many bytes of requests after one that waits for its answer."""
    return get(b"/later?1") + (size * get(b"/now?2"))[:size]


def large(size: int) -> bytes:
    """Write a request of that size that waits for its answer."""
    return post(size * b"x", target=b"/later?1")


KINDS: Final[dict[str, tuple[Callable[[int], bytes], int]]] = {
    "heads": (head, 40_000),
    "bodies": (body, 40_000),
    "chunks": (chunks, 60_000),
    "pipelined": (pipelined, 40_000),
    "large": (large, 40_000),
}


def test_requests_that_wait_for_their_turn_are_counted(go: Go) -> None:
    """Thousands of requests that came at once are counted from the first read on, until the last is answered."""
    limit = 7 * LIMIT
    # Longer than its answer: what a client has not taken yet is then never more than what it was for.
    request = get(b"/now?1", b"X: " + b"x" * 400)

    async def main() -> None:
        async with house(limits=Limits(buffered_bytes=limit)) as home:
            requests = (limit // 3 // len(request)) * request
            pairs = [await home.pair() for _ in range(6)]
            for _, connection, _ in pairs:
                connection.data_received(requests)
                assert home.server.buffers.total <= limit
            kept = [pair for pair in pairs if pair[1].phase is Phase.QUEUED]
            assert 2 <= len(kept) <= 3
            for client, _, _ in kept:
                assert len(await client.bodies(len(requests) // len(request))) > 1000
            assert all(connection.held_bytes == 0 for _, connection, _ in kept)

    go(main())


@pytest.mark.parametrize("kind", KINDS)
def test_who_holds_most_is_given_up(go: Go, kind: str) -> None:
    """Past the limit the clients with the most bytes get 503 and are closed; others, and new requests, are served."""
    write, size = KINDS[kind]

    async def main() -> None:
        shed: list[tuple[int, int]] = []
        async with house(limits=LIMITS) as home:
            home.server.buffers.on_shed = lambda clients, held: shed.append((clients, held))
            modest, small, _ = await home.pair()
            small.data_received(post(b"", length=5000) + 4000 * b"x")
            greedy: list[tuple[Client, Connection]] = []
            for _ in range(40):
                client, connection, _ = await home.pair()
                greedy.append((client, connection))
                data = write(size)
                for piece in (data[:300], data[300:]):
                    connection.data_received(piece)
                if kind != "large":  # who calls may be in the middle of something then: it waits for the next turn
                    assert home.server.buffers.total <= LIMIT
                await turn()
                assert home.server.buffers.total <= LIMIT
            ended = [client for client, connection in greedy if connection.phase in (Phase.LINGERING, Phase.CLOSED)]
            assert 5 <= len(ended) < 40
            assert sum(clients for clients, _ in shed) == len(ended)
            for client in ended:
                (answer,) = await client.to_the_end()
                assert (answer.status, answer.body, answer.fields[b"connection"]) == (503, b"buffered_bytes", b"close")
            await modest.send(1000 * b"y")
            assert await modest.bodies(1) == [4000 * b"x" + 1000 * b"y"]
            for _, connection in greedy:
                connection.abort()
            await until_empty(home)

    go(main())


async def until_empty(home: House) -> None:
    """Let the loop run until nothing is held, or fail when nobody is there any more and something is."""
    while any(member.held_bytes for member in home.server.places.members):
        await turn()
    assert home.server.buffers.total == 0


def test_what_was_held_is_let_go(go: Go) -> None:
    """What was held is counted off when a request is complete, answered, refused, or its client has gone."""

    async def main() -> None:
        async with house() as home:
            buffers = home.server.buffers
            client, connection, _ = await home.pair()
            for piece in (head(3000).replace(b"GET", b"POST") + b"\r\n", b"Content-Length: 9000\r\n\r\n", 8000 * b"x"):
                connection.data_received(piece)
                assert buffers.total == connection.held_bytes >= len(piece)
            connection.data_received(1000 * b"x")
            assert buffers.total >= 9000  # it waits for its turn
            await client.answers(1)
            assert (buffers.total, connection.phase) == (0, Phase.IDLE)
            connection.data_received(large(9000) + get(b"/now?2"))
            assert buffers.total >= 9000
            (await home.place.arrivals.get()).finish()
            assert len(await client.answers(2)) == 2
            assert buffers.total == 0
            connection.data_received(body(9000))
            assert buffers.total >= 9000
            client.sock.close()
            await until(connection, Phase.CLOSED)
            assert buffers.total == 0

    go(main())


def test_a_request_that_is_answered_at_once_is_not_counted(go: Go) -> None:
    """Counting costs nothing where nothing is held: a whole request, and a small one that waits."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            home.server.buffers.limit = -1  # whatever is counted would be given up
            for target in (b"/now?1", b"/later?1"):
                connection.data_received(get(target))
                if target == b"/later?1":
                    home.place.arrivals.get_nowait().finish()
                assert await client.bodies(1) == [b"1"]
            assert connection.held_bytes == 0

    go(main())


@pytest.mark.parametrize("size", [1000, 20_000, 400_000])
def test_answers_that_nobody_takes(go: Go, size: int) -> None:
    """Clients that ask and never read are ended when all their answers together are more than the limit."""

    async def main() -> None:
        async with house(limits=LIMITS, place=Place(big_bytes=size), timeouts=Timeouts(idle=1000)) as home:
            greedy = [await home.pair() for _ in range(12)]
            reader = await home.client()
            for _ in range(400_000 // size + 1):
                for _, connection, recorder in greedy:
                    if "abort" not in recorder.calls and connection.phase is not Phase.CLOSED:
                        connection.data_received(3 * get(b"/big"))
                await turn()
                await turn()
                held = sum(
                    recorder.get_write_buffer_size()
                    for _, connection, recorder in greedy
                    if "abort" not in recorder.calls
                )
                assert held <= LIMIT + len(greedy) * UNCOUNTED_BYTES_MAX + 3 * size
                await reader.send(get(b"/now?1"))
                assert await reader.bodies(1) == [b"1"]
            assert sum("abort" in recorder.calls for _, _, recorder in greedy) >= 6

    go(main())


def test_answers_that_are_taken_late_are_let_go(go: Go) -> None:
    """Answers that a client takes late are counted until then, and not longer."""

    async def main() -> None:
        async with house(place=Place(big_bytes=1 << 20)) as home:
            client, connection, _ = await home.pair()
            connection.data_received(get(b"/big"))
            await until(connection, Phase.WRITING)
            assert home.server.buffers.total > UNCOUNTED_BYTES_MAX
            assert len(await client.answers(1)) == 1
            while home.server.buffers.total:
                await turn()
            assert connection.phase is Phase.IDLE

    go(main())


def test_reading_ahead_has_a_bound(go: Go) -> None:
    """While an answer is waited for, reading goes on for some KiB, and no further."""

    async def main() -> None:
        async with house() as home:
            _, connection, recorder = await home.pair()
            connection.data_received(get(b"/later?1"))
            connection.data_received(READ_AHEAD_BYTES_MAX * b"x")
            assert recorder.calls == []
            connection.data_received(b"x")
            assert recorder.calls == ["pause_reading"]

    go(main())


def test_shedding_is_counted_and_logged(go: Go) -> None:
    """A client that was shed has an access line, with 503 if it got that answer, and with 499 if it does not read."""

    async def main() -> None:
        place = Place(big_bytes=1 << 20)
        async with house(limits=Limits(buffered_bytes=1000), place=place) as home:
            _, telling, _ = await home.pair()
            telling.data_received(body(9000))
            _, silent, recorder = await home.pair()
            silent.data_received(2 * get(b"/big"))
            await until(silent, Phase.CLOSED)
            assert "abort" in recorder.calls
            assert sorted(status for path, status, _ in place.lines if path is None) == [499, 503]

    go(main())


# What it costs


def feed(pieces: list[bytes]) -> tuple[RequestParser, Request | None]:
    """Feed a parser piece by piece. Returns it, and the request that came out of it."""
    parser = RequestParser(Limits(), KnownHeads())
    request = None
    for piece in pieces:
        request = feed_whole(parser, piece)
    return parser, request


SMALL: Final = {
    "head": head(60_000),
    "lines": get(b"/now")[:-2] + b"".join(b"X%d: %b\r\n" % (number, 590 * b"x") for number in range(90)),
    "same-name": get(b"/now")[:-2] + 95 * (b"X: " + 600 * b"x" + b"\r\n"),
    "body": body(120_000),
    "chunks": chunks(90_000),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [1, 2, 7])
def test_fragments_cost_what_they_are(name: str, size: int) -> None:
    """A request in tiny fragments holds little more memory than is counted, and takes linear time."""
    data = SMALL[name]
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    begin = time.process_time()
    feed(pieces)
    elapsed_s = time.process_time() - begin
    assert elapsed_s / len(pieces) < 50e-6  # 1 µs each, or 20 of copying all again and again
    tracemalloc.start()
    try:
        parser, request = feed(pieces)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert request is None
    assert held < 1.3 * parser.held_bytes + 8000
    parser.close()


def test_fragments_that_wait_cost_what_they_are() -> None:
    """Bytes that are held for later cost little more than they are, in however many pieces they come."""
    parser = RequestParser(Limits(), KnownHeads())
    tracemalloc.start()
    try:
        for number in range(60_000):
            parser.hold(b"%02d" % (number % 100))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parser.held_bytes == 120_000
    assert held < 1.3 * 120_000 + 8000


def test_a_head_of_many_fields_is_quick() -> None:
    """However many header fields have one name, joining them does not hold the loop."""
    data = get(b"/now")[:-2] + 16_000 * b"X: y\r\n" + b"\r\n"
    parser = RequestParser(Limits(head_bytes=1 << 20, header_count=20_000), KnownHeads())
    begin = time.process_time()
    request = parser.feed(data)
    elapsed_s = time.process_time() - begin
    assert request is not None
    assert request.head.fields[b"x"] == b", ".join(16_000 * [b"y"])
    assert elapsed_s < 0.1


# Clients that leave


@pytest.mark.parametrize(
    "reads_ahead", [b"\r\n", get(b"/later?never"), 9 * get(b"/now?never")], ids=["line", "login", "many"]
)
def test_a_client_that_sent_more_and_left(go: Go, reads_ahead: bytes) -> None:
    """A client that sent bytes after its login and left is noticed: the login is given up, and no other one begins."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(b"/later?1"))
            later = await home.place.arrivals.get()
            await client.send(reads_ahead)
            client.sock.close()
            await later.cancelled.wait()
            while home.server.connection_count:
                await turn()
            assert home.place.seen == [b"1"]

    go(main())


def test_reading_goes_on_after_the_last_answer(go: Go) -> None:
    """What a client sent beyond the bound is read after its last answer: unread, it would make the kernel reset the answer."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            await client.send(get(b"/later?1", b"Connection: close"))
            later = await home.place.arrivals.get()
            sending = asyncio.ensure_future(client.send(3 * READ_AHEAD_BYTES_MAX * b"x"))
            while "pause_reading" not in recorder.calls:
                await turn()
            later.finish()
            assert recorder.calls[-2:] == ["write", "write_eof"]
            while "resume_reading" not in recorder.calls:
                await turn()
            with contextlib.suppress(ConnectionError):
                await sending
            while await client.more():
                pass
            assert [answer.body for answer in read_answers(client.received)[0]] == [b"1"]
            client.sock.close()
            await until(connection, Phase.CLOSED)

    go(main())


def test_a_client_that_does_not_read_is_ended_at_once(go: Go) -> None:
    """A client with answers that it does not take is ended by abort: closing would wait for it."""

    async def main() -> None:
        async with house(sweeping=False, place=Place(big_bytes=1 << 20)) as home:
            _, connection, recorder = await home.pair()
            connection.data_received(get(b"/big"))
            await until(connection, Phase.WRITING)
            connection.expire()
            assert recorder.calls[-1] == "abort"
            await until(connection, Phase.CLOSED)
            _, lingering, recorder = await home.pair()
            lingering.data_received(get(b"/big", b"Connection: close"))
            assert lingering.phase is Phase.LINGERING
            lingering.expire()
            assert recorder.calls[-1] == "abort"
            await until(lingering, Phase.CLOSED)

    go(main())


def test_much_that_has_gone_is_told_once(go: Go) -> None:
    """Freed memory is worth returning to the system once nearly all of it has gone, and only where it was much."""

    async def main() -> None:
        async with house(limits=Limits(buffered_bytes=4 * EASED_BYTES)) as home:
            buffers = home.server.buffers
            (_, few, _), (_, many, _) = await home.pair(), await home.pair()
            buffers.count(few, EASED_BYTES - 1)
            buffers.count(few, 0)
            assert not buffers.has_eased()  # too little
            buffers.count(few, EASED_BYTES // 4)
            buffers.count(many, 2 * EASED_BYTES)
            assert not buffers.has_eased()
            buffers.count(few, 0)
            assert not buffers.has_eased()  # most of it is still there
            buffers.forget(many)
            assert buffers.has_eased()
            assert not buffers.has_eased()

    go(main())
