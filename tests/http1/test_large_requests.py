"""What takes long waits for its turn: large requests, and chunked bodies part by part, over real sockets."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from tests.http1.loopback import Go, Place, get, house, post, turn, until
from tests.stopwatch import Stopwatch
from txtoken.http1.connection import LARGE_BYTES
from txtoken.http1.messages import Client, Pending, Request
from txtoken.http1.parser import CHUNKED_PART_BYTES
from txtoken.http1.phase import Phase
from txtoken.http1.turns import TURN_S
from txtoken.settings import Limits, Timeouts

LONG: Final = 1000.0
CHUNKED: Final = b"Transfer-Encoding: chunked"


class Slow(Place):
    """Takes a whole turn for each large request."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._stopwatch = stopwatch

    def handle(self, request: Request, client: Client) -> Pending | None:
        """Work for a turn."""
        if len(request.body) > LARGE_BYTES:
            self._stopwatch.passes(TURN_S)
        return super().handle(request, client)


def large(number: int) -> bytes:
    """Write a large request."""
    return post(LARGE_BYTES * b"x" + b"x", target=b"/now?%d" % number)


def chunked(count: int, end: bytes = b"0\r\n\r\n", target: bytes = b"/now?") -> bytes:
    """Write a request with so many chunks of one byte."""
    return get(target, CHUNKED).replace(b"GET", b"POST") + count * b"1\r\nx\r\n" + end


PARTS: Final = 8
MANY: Final = PARTS * CHUNKED_PART_BYTES // 6  # chunks in so many parts, about


def test_large_requests_take_turns(go: Go, stopwatch: Stopwatch) -> None:
    """Of many clients with a large request each, one is answered in a turn of the loop, and others in between."""

    async def main() -> None:
        async with house(place=Slow(stopwatch)) as home:
            place = home.place
            pairs = [await home.pair() for _ in range(5)]
            for number, (_, connection, _) in enumerate(pairs):
                connection.data_received(large(number))
            assert place.seen == []
            honest = await home.client()
            await honest.send(get(b"/now?honest"))
            while len(place.seen) < 6:
                before = len(place.seen)
                await turn()
                assert len([query for query in place.seen[before:] if query != b"honest"]) <= 1
            assert await honest.bodies(1) == [b"honest"]
            assert place.seen.index(b"honest") < 5
            for client, _, _ in pairs:
                assert [answer.status for answer in await client.answers(1)] == [200]

    go(main())


def test_a_head_that_was_seen_before(go: Go) -> None:
    """A large request whose head is known waits for its turn as any other does."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            for number in range(4):
                connection.data_received(large(7))
                assert connection.phase is Phase.QUEUED
                assert len(home.place.seen) == number
                await client.answers(1)
                await until(connection, Phase.IDLE)

    go(main())


def test_a_large_head(go: Go) -> None:
    """A request is large by its head, too: a token of 30 KiB has to be looked at."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            connection.data_received(get(b"/now?1", b"Authorization: Bearer " + LARGE_BYTES * b"x"))
            assert connection.phase is Phase.QUEUED
            assert await client.bodies(1) == [b"1"]

    go(main())


def test_the_next_requests_of_a_client_stay_behind_a_large_one(go: Go) -> None:
    """What a client sends while its large request waits is answered after it."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            connection.data_received(large(1) + get(b"/now?2"))
            connection.data_received(get(b"/now?3"))
            assert [len(body) for body in await client.bodies(3)] == [LARGE_BYTES + 2, 1, 1]
            assert home.place.seen == [b"1", b"2", b"3"]

    go(main())


def test_draining_while_a_large_request_waits(go: Go) -> None:
    """A large login that had arrived when draining began is answered; one behind it does not begin."""

    async def main() -> None:
        async with house(timeouts=Timeouts(drain=LONG)) as home:
            client, connection, _ = await home.pair()
            body = (LARGE_BYTES + 1) * b"x"
            connection.data_received(post(body, target=b"/later?1") + get(b"/later?2"))
            draining = asyncio.ensure_future(home.server.drain())
            (await home.place.arrivals.get()).finish()
            assert [answer.body for answer in await client.to_the_end()] == [b"1"]
            client.sock.close()
            await draining
            assert home.place.seen == [b"1"]

    go(main())


def test_a_client_that_shut_down_behind_a_large_request(go: Go) -> None:
    """A large login of a client that may be gone does not begin."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            connection.data_received(post((LARGE_BYTES + 1) * b"x", target=b"/later?1"))
            connection.eof_received()
            assert await client.to_the_end() == []
            assert home.place.seen == []

    go(main())


def test_shedding_while_a_large_request_waits(go: Go) -> None:
    """A large request that is cancelled while it waits gets an answer, and is not handled."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            connection.data_received(large(1))
            connection.shed()
            assert [(answer.status, answer.body) for answer in await client.to_the_end()] == [(503, b"buffered_bytes")]
            assert home.place.seen == []

    go(main())


def test_chunks_are_read_part_by_part(go: Go) -> None:
    """A body of thousands of chunks is read in parts, and other clients are answered in between."""

    async def main() -> None:
        async with house() as home:
            pairs = [await home.pair() for _ in range(40)]
            for _, connection, _ in pairs:
                connection.data_received(chunked(MANY))
                assert connection.phase is Phase.QUEUED
                held = connection._parser._body
                assert held is not None
                assert len(held) <= CHUNKED_PART_BYTES // 6 + 1
            honest = await home.client()
            await honest.send(get(b"/now?honest"))
            assert await honest.bodies(1) == [b"honest"]
            assert home.place.seen.index(b"honest") < 20
            for client, _, _ in pairs:
                assert await client.bodies(1) == [MANY * b"x"]

    go(main())


@pytest.mark.parametrize("count", [0, 1, 100, MANY])
def test_the_next_request_behind_chunks(go: Go, count: int) -> None:
    """What follows a chunked body is the next request, wherever the parts end."""

    async def main() -> None:
        async with house() as home:
            for cut in range(0, 24, 5):
                client, connection, _ = await home.pair()
                data = chunked(count, target=b"/now?" + cut * b"y") + get(b"/now?2") + chunked(count) + get(b"/now?3")
                connection.data_received(data)
                bodies = await client.bodies(4)
                assert bodies == [cut * b"y" + count * b"x", b"2", count * b"x", b"3"]

    go(main())


def test_the_deadline_of_a_chunked_body_stays(go: Go) -> None:
    """A client that sends enough for many parts, again and again, has no longer for its body than any other."""

    async def main() -> None:
        async with house(sweeping=False, timeouts=Timeouts(body=5.0), limits=Limits()) as home:
            client, connection, _ = await home.pair()
            connection.data_received(chunked(MANY, end=b""))
            deadline = connection.deadline
            assert deadline < home.server.time() + 6
            await until(connection, Phase.BODY)
            assert connection.deadline == deadline
            connection.data_received(MANY * b"1\r\nx\r\n")
            assert (connection.phase, connection.deadline) == (Phase.QUEUED, deadline)
            home.server.sweep(deadline)
            assert [(answer.status, answer.body) for answer in await client.to_the_end()] == [(408, b"body_timeout")]
            assert home.place.seen == []

    go(main())


def test_reading_goes_on_for_the_rest_of_a_body(go: Go) -> None:
    """Reading that rested while parts of a body waited goes on when they were read."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            connection.data_received(chunked(16_000, end=b""))
            assert recorder.calls == ["pause_reading"]
            await until(connection, Phase.BODY)
            await client.send(b"0\r\n\r\n")
            assert await client.bodies(1) == [16_000 * b"x"]
            assert connection.held_bytes == 0

    go(main())


def test_the_end_of_a_client_whose_chunks_wait(go: Go) -> None:
    """A body that its client cuts short while parts of it wait is reported as incomplete; a whole one is answered."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            connection.data_received(chunked(MANY, end=b""))
            connection.eof_received()
            answers = await client.to_the_end()
            assert [(answer.status, answer.body) for answer in answers] == [(400, b"incomplete_request")]
            client, connection, _ = await home.pair()
            connection.data_received(chunked(MANY))
            connection.eof_received()
            assert [answer.body for answer in await client.to_the_end()] == [MANY * b"x"]

    go(main())


def test_draining_while_chunks_wait(go: Go) -> None:
    """A login whose body was being read when draining began is read to its end and answered."""

    async def main() -> None:
        async with house(timeouts=Timeouts(drain=LONG)) as home:
            client, connection, _ = await home.pair()
            connection.data_received(chunked(MANY, end=b"", target=b"/later?1"))
            draining = asyncio.ensure_future(home.server.drain())
            await client.send(b"0\r\n\r\n")
            (await home.place.arrivals.get()).finish()
            answers = await client.to_the_end()
            assert [(answer.body, answer.fields[b"connection"]) for answer in answers] == [(b"1", b"close")]
            client.sock.close()
            await draining

    go(main())


def test_broken_chunks_behind_good_ones(go: Go) -> None:
    """A chunked body that is broken in one of its later parts is refused, and so is one that grows too large."""

    async def main() -> None:
        async with house(limits=Limits(body_bytes=MANY)) as home:
            client, connection, _ = await home.pair()
            connection.data_received(chunked(MANY, end=b"rubbish\r\n"))
            assert [answer.status for answer in await client.to_the_end()] == [400]
            client, connection, _ = await home.pair()
            connection.data_received(chunked(MANY + 1))
            assert [answer.status for answer in await client.to_the_end()] == [413]

    go(main())
