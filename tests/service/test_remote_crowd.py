"""Requests that are written together, when there are many: each is written once, and none that is over by then."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Final

from tests.exchange import LOGIN, House
from tests.running import run
from tests.service.faulty_remote import Call, FaultyRemote, Peer, answer, calling, post, turning
from txtoken.demo import demo_config
from txtoken.service.remote import CROWD, Remote
from txtoken.settings import LogSettings

MANY: Final = 3 * CROWD


async def echo(peer: Peer) -> None:
    """Answer each request with its own body."""
    while True:
        request = await peer.request()
        peer.send(answer(request.partition(b"\r\n\r\n")[2]))


def bodies(start: int, count: int) -> list[bytes]:
    """Make JSON objects that can be told apart."""
    return [b'{"n":%d}' % number for number in range(start, start + count)]


def peer_of(call: Call, faulty: FaultyRemote) -> Peer:
    """Find the other end of the connection that carries a request."""
    assert call.connection is not None
    address = call.connection.transport.get_extra_info("sockname")
    (found,) = (peer for peer in faulty.peers if peer.transport.get_extra_info("peername") == address)
    return found


def end_now(peer: Peer) -> None:
    """Say that nothing more will come: at once, and not when the loop comes to it."""
    number = peer.transport.get_extra_info("socket").fileno()
    with socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM) as same:
        same.shutdown(socket.SHUT_WR)


@contextlib.asynccontextmanager
async def crowded() -> AsyncIterator[tuple[FaultyRemote, Remote, list[Call]]]:
    """A remote to which many connections are open, and one more request on each than was ever answered, not yet written."""
    async with FaultyRemote(echo).listening() as faulty, calling(faulty.url) as remote:
        for start in (0, MANY):  # the second time, connections are used that the first one opened
            calls = [post(remote, body) for body in bodies(start, MANY)]
            assert [await call.outcome() for call in calls] == bodies(start, MANY)
            await turning(lambda: remote.idle_count == MANY)
        yield faulty, remote, [post(remote, body) for body in bodies(2 * MANY, MANY)]


def test_each_gets_its_own_answer() -> None:
    """A request is left unwritten, is written twice, or on another's connection."""

    async def main() -> None:
        async with crowded() as (faulty, _, calls):
            assert [await call.outcome() for call in calls] == bodies(2 * MANY, MANY)
            assert sorted(body for _, body in faulty.bodies) == sorted(bodies(0, 3 * MANY))
            assert len(faulty.peers) == MANY

    run(main())


def test_given_up_before_it_was_written() -> None:
    """The remote gets a request that nobody wants any more, or those behind it stay unwritten."""

    async def main() -> None:
        async with crowded() as (faulty, remote, calls):
            given_up = calls[-2]
            assert given_up.connection is not None
            given_up.cancel()
            others = [call for call in calls if call is not given_up]
            assert [await call.outcome() for call in others] == [call.body for call in others]
            await turning(lambda: remote.open_count == MANY - 1)
            assert given_up.body not in {body for _, body in faulty.bodies}
            assert not given_up.is_over

    run(main())


def test_a_connection_that_ends_before_it_was_written_to() -> None:
    """A write to a transport that was closed meanwhile raises, and those behind it stay unwritten."""

    async def main() -> None:
        async with crowded() as (faulty, _, calls):
            lost = calls[-2]
            end_now(peer_of(lost, faulty))
            others = [call for call in calls if call is not lost]
            assert [await call.outcome() for call in others] == [call.body for call in others]
            assert await lost.outcome() == ("RemoteUnreachable", "closed")
            assert lost.body not in {body for _, body in faulty.bodies}

    run(main())


def test_nothing_is_written_to_a_closed_transport() -> None:
    """A request that was given up is written to a transport that is closed, which asyncio's own loop complains of."""

    async def main() -> None:
        house = House(demo_config(0, "http://127.0.0.1:9/login", LogSettings(access=False)))
        house.log_in()
        clients = [house.client, *(house.connect()[0] for _ in range(2 * CROWD - 1))]
        transports = [house.to_remote, *(house.dial()[1] for _ in clients[1:])]
        house.to_remote.written.clear()
        for client in clients:
            client.data_received(LOGIN)
        house.lose(clients[CROWD + 2])
        await asyncio.sleep(0)
        assert sum(transport.is_closed for transport in transports) == 1
        assert all(len(transport.written) == (not transport.is_closed) for transport in transports)
        await house.close()

    run(main())


def test_a_reply_to_what_was_not_written_yet() -> None:
    """A connection whose remote speaks too early is used again, and then two requests are on their way over it."""

    async def main() -> None:
        async with crowded() as (faulty, remote, calls):
            early = calls[-2]
            assert early.connection is not None
            early.connection.data_received(answer(b"{}"))
            others = [call for call in calls if call is not early]
            assert [await call.outcome() for call in others] == [call.body for call in others]
            await turning(lambda: remote.open_count == MANY - 1)
            assert early.body not in {body for _, body in faulty.bodies}

    run(main())


def test_closing_before_anything_was_written() -> None:
    """The service ends with requests that are still to be written: it fails over them, or sends them all the same."""

    async def main() -> None:
        async with crowded() as (faulty, remote, late):
            await remote.close()
            assert {await call.outcome() for call in late} == {("RemoteUnreachable", "closed")}
            await asyncio.gather(*(peer.ended() for peer in faulty.peers))
            assert {body for _, body in faulty.bodies}.isdisjoint(call.body for call in late[CROWD - 1 :])

    run(main())
