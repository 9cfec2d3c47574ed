"""Nobody is served at another's expense: pipelined requests take turns, client by client, over real sockets."""

from __future__ import annotations

import asyncio
import functools
from typing import Final

import pytest

from tests.http1.loopback import Go, Place, get, house, turn, until
from tests.stopwatch import Stopwatch
from txtoken.http1.connection import READ_AHEAD_BYTES_MAX, Connection
from txtoken.http1.messages import Client, Pending, Request
from txtoken.http1.phase import Phase
from txtoken.http1.turns import READ_A_TURN_MAX, REQUESTS_IN_A_ROW_MAX, TURN_S
from txtoken.settings import Timeouts

LONG: Final = 1000.0

pytestmark = pytest.mark.usefixtures("stopwatch")


class Slow(Place):
    """Takes a part of a turn for each request."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._stopwatch = stopwatch

    def handle(self, request: Request, client: Client) -> Pending | None:
        """Work for a fifth of a turn."""
        self._stopwatch.passes(TURN_S / 5)
        return super().handle(request, client)


def requests(name: bytes, count: int) -> bytes:
    """Write so many requests."""
    return b"".join(get(b"/now?%b%d" % (name, number)) for number in range(count))


def test_clients_take_turns(go: Go) -> None:
    """Of two clients that pipeline, each has some requests answered after the other's."""

    async def main() -> None:
        async with house() as home:
            count = REQUESTS_IN_A_ROW_MAX
            pairs = [await home.pair() for _ in range(2)]
            for name, (_, connection, _) in zip((b"a", b"b"), pairs, strict=True):
                connection.data_received(requests(name, 2 * count + 1))
            for client, _, _ in pairs:
                assert len(await client.bodies(2 * count + 1)) == 2 * count + 1
            order = [name[:1] for name in home.place.seen]
            assert order == [b"a", b"b", *(2 * (count * [b"a"] + count * [b"b"]))]

    go(main())


def test_few_answers_leave_together(go: Go) -> None:
    """The answers to a few pipelined requests take one write."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            connection.data_received(requests(b"", REQUESTS_IN_A_ROW_MAX))
            assert len(await client.bodies(REQUESTS_IN_A_ROW_MAX)) == REQUESTS_IN_A_ROW_MAX
            assert recorder.calls == ["write"]

    go(main())


def test_a_turn_has_an_end(go: Go, stopwatch: Stopwatch) -> None:
    """However many requests wait, the loop has its turn after a few milliseconds, and the answers so far are sent by then."""

    async def main() -> None:
        place = Slow(stopwatch)
        async with house(place=place) as home:
            pairs = [await home.pair() for _ in range(3)]
            for client, connection, _ in pairs:
                connection.data_received(requests(b"x", 30))
                del client
            before = len(place.seen)
            assert before == 3  # one of each
            while before < 90:
                await turn()
                assert len(place.seen) - before <= 6
                assert all(connection._output == b"" for _, connection, _ in pairs)
                before = len(place.seen)
            for client, _, _ in pairs:
                assert len(await client.bodies(30)) == 30

    go(main())


def test_an_answer_does_not_wait_for_a_late_one(go: Go, stopwatch: Stopwatch) -> None:
    """Answers of a client's second turn are sent when it ends with a request whose answer comes later."""

    async def main() -> None:
        async with house(place=Slow(stopwatch)) as home:
            client = await home.client()
            await client.send(requests(b"", 8) + get(b"/later?last"))
            later = await home.place.arrivals.get()
            assert await client.bodies(8) == [b"%d" % number for number in range(8)]
            later.finish()
            assert await client.bodies(1) == [b"last"]

    go(main())


def test_another_client_is_not_kept_waiting(go: Go, stopwatch: Stopwatch) -> None:
    """A client with one request is answered before those that pipeline have had all of theirs."""

    async def main() -> None:
        place = Slow(stopwatch)
        async with house(place=place) as home:
            _, greedy, _ = await home.pair()
            honest = await home.client()
            greedy.data_received(requests(b"g", 200))
            await honest.send(get(b"/now?honest"))
            assert await honest.bodies(1) == [b"honest"]
            assert place.seen.index(b"honest") < 30

    go(main())


def test_a_late_answer_ends_the_turn(go: Go) -> None:
    """A request that waited gives the loop back before the one after it is answered."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            connection.data_received(get(b"/later?1") + get(b"/now?2"))
            home.place.arrivals.get_nowait().finish()
            assert home.place.seen == [b"1"]
            assert connection.phase is Phase.QUEUED
            assert await client.bodies(2) == [b"1", b"2"]

    go(main())


def test_more_arrives_while_a_client_waits_for_its_turn(go: Go) -> None:
    """What arrives before a client's next turn is neither lost nor answered out of order."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            connection.data_received(get(b"/now?0") + get(b"/now?1") + get(b"/now?2")[:9])
            assert connection.phase is Phase.QUEUED
            connection.data_received(get(b"/now?2")[9:])
            connection.data_received(get(b"/now?3").replace(b"GET", b"HEAD"))
            connection.data_received(get(b"/now?4", b"Connection: close") + get(b"/now?5"))
            bodies = [answer.body for answer in await client.to_the_end("GET", "GET", "GET", "HEAD")]
            assert bodies == [b"0", b"1", b"2", b"", b"4"]
            assert home.place.seen == [b"0", b"1", b"2", b"3", b"4"]

    go(main())


def test_draining_while_a_client_waits_for_its_turn(go: Go, stopwatch: Stopwatch) -> None:
    """What had arrived when draining began is answered, save for what has to wait; the last answer says that it is the last."""

    async def main() -> None:
        async with house(place=Slow(stopwatch), timeouts=Timeouts(drain=LONG)) as home:
            client, connection, _ = await home.pair()
            other, waits, _ = await home.pair()
            connection.data_received(requests(b"", 12))
            waits.data_received(requests(b"", 12) + get(b"/later?never"))
            draining = asyncio.ensure_future(home.server.drain())
            answers = await client.to_the_end()
            assert [answer.body for answer in answers] == [b"%d" % number for number in range(12)]
            assert [answer.fields.get(b"connection") for answer in answers] == [*(11 * [None]), b"close"]
            assert len(await other.to_the_end()) == 12
            client.sock.close()
            other.sock.close()
            await draining
            assert b"never" not in home.place.seen

    go(main())


def test_a_client_that_ends_while_it_waits_for_its_turn(go: Go) -> None:
    """Nothing is answered, and nothing begun, for a client that is gone when its turn comes."""

    async def main() -> None:
        async with house() as home:
            _, connection, _ = await home.pair()
            connection.data_received(requests(b"", 2) + get(b"/later?2"))
            connection.connection_lost(None)
            for _ in range(5):
                await turn()
            assert home.place.seen == [b"0"]
            home.server.places.members.add(connection)  # the transport will report the end once more
            connection.abort()
            await until(connection, Phase.CLOSED)

    go(main())


def test_a_half_closed_client_has_what_it_asked_for(go: Go, stopwatch: Stopwatch) -> None:
    """A client that sent many requests and shut down its sending side gets the answers that are ready, and no login begins."""

    async def main() -> None:
        async with house(place=Slow(stopwatch), sweeping=False) as home:
            client, connection, _ = await home.pair()
            connection.data_received(requests(b"", 20) + get(b"/later?never") + get(b"/now?never"))
            connection.eof_received()
            answers = await client.to_the_end()
            assert [answer.body for answer in answers] == [b"%d" % number for number in range(20)]
            assert b"never" not in home.place.seen
            await until(connection, Phase.CLOSED)  # it is not waited for: its end was seen

    go(main())


def test_a_client_that_has_sent_much_is_not_read_from(go: Go) -> None:
    """While many requests of a client wait, its reading rests; it goes on when they were answered."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            count = READ_AHEAD_BYTES_MAX // len(get(b"/now?1000")) + 2
            connection.data_received(requests(b"1", 20))
            assert recorder.calls == []  # of few it does not: that takes two calls of the kernel
            connection.data_received(requests(b"1", count))
            assert recorder.calls == ["pause_reading"]
            await client.send(get(b"/now?last"))
            answers = await client.bodies(20 + count + 1)
            assert answers[-1] == b"last"
            assert recorder.calls.count("resume_reading") == 1

    go(main())


def test_reading_rests_behind_a_long_wait_too(go: Go) -> None:
    """A client whose first request waits for its answer is not read from either, once much was read behind it."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            connection.data_received(get(b"/later?1") + requests(b"1", READ_AHEAD_BYTES_MAX // len(get(b"/now?1")) + 1))
            assert recorder.calls == ["pause_reading"]
            home.place.arrivals.get_nowait().finish()
            assert (await client.bodies(1))[0] == b"1"

    go(main())


def test_few_clients_are_read_from_again_in_one_turn(go: Go) -> None:
    """However many clients have used up what they sent at the same time, few are read from again in a turn of the loop."""

    async def main() -> None:
        async with house() as home:
            count = 3 * READ_A_TURN_MAX
            pairs = [await home.pair() for _ in range(count)]
            for _, connection, _ in pairs:
                connection._stop_reading()
                connection._resume_reading()
            read_on = 0
            for _ in range(3):
                await turn()
                before, read_on = read_on, sum("resume_reading" in recorder.calls for _, _, recorder in pairs)
                assert read_on - before <= READ_A_TURN_MAX
            for client, _, _ in pairs:
                await client.send(get(b"/now?1"))
                assert await client.bodies(1) == [b"1"]

    go(main())


def test_who_has_gone_is_not_read_from(go: Go) -> None:
    """A client whose reading was to go on, and that has ended or waits meanwhile, is left as it is."""

    async def main() -> None:
        async with house() as home:
            for end in (Connection.abort, Connection.defer):
                _, connection, recorder = await home.pair()
                connection._stop_reading()
                connection._resume_reading()
                end(connection)
                for _ in range(3):
                    await turn()
                assert "resume_reading" not in recorder.calls
                connection.abort()

    go(main())


def test_a_refused_client_is_read_from_once_in_a_turn(go: Go) -> None:
    """What a client sends behind its refusal is thrown away piece by piece, and others are served in between."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            await client.send(b"rubbish\r\n\r\n")
            assert [answer.status for answer in await client.to_the_end()] == [400]
            for count in (1, 2):
                connection.data_received(1000 * b"x")
                assert recorder.calls.count("pause_reading") == count
                assert recorder.calls.count("resume_reading") == count - 1
                await turn()
                await turn()
                assert recorder.calls.count("resume_reading") == count

    go(main())


def test_long_work_leaves_turns_to_others(go: Go, stopwatch: Stopwatch) -> None:
    """Between pieces of work that take longer than a turn there are turns of the loop in which nothing is done."""

    async def main() -> None:
        async with house() as home:
            turns, done = home.server.turns, [0]

            def work() -> None:
                done[0] += 1
                stopwatch.passes(5 * TURN_S)

            _, greedy, _ = await home.pair()
            for _ in range(3):
                turns.call(work)
            greedy.data_received(requests(b"g", 3))
            counts = []
            while done[0] < 3:
                await turn()
                counts.append(done[0])
            assert all(counts.count(number) >= 4 for number in (1, 2))
            while len(home.place.seen) < 3:
                await turn()

    go(main())


def test_short_work_is_done_at_once(go: Go) -> None:
    """Work that is short after all is done many pieces a turn."""

    async def main() -> None:
        async with house() as home:
            done: list[int] = []
            for number in range(50):
                home.server.turns.call(functools.partial(done.append, number))
            assert done == []
            await turn()
            await turn()
            assert done == list(range(50))

    go(main())


def test_neither_line_waits_for_the_other(go: Go, stopwatch: Stopwatch) -> None:
    """Work and requests have each their part of a turn: a line that never ends does not keep the other waiting."""

    async def main() -> None:
        async with house() as home:
            turns = home.server.turns

            def work() -> None:
                turns.call(work)
                stopwatch.passes(TURN_S)

            turns.call(work)
            client, connection, _ = await home.pair()
            connection.data_received(requests(b"", 3))
            assert await client.bodies(3) == [b"0", b"1", b"2"]
            turns._work.clear()

    go(main())
