"""Requests that are written together, when there are many: each is written once, and none that is over by then."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.exchange import LOGIN, House
from tests.running import run
from tests.service.faulty_remote import Call, FaultyRemote, Peer, answer, calling, connection_of, post, turning
from txtoken.demo.configuration import demo_config
from txtoken.service.upstream.connection import RemoteConnection
from txtoken.service.upstream.dial import Opened
from txtoken.service.upstream.remote import CROWD, LOST_MAX, Remote
from txtoken.settings import LogSettings

MANY: Final = 3 * CROWD


async def echo(peer: Peer) -> None:
    """Answer each request with its own body."""
    while True:
        request = await peer.request()
        peer.send(answer(request.partition(b"\r\n\r\n")[2]))


def bodies(start: int, count: int) -> list[bytes]:
    """Make JSON objects that can be distinguished."""
    return [b'{"n":%d}' % number for number in range(start, start + count)]


def peer_of(call: Call, faulty: FaultyRemote) -> Peer:
    """Find the other end of the connection that carries a request."""
    address = connection_of(call).transport.get_extra_info("sockname")
    (found,) = (peer for peer in faulty.peers if peer.transport.get_extra_info("peername") == address)
    return found


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
            assert given_up.connection_number
            given_up.cancel()
            others = [call for call in calls if call is not given_up]
            assert [await call.outcome() for call in others] == [call.body for call in others]
            await turning(lambda: remote.open_count == MANY - 1)
            assert given_up.body not in {body for _, body in faulty.bodies}
            assert not given_up.has_outcome

    run(main())


def test_a_connection_that_ends_before_it_was_written_to() -> None:
    """A request whose connection ends before it was written goes to another one, once, and those after it are written too."""

    async def main() -> None:
        async with crowded() as (faulty, _, calls):
            for lost in calls[-2:]:
                peer_of(lost, faulty).end_now()
            assert [await call.outcome() for call in calls] == bodies(2 * MANY, MANY)
            assert sorted(body for _, body in faulty.bodies) == sorted(bodies(0, 3 * MANY))

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


STOLEN: Final = answer(b'{"user":"STOLEN"}')


@pytest.mark.parametrize("early", [STOLEN, b"H", b"\r\n", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_a_reply_to_what_was_not_written_yet(early: bytes) -> None:
    """What comes before a request was written is nobody's: it closes the connection, and the request goes to another one."""

    async def main() -> None:
        async with crowded() as (faulty, _, calls):
            others = [peer_of(call, faulty) for call in calls[-3:]]
            for peer in others:
                peer.say_now(early)
            assert [await call.outcome() for call in calls] == bodies(2 * MANY, MANY)
            assert sorted(body for _, body in faulty.bodies) == sorted(bodies(0, 3 * MANY))
            await asyncio.gather(*(peer.ended() for peer in others))

    run(main())


def test_a_reply_that_came_in_the_turn_in_which_it_is_written() -> None:
    """The kernel is asked once more before a crowd is written: what came since the loop has read is nobody's as well."""

    async def main() -> None:
        async with crowded() as (faulty, remote, calls):
            late = peer_of(calls[-2], faulty)
            write_all = remote._write_all
            late.say_now(STOLEN)
            write_all()  # before the loop has read
            assert [await call.outcome() for call in calls] == bodies(2 * MANY, MANY)
            await late.ended()

    run(main())


@pytest.mark.parametrize("way", ["reply", "end"])
def test_before_a_single_request_is_written(way: str) -> None:
    """A request that is alone is no answer to what was there before it, and costs a fresh connection where the old has ended."""

    async def main() -> None:
        async with FaultyRemote(echo).listening() as faulty, calling(faulty.url) as remote:
            assert await post(remote, b"[1]").outcome() == b"[1]"
            await turning(lambda: remote.idle_count == 1)
            if way == "reply":
                faulty.peers[0].say_now(STOLEN)
            else:
                faulty.peers[0].end_now()
            assert await post(remote, b"[2]").outcome() == b"[2]"
            assert faulty.bodies == [(0, b"[1]"), (1, b"[2]")]

    run(main())


def test_a_connection_that_the_kernel_has_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that the kernel takes no byte of goes to another connection."""

    async def main() -> None:
        async with FaultyRemote(echo).listening() as faulty, calling(faulty.url) as remote:
            assert await post(remote, b"[1]").outcome() == b"[1]"
            await turning(lambda: remote.idle_count == 1)
            (idle,) = remote._idle
            with socket.fromfd(idle.descriptor, socket.AF_INET, socket.SOCK_STREAM) as same:
                same.shutdown(socket.SHUT_WR)  # a write fails from now on
            monkeypatch.setattr(
                RemoteConnection, "is_silent", lambda _: True
            )  # and the kernel says nothing of it before
            assert await post(remote, b"[2]").outcome() == b"[2]"
            assert faulty.bodies == [(0, b"[1]"), (1, b"[2]")]

    run(main())


@pytest.mark.parametrize("way", ["speaks", "closes"])
def test_a_port_where_nobody_listens_to_requests(way: str) -> None:
    """New connections that end or speak before a request was written to them are dialled a few times, and not without end."""

    async def rude(peer: Peer) -> None:
        if way == "speaks":
            peer.send(b"SSH-2.0-OpenSSH\r\n")
        else:
            peer.fin()

    async def main() -> None:
        async with FaultyRemote(rude).listening() as faulty, calling(faulty.url) as remote:
            opened = remote._dialler.open

            async def slow_open() -> Opened | None:
                connection = await opened()
                if connection is not None:
                    await faulty.connected(len(faulty.peers))
                    await turning(lambda: select.select([connection.descriptor], [], [], 0)[0] != [])
                return connection

            remote._dialler.open = slow_open  # type: ignore[method-assign]  # so that it has always spoken before it is used
            assert await post(remote).outcome() == ("RemoteUnreachable", "closed")
            assert len(faulty.peers) == LOST_MAX

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
