"""The server of many clients: places, listeners, the sweep, draining, the end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from typing import Final, cast

import pytest

from tests.http1.loopback import Client, Go, House, Later, Place, get, house, post, turn, until
from txtoken.http1.acceptor import ACCEPTED_A_BUSY_TURN_MAX
from txtoken.http1.connection import Connection
from txtoken.http1.member import Member
from txtoken.http1.phase import Phase
from txtoken.http1.places import DRAIN_IDLE_GRACE_S
from txtoken.http1.server import EXPIRED_A_TURN_MAX
from txtoken.settings import Limits, Timeouts

LONG: Final = 1000.0


async def count(home: House, connections: int) -> None:
    """Let the loop run until the server has so many connections."""
    while home.server.connection_count != connections:
        await turn()


async def ask(client: Client, body: bytes) -> None:
    """Send a request and see it answered on a connection that goes on."""
    await client.send(get(b"/now?" + body))
    answer = (await client.answers(1))[0]
    assert (answer.body, answer.fields.get(b"connection")) == (body, None)


# Places


async def busy(home: House, client: Client) -> Later:
    """Send a request that is answered when the test says so."""
    await client.send(get(b"/later?busy"))
    return await home.place.arrivals.get()


def test_the_surplus_waits_while_all_are_busy(go: Go) -> None:
    """A client beyond `limits.connections` waits where all are busy, and nobody is closed for it."""

    async def main() -> None:
        async with house(limits=Limits(connections=2)) as home:
            clients = [await home.client() for _ in range(2)]
            laters = [await busy(home, client) for client in clients]
            third = await home.client()
            await third.send(get(b"/now?3"))
            assert await third.hears_nothing()
            assert home.server.connection_count <= 3
            clients[0].sock.close()
            assert await third.bodies(1) == [b"3"]
            laters[1].finish()
            assert await clients[1].bodies(1) == [b"busy"]

    go(main())


def test_the_surplus_is_served_when_one_is_idle_again(go: Go) -> None:
    """A client that waits because all are busy is served when one of them has its answer, without that one leaving."""

    async def main() -> None:
        async with house(limits=Limits(connections=1)) as home:
            first = await home.client()
            later = await busy(home, first)
            second = await home.client()
            await second.send(get(b"/now?2"))
            assert await second.hears_nothing()
            third = await home.client()
            await third.send(get(b"/now?3"))
            later.finish()
            assert [answer.body for answer in await first.to_the_end()] == [b"busy"]
            assert [answer.body for answer in await second.to_the_end()] == [b"2"]
            assert await third.bodies(1) == [b"3"]

    go(main())


def test_who_never_asked_makes_room_first(go: Go) -> None:
    """A new client takes the place of the oldest that never completed a request, however long others have been idle."""

    async def main() -> None:
        async with house(limits=Limits(connections=3)) as home:
            asked = await home.client()
            await ask(asked, b"1")
            silent = await home.client()
            await count(home, 2)
            begun = await home.client()
            await begun.send(post(b"", length=9))
            await count(home, 3)
            for older in (silent, begun):
                late = await home.client()
                await ask(late, b"2")
                assert await older.to_the_end() == []
            await ask(asked, b"3")
            assert home.server.places.deferred == 2

    go(main())


def test_then_who_is_idle_longest(go: Go) -> None:
    """Where all have asked, a new client takes the place of the one that has been idle longest."""

    async def main() -> None:
        async with house(limits=Limits(connections=3)) as home:
            clients = [await home.client() for _ in range(3)]
            for client in (*clients, clients[0]):
                await ask(client, b"1")
                now = home.server.time()
                while home.server.time() == now:  # a loop's clock may stand for a millisecond
                    await turn()
            late = await home.client()
            await ask(late, b"2")
            assert await clients[1].to_the_end() == []
            await ask(clients[2], b"3")  # it was the next one to go
            await ask(await home.client(), b"4")
            assert await clients[0].to_the_end() == []
            await ask(clients[2], b"5")
            await ask(late, b"5")

    go(main())


def test_silent_clients_push_out_their_own(go: Go) -> None:
    """Thousands of connections that are opened and never ask cost a client that has asked its place, or a new one a wait."""

    async def main() -> None:
        async with house(limits=Limits(connections=8)) as home:
            honest = await home.client()
            await ask(honest, b"1")
            for _ in range(20):
                silent = [await home.client() for _ in range(8)]
                late = await home.client()
                await ask(late, b"2")
                await ask(honest, b"1")
                for client in (late, *silent):
                    client.sock.close()
            await count(home, 1)

    go(main())


def test_who_waits_for_a_place_may_leave(go: Go) -> None:
    """A client that left while it waited for a place does not keep the next one from being served."""

    async def main() -> None:
        async with house(limits=Limits(connections=1)) as home:
            first = await home.client()
            await busy(home, first)
            waiting = [await home.client() for _ in range(3)]
            for client in waiting[:2]:
                client.sock.close()
            await waiting[2].send(get(b"/now?last"))
            first.sock.close()
            assert await waiting[2].bodies(1) == [b"last"]

    go(main())


def test_no_place_can_be_lost_to_a_lack_of_files(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    """When accepting cannot be taken up again for want of a file descriptor, it is tried again until it can."""

    async def main() -> None:
        async with house(limits=Limits(connections=1)) as home:
            first = await home.client()
            await busy(home, first)
            second = await home.client()
            await second.send(get(b"/now?2", b"Connection: close"))
            while not home.server.places._deferred:
                await turn()
            third = await home.client()
            await third.send(get(b"/now?3"))
            duplicate = socket.socket.dup
            refused = 0

            def refuse(sock: socket.socket) -> socket.socket:
                nonlocal refused
                refused += 1
                if refused > 2:
                    return duplicate(sock)
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

            monkeypatch.setattr(socket.socket, "dup", refuse)
            first.sock.close()
            assert [answer.body for answer in await second.to_the_end()] == [b"2"]
            second.sock.close()
            assert await third.bodies(1) == [b"3"]
            assert refused == 3

    go(main())


# Listeners


def test_all_listeners_are_served(go: Go) -> None:
    """A second listening socket is not served, or has a limit of its own."""

    async def main() -> None:
        async with house(listeners=2, limits=Limits(connections=2)) as home:
            assert len(set(home.ports)) == 2
            served = [await home.client(0), await home.client(1)]
            for client in served:
                await busy(home, client)
            for listener in (0, 1, 0):
                waiting = await home.client(listener)
                await waiting.send(get(b"/now?2"))
                assert await waiting.hears_nothing()
                served.pop(0).sock.close()
                assert await waiting.bodies(1) == [b"2"]
                await busy(home, waiting)
                served.append(waiting)

    go(main())


def test_listeners_are_opened_once(go: Go) -> None:
    """Room that comes twice before accepting has begun again opens one listener a socket, and not two."""

    async def main() -> None:
        async with house(listeners=2) as home:
            acceptor = home.server.places.acceptor
            acceptor.pause()
            acceptor.resume()
            acceptor.resume()
            await ask(await home.client(1), b"1")
            while acceptor._resuming is not None and not acceptor._resuming.done():
                await turn()
            await turn()
            assert len(acceptor._listeners) == 2

    go(main())


def test_a_full_turn_accepts_some(go: Go) -> None:
    """A turn of the loop that was used up accepts a bounded number of clients from each socket, and nobody while accepting is
    paused; those that are left are accepted later.
    """

    async def main() -> None:
        async with house(listeners=2, sweeping=False) as home:
            acceptor = home.server.places.acceptor
            with contextlib.ExitStack() as clients:
                for port, waiting in zip(home.ports, (ACCEPTED_A_BUSY_TURN_MAX + 5, 3), strict=True):
                    for _ in range(waiting):  # the kernel connects them: the loop gets no turn before `catch_up`
                        clients.enter_context(socket.create_connection(("127.0.0.1", port)))
                acceptor.catch_up()
                assert home.server.connection_count == ACCEPTED_A_BUSY_TURN_MAX + 3
                acceptor.pause()
                acceptor.catch_up()
                assert home.server.connection_count == ACCEPTED_A_BUSY_TURN_MAX + 3
                acceptor.resume()
                await count(home, ACCEPTED_A_BUSY_TURN_MAX + 5 + 3)

    go(main())


@pytest.mark.parametrize("turns", range(6))
def test_an_accepted_client_keeps_no_place(go: Go, turns: int) -> None:
    """Whenever the next clients find no place, a client that was accepted just before gives its place back when it leaves."""

    async def main() -> None:
        async with house(sweeping=False, limits=Limits(connections=1)) as home:
            acceptor = home.server.places.acceptor
            with contextlib.ExitStack() as clients:

                def accept_one() -> None:
                    clients.enter_context(socket.create_connection(("127.0.0.1", home.ports[0])))
                    acceptor.catch_up()

                accept_one()
                for _ in range(turns):
                    await turn()
                accept_one()
                accept_one()
            async with asyncio.timeout(5):
                await count(home, 0)
            assert not home.server.places.members

    go(main())


@pytest.mark.parametrize("turns", range(6))
def test_an_accepted_client_is_ended(go: Go, turns: int) -> None:
    """Whenever all clients are ended, one that was accepted just before is forgotten, too."""

    async def main() -> None:
        async with house() as home:
            with socket.create_connection(("127.0.0.1", home.ports[0])):
                home.server.places.acceptor.catch_up()
                for _ in range(turns):
                    await turn()
                home.server.abort()
                async with asyncio.timeout(5):
                    await count(home, 0)

    go(main())


def test_the_backlog_is_served_at_the_end(go: Go) -> None:
    """Who had connected when draining began is answered, as far as there are places; who comes later is refused at once."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            async with house(sweeping=False, limits=Limits(connections=2), timeouts=Timeouts(drain=LONG)) as home:
                await home.server.listen([sock])
                running = await home.client()
                later = await busy(home, running)
                home.ports.append(sock.getsockname()[1])
                home.server.places.acceptor.pause()
                waiting = [await home.client(-1) for _ in range(2)]
                for client in waiting:
                    await client.send(get(b"/now?backlog"))
                draining = asyncio.ensure_future(home.server.drain())
                answers = await waiting[0].to_the_end()
                assert [(answer.body, answer.fields[b"connection"]) for answer in answers] == [(b"backlog", b"close")]
                with pytest.raises(ConnectionResetError):
                    await waiting[1].to_the_end()  # there was no place
                with pytest.raises(ConnectionRefusedError):
                    await home.client(-1)
                waiting[0].sock.close()
                later.finish()
                await running.to_the_end()
                running.sock.close()
                await draining
                assert sock.fileno() == -1

    go(main())


# The sweep


def test_many_deadlines_at_once_hold_nobody_else(go: Go) -> None:
    """Of thousands whose deadline is the same few are refused in a turn of the loop, and who went on meanwhile is not."""

    async def main() -> None:
        async with house(sweeping=False, timeouts=Timeouts(idle=LONG)) as home:
            pairs = [await home.pair() for _ in range(2 * EXPIRED_A_TURN_MAX + 2)]
            for _, connection, _ in pairs:
                connection.data_received(get(b"/now?1")[:-2])
            now = max(connection.deadline for _, connection, _ in pairs)
            home.server.sweep(now)
            home.server.sweep(now)
            late = next(connection for _, connection, _ in pairs if connection.phase is Phase.HEAD)
            late.data_received(b"\r\n")
            counts: list[int] = []
            while (left := sum(connection.phase is Phase.HEAD for _, connection, _ in pairs)) or not counts:
                counts.append(left)
                await turn()
            assert counts in (
                [EXPIRED_A_TURN_MAX + 1, 1],
                [EXPIRED_A_TURN_MAX + 1, 2],
            )  # the late one is among 64 or not
            for client, connection, _ in pairs:
                if connection is not late:
                    assert [answer.status for answer in await client.answers(1)] == [408]
            assert late.phase in (Phase.IDLE, Phase.RESTING)

    go(main())


def test_one_that_fails_keeps_no_other_deadline(go: Go) -> None:
    """What goes wrong as one connection is ended leaves the others to the next turn of the loop."""

    async def main() -> None:
        async with house(sweeping=False, timeouts=Timeouts(idle=LONG)) as home:
            client, connection, _ = await home.pair()
            connection.data_received(get(b"/now?1")[:-2])
            home.server._expired.extend([cast("Member", object()), connection])
            with pytest.raises((AttributeError, TypeError)):
                home.server._expire(connection.deadline)
            assert [answer.status for answer in await client.answers(1)] == [408]
            home.server.sweep(connection.deadline)
            assert not home.server._expired

    go(main())


def test_the_sweep_ends_only_what_is_due(go: Go) -> None:
    """The sweep acts before a deadline, or on another connection, or not at all."""

    async def main() -> None:
        async with house(sweeping=False, timeouts=Timeouts(idle=LONG)) as home:
            _, idle, _ = await home.pair()
            _, begun, _ = await home.pair()
            client, answering, _ = await home.pair()
            begun.data_received(b"G")
            answering.data_received(get(b"/later?1"))
            home.server.sweep(begun.deadline - 0.001)
            assert (idle.phase, idle.deadline > begun.deadline) == (Phase.RESTING, True)
            await turn()
            assert home.server.connection_count == 3
            home.server.sweep(begun.deadline)
            await until(begun, Phase.LINGERING)
            home.server.sweep(idle.deadline)
            await count(home, 1)
            home.place.arrivals.get_nowait().finish()
            assert await client.bodies(1) == [b"1"]

    go(main())


# Draining


def test_nobody_to_wait_for(go: Go) -> None:
    """Draining a server without clients takes time, or listening goes on."""

    async def main() -> None:
        async with house(timeouts=Timeouts(drain=LONG)) as home:
            await home.server.drain()
            with pytest.raises(ConnectionRefusedError):
                await home.client()

    go(main())


def test_running_requests_finish(go: Go) -> None:
    """Draining cuts off a request that runs or arrives, or leaves its connection open, or takes a further one."""

    async def main() -> None:
        async with house(timeouts=Timeouts(drain=LONG)) as home:
            running, arriving = await home.client(), await home.client()
            await running.send(get(b"/later?1") + get(b"/now?2"))
            later = await home.place.arrivals.get()
            whole = post(b"hello")
            near, connection, _ = await home.pair()
            await near.send(whole[:-1])
            await until(connection, Phase.BODY)
            await ask(arriving, b"0")
            draining = asyncio.ensure_future(home.server.drain())
            await turn()
            await arriving.send(get(b"/now?3"))  # it was sent before the client could know
            await near.send(whole[-1:])
            later.finish()
            for client, body in ((running, b"1"), (arriving, b"3"), (near, b"hello")):
                answers = await client.to_the_end()
                assert [(answer.body, answer.fields[b"connection"]) for answer in answers] == [(body, b"close")]
                client.sock.close()
            await draining
            assert home.place.seen[-1] != b"2"
            assert home.server.connection_count == 0

    go(main())


def test_idle_connections_end(go: Go) -> None:
    """Draining waits for clients that are idle, or gives one that was just answered no time for its next request."""

    async def main() -> None:
        async with house(sweeping=False, timeouts=Timeouts(drain=LONG, idle=LONG)) as home:
            _, new, _ = await home.pair()
            _, old, _ = await home.pair()
            old.deadline -= 2 * DRAIN_IDLE_GRACE_S  # it has been idle for that long
            draining = asyncio.ensure_future(home.server.drain())
            await turn()
            now = home.server.time()
            home.server.sweep(now)
            await until(old, Phase.CLOSED)
            assert home.server.connection_count == 1
            assert now < new.deadline <= now + DRAIN_IDLE_GRACE_S
            home.server.sweep(now + DRAIN_IDLE_GRACE_S)
            await draining
            assert home.server.connection_count == 0

    go(main())


def test_what_does_not_finish_is_ended(go: Go) -> None:
    """Draining lasts longer than `timeouts.drain`, or a login goes on behind it."""

    async def main() -> None:
        async with house(timeouts=Timeouts(drain=0.05)) as home:
            client = await home.client()
            await client.send(get(b"/later?1"))
            later = await home.place.arrivals.get()
            await home.server.drain()
            await later.cancelled.wait()
            await count(home, 0)

    go(main())


def test_who_waits_for_a_place_is_let_go(go: Go) -> None:
    """Draining serves clients that had no place, or leaves them waiting."""

    async def main() -> None:
        async with house(limits=Limits(connections=1), timeouts=Timeouts(drain=LONG)) as home:
            first = await home.client()
            await first.send(get(b"/later?1"))
            later = await home.place.arrivals.get()
            second = await home.client()
            while not home.server.places._deferred:
                await turn()
            draining = asyncio.ensure_future(home.server.drain())
            assert await second.to_the_end() == []
            later.finish()
            assert [answer.body for answer in await first.to_the_end()] == [b"1"]
            first.sock.close()
            await draining

    go(main())


def test_who_still_reads_is_waited_for(go: Go) -> None:
    """Draining cuts off answers that a client has not read yet, or serves that client further."""

    async def main() -> None:
        async with house(place=Place(big_bytes=1 << 20), timeouts=Timeouts(drain=LONG)) as home:
            client, connection, _ = await home.pair()
            await client.send(3 * get(b"/big"))
            await until(connection, Phase.WRITING)
            draining = asyncio.ensure_future(home.server.drain())
            await turn()
            await client.send(get(b"/now"))
            assert [len(answer.body) for answer in await client.to_the_end()] == 3 * [1 << 20]
            client.sock.close()
            await draining

    go(main())


@pytest.mark.parametrize("limit", [9, 1], ids=["with-a-place", "without"])
def test_who_comes_as_draining_begins(go: Go, limit: int) -> None:
    """A connection that was accepted just before draining began keeps the service from ending."""

    async def main() -> None:
        async with house(
            sweeping=False, limits=Limits(connections=limit), timeouts=Timeouts(drain=LONG, idle=LONG)
        ) as home:
            first = await home.client()
            await first.send(get(b"/later?1"))
            later = await home.place.arrivals.get()
            draining = asyncio.ensure_future(home.server.drain())
            await turn()
            client, connection, _ = await home.pair()
            home.server.sweep(home.server.time() + DRAIN_IDLE_GRACE_S)
            assert await client.to_the_end() == []
            await until(connection, Phase.CLOSED)
            later.finish()
            assert [answer.body for answer in await first.to_the_end()] == [b"1"]
            first.sock.close()
            await draining

    go(main())


def test_who_comes_as_draining_begins_may_ask_once(go: Go) -> None:
    """A client that was accepted just before draining began is not answered, or may go on asking."""

    async def main() -> None:
        async with house(timeouts=Timeouts(drain=LONG)) as home:
            first = await home.client()
            await first.send(get(b"/later?1"))
            later = await home.place.arrivals.get()
            draining = asyncio.ensure_future(home.server.drain())
            await turn()
            client, _, _ = await home.pair()
            await client.send(get(b"/now?2"))
            answers = await client.to_the_end()
            assert [(answer.body, answer.fields[b"connection"]) for answer in answers] == [(b"2", b"close")]
            client.sock.close()
            later.finish()
            await first.to_the_end()
            first.sock.close()
            await draining

    go(main())


# The end


def test_abort(go: Go) -> None:
    """The end at once leaves a connection open, a login running, or the server listening."""

    async def main() -> None:
        async with house(limits=Limits(connections=2)) as home:
            idle, running = await home.client(), await home.client()
            other = await busy(home, idle)
            later = await busy(home, running)
            held = await home.client()
            while not home.server.places._deferred:
                await turn()
            home.server.abort()
            await later.cancelled.wait()
            await other.cancelled.wait()
            await count(home, 0)
            for client in (idle, running, held):
                try:
                    assert await client.to_the_end() == []
                except ConnectionResetError:
                    continue
            late = await home.client()
            await late.send(get(b"/now"))
            assert await late.hears_nothing()

    go(main())


def test_smaller_limits_hold_for_known_heads(go: Go) -> None:
    """A head that was good within the old limits lets a body pass that the new ones forbid."""

    async def main() -> None:
        async with house() as home:
            for _ in range(3):
                client = await home.client()
                await client.send(post(b"12345"))
                assert [answer.status for answer in await client.answers(1)] == [200]
            home.server.use(home.place, Limits(body_bytes=4), Timeouts(), None)
            late = await home.client()
            await late.send(post(b"12345"))
            assert [answer.status for answer in await late.to_the_end()] == [413]

    go(main())


def test_a_smaller_limit_holds_for_who_comes_later(go: Go) -> None:
    """Where a reload left fewer places than are taken, a new client takes one of those, and waits while all are busy."""

    async def main() -> None:
        async with house() as home:
            clients = [await home.client() for _ in range(3)]
            for client in clients:
                await ask(client, b"1")
            home.server.use(home.place, Limits(connections=1), Timeouts(), None)
            late = await home.client()
            await ask(late, b"2")
            assert home.server.places.deferred == 1
            await count(home, 3)

    go(main())


def test_nothing_is_left_of_a_connection(go: Go) -> None:
    """A connection that has ended is kept alive by its parser, so that memory waits for the collector."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            await ask(client, b"1")
            client.sock.close()
            await until(connection, Phase.CLOSED)
            assert isinstance(connection, Connection)
            assert connection._parser._grammar is None
            assert home.server.connection_count == 0

    go(main())
