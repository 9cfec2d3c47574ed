"""Nobody is served at another's expense: pipelined requests take turns, client by client, over real sockets."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from tests.http1.loopback import Go, Place, get, house, turn, until
from txtoken.http1.connection import Phase
from txtoken.http1.messages import Client, Pending, Request
from txtoken.http1.turns import TURN_S
from txtoken.settings import Timeouts

LONG: Final = 1000.0


class Slow(Place):
    """Takes a part of a turn for each request."""

    def handle(self, request: Request, client: Client) -> Pending | None:
        """Work for a fifth of a turn."""
        end = time.perf_counter() + TURN_S / 5
        while time.perf_counter() < end:
            pass
        return super().handle(request, client)


def requests(name: bytes, count: int) -> bytes:
    """Write so many requests."""
    return b"".join(get(b"/now?%b%d" % (name, number)) for number in range(count))


def test_clients_take_turns(go: Go) -> None:
    """Of two clients that pipeline, each has one request answered after the other's."""

    async def main() -> None:
        async with house() as home:
            pairs = [await home.pair() for _ in range(2)]
            for name, (_, connection, _) in zip((b"a", b"b"), pairs, strict=True):
                connection.data_received(requests(name, 4))
            for client, _, recorder in pairs:
                assert len(await client.bodies(4)) == 4
                assert recorder.calls == ["write"]
            assert home.place.seen == [b"a0", b"b0", b"a1", b"b1", b"a2", b"b2", b"a3", b"b3"]

    go(main())


def test_a_turn_has_an_end(go: Go) -> None:
    """However many requests wait, the loop has its turn after a few milliseconds, and the answers so far are sent by then."""

    async def main() -> None:
        place = Slow()
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


def test_another_client_is_not_kept_waiting(go: Go) -> None:
    """A client with one request is answered before those that pipeline have had all of theirs."""

    async def main() -> None:
        place = Slow()
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


def test_draining_while_a_client_waits_for_its_turn(go: Go) -> None:
    """What had arrived when draining began is answered, save for what has to wait; the last answer says that it is the last."""

    async def main() -> None:
        async with house(place=Slow(), timeouts=Timeouts(drain=LONG)) as home:
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
            home.server.members.add(connection)  # the transport will report the end once more
            connection.abort()
            await until(connection, Phase.CLOSED)

    go(main())


def test_a_half_closed_client_has_what_it_asked_for(go: Go) -> None:
    """A client that sent many requests and shut down its sending side gets the answers that are ready, and no login begins."""

    async def main() -> None:
        async with house(place=Slow(), sweeping=False) as home:
            client, connection, _ = await home.pair()
            connection.data_received(requests(b"", 20) + get(b"/later?never") + get(b"/now?never"))
            connection.eof_received()
            answers = await client.to_the_end()
            assert [answer.body for answer in answers] == [b"%d" % number for number in range(20)]
            assert b"never" not in home.place.seen
            await until(connection, Phase.CLOSED)  # it is not waited for: its end was seen

    go(main())
