"""Connections to the remote that cannot be had: rows 1 to 10 of the catalogue of faults, and what ends while it is dialled."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final, NoReturn

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.certifying import OTHER_CA, YESTERDAY, client_context, server_context
from tests.running import run
from tests.service.faulty_remote import (
    GOOD,
    GOOD_BODY,
    FaultyRemote,
    Peer,
    Script,
    answer,
    calling,
    good,
    post,
    silent,
    turning,
)
from txtoken.service.remote import Remote
from txtoken.settings import Limits, Timeouts

SOON: Final = Timeouts(connect=0.1)
NAME: Final = "http://login.internal:%d/login"


@contextlib.asynccontextmanager
async def dialling(url: str, timeouts: Timeouts | None = None, **options: Any) -> AsyncIterator[Remote]:
    """Make a `Remote` whose connector has other options than its own."""
    async with calling(url, timeouts=timeouts) as remote:
        await remote._connector.close()
        remote._connector = aiohttp.TCPConnector(limit=0, **options)
        yield remote


class Resolver(AbstractResolver):
    """Answers with addresses, and once they are used up with an error."""

    def __init__(self, *answers: list[str], error: Exception | None = None) -> None:
        self._answers = list(answers)
        self._error = error or socket.gaierror(socket.EAI_NONAME, "Name or service not known: login.internal")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if not self._answers:
            raise self._error
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self._answers.pop(0)
        ]

    async def close(self) -> None:
        pass


def free_port() -> int:
    """Find a port of 127.0.0.1 where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_1_refused() -> None:
    """A refused connection is told at once, to every caller, and the next request tries again."""

    async def main() -> None:
        port = free_port()
        async with calling(f"http://127.0.0.1:{port}/") as remote:
            calls = [post(remote) for _ in range(3)]
            assert [await call.outcome() for call in calls] == [("RemoteUnreachable", "refused")] * 3
            assert remote.open_count == 0
            loop = asyncio.get_running_loop()
            faulty = FaultyRemote(good)
            server = await loop.create_server(lambda: Peer(faulty), "127.0.0.1", port)
            assert await post(remote).outcome() == GOOD_BODY
            server.close()

    run(main())


def test_1_refused_in_line() -> None:
    """When the only place's connection is refused, each request in line has a try of its own."""

    async def main() -> None:
        async with calling(f"http://127.0.0.1:{free_port()}/", limits=Limits(remote_connections=1)) as remote:
            calls = [post(remote) for _ in range(5)]
            assert [await call.outcome() for call in calls] == [("RemoteUnreachable", "refused")] * 5

    run(main())


@pytest.mark.parametrize(
    ("number", "told"),
    [
        pytest.param(errno.EHOSTUNREACH, ("RemoteUnreachable", "unreachable"), id="2-no-host"),
        pytest.param(errno.ENETUNREACH, ("RemoteUnreachable", "unreachable"), id="2-no-network"),
        pytest.param(errno.ETIMEDOUT, ("RemoteTimeout", "connect_timeout"), id="3-kernel-gave-up"),
        pytest.param(errno.EMFILE, ("RemoteOverloaded", "exhausted"), id="10-process-out-of-descriptors"),
        pytest.param(errno.ENFILE, ("RemoteOverloaded", "exhausted"), id="10-machine-out-of-descriptors"),
        pytest.param(errno.EADDRNOTAVAIL, ("RemoteOverloaded", "exhausted"), id="10-out-of-ports"),
        pytest.param(errno.ENOBUFS, ("RemoteOverloaded", "exhausted"), id="10-out-of-buffers"),
    ],
)
def test_what_the_kernel_says(number: int, told: tuple[str, str]) -> None:
    """The kernel's reason becomes the outcome, without the address that it names."""

    def no_socket(address: object) -> NoReturn:
        raise OSError(number, f"injected for {address}")

    async def main() -> None:
        async with dialling("http://127.0.0.1:9/", socket_factory=no_socket) as remote:
            assert await post(remote).outcome() == told
            assert remote.open_count == 0

    run(main())


def test_3_connect_timeout() -> None:
    """A connection that nobody takes is given up after `timeouts.connect`, and leaves no socket."""
    with socket.socket() as deaf, contextlib.ExitStack() as crowd:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # fill its backlog: the kernel drops what comes then
            client = crowd.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(deaf.getsockname())

        async def main() -> None:
            async with calling(f"http://127.0.0.1:{deaf.getsockname()[1]}/", timeouts=SOON) as remote:
                assert await post(remote).outcome() == ("RemoteTimeout", "connect_timeout")
                assert remote.open_count == 0

        run(main())


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known: login.internal"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        OSError(None, "DNS server returned answer with no data"),
    ],
)
def test_4_no_address(error: OSError) -> None:
    """A name without an address is told as such."""

    async def main() -> None:
        async with dialling(NAME % 80, resolver=Resolver(error=error)) as remote:
            assert await post(remote).outcome() == ("RemoteUnreachable", "dns")
            assert remote.open_count == 0

    run(main())


def test_4_dns_fails_later() -> None:
    """While names cannot be resolved, the connections that are open go on to be used."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            port = int(faulty.url.split(":")[2].partition("/")[0])
            resolver = Resolver(["127.0.0.1"])
            async with dialling(NAME % port, resolver=resolver, use_dns_cache=False) as remote:
                for _ in range(3):
                    assert await post(remote).outcome() == GOOD_BODY
                first, second = post(remote), post(remote)
                assert await first.outcome() == GOOD_BODY
                assert await second.outcome() in (GOOD_BODY, ("RemoteUnreachable", "dns"))

    run(main())


def test_4_dns_hangs() -> None:
    """A name server that does not answer is waited for no longer than `timeouts.connect`."""

    class Deaf(Resolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            await asyncio.Event().wait()
            raise AssertionError

    async def main() -> None:
        async with dialling(NAME % 80, SOON, resolver=Deaf()) as remote:
            assert await post(remote).outcome() == ("RemoteTimeout", "connect_timeout")

    run(main())


def test_6_the_first_address_is_dead() -> None:
    """With several addresses the one that works is used."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            port = int(faulty.url.split(":")[2].partition("/")[0])
            async with dialling(NAME % port, resolver=Resolver(["127.0.0.2", "127.0.0.1"])) as remote:
                assert await post(remote).outcome() == GOOD_BODY

    run(main())


def test_a_dial_that_fails_in_a_way_unheard_of() -> None:
    """Whatever makes a dial fail, its caller is told, and the next request is not held up."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            port = int(faulty.url.split(":")[2].partition("/")[0])
            resolver = Resolver(error=RuntimeError("can't start new thread"))
            async with dialling(NAME % port, resolver=resolver) as remote:
                assert await post(remote).outcome() == ("RemoteUnreachable", "unreachable")
                assert remote.open_count == 0
                resolver._answers.append(["127.0.0.1"])
                assert await post(remote).outcome() == GOOD_BODY

    run(main())


# What happens between the end of a dial and its first use


async def resets(peer: Peer) -> None:
    """End the connection before a byte was said."""
    peer.reset()


async def closes(peer: Peer) -> None:
    """The same, in order."""
    peer.fin()


async def speaks_first(peer: Peer) -> None:
    """Answer what nobody has asked."""
    peer.send(answer(b'{"user":"STOLEN"}'))
    await good(peer)


@pytest.mark.parametrize("script", [resets, closes, speaks_first])
def test_12_over_before_it_began(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends or speaks while aiohttp has it is not used: its caller is told, the next gets another."""
    connect = aiohttp.TCPConnector.connect

    async def slow_connect(connector: aiohttp.TCPConnector, *args: Any) -> Any:
        dialled = await connect(connector, *args)
        await turning(lambda: dialled.protocol is None or dialled.closed or dialled.protocol.should_close)
        return dialled

    async def main() -> None:
        async with FaultyRemote(script, good).listening() as faulty, calling(faulty.url) as remote:
            with monkeypatch.context() as patch:
                patch.setattr(aiohttp.TCPConnector, "connect", slow_connect)
                call = post(remote)
                assert await call.outcome() == ("RemoteUnreachable", "closed")
            assert remote.open_count == 0
            assert await post(remote).outcome() == GOOD_BODY
            assert faulty.bodies == [(1, b"{}")]

    run(main())


# TLS


def test_tls() -> None:
    """Over TLS requests go through, connections are kept, and one that the remote closes is dropped while idle."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening(server_context("localhost")) as faulty,
            dialling(faulty.url, ssl=client_context()) as remote,
        ):
            for _ in range(3):
                assert await post(remote).outcome() == GOOD_BODY
            assert len(faulty.peers) == 1
            idle = remote._idle[0]
            faulty.peers[0].fin()
            await turning(idle.transport.is_closing)
            assert await post(remote).outcome() == GOOD_BODY
            assert [number for number, _ in faulty.requests] == [0, 0, 0, 1]

    run(main())


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(server_context("localhost", ca=OTHER_CA), id="7-unknown-ca"),
        pytest.param(server_context("other.example"), id="7-wrong-name"),
        pytest.param(server_context("localhost", not_after=YESTERDAY), id="7-expired"),
    ],
)
def test_7_certificates(context: ssl.SSLContext) -> None:
    """A certificate that cannot be verified ends the dial: no request, no bearer, is shown to that remote."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening(context) as faulty,
            dialling(faulty.url, ssl=client_context()) as remote,
        ):
            assert await post(remote).outcome() == ("RemoteUnreachable", "tls_verify")
            assert not faulty.requests
            assert remote.open_count == 0

    run(main())


def test_7_the_default_is_to_verify() -> None:
    """Without any option a certificate of a private CA is refused."""

    async def main() -> None:
        async with FaultyRemote(good).listening(server_context("localhost")) as faulty, calling(faulty.url) as remote:
            assert await post(remote).outcome() == ("RemoteUnreachable", "tls_verify")
            assert not faulty.requests

    run(main())


async def speaks_plain(peer: Peer) -> None:
    """Answer a TLS hello with plain HTTP."""
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(speaks_plain, id="8-plain-http"),
        pytest.param(resets, id="8-reset"),
        pytest.param(closes, id="8-closed"),
    ],
)
def test_8_handshakes_that_fail(script: Script) -> None:
    """A handshake that fails is no connection, and nothing is sent in the clear instead."""

    async def main() -> None:
        async with FaultyRemote(script).listening() as faulty:
            url = faulty.url.replace("http://127.0.0.1", "https://localhost")
            async with dialling(url, ssl=client_context()) as remote:
                assert await post(remote).outcome() == ("RemoteUnreachable", "tls")
                assert all(b"POST" not in peer.unread for peer in faulty.peers)
                assert remote.open_count == 0

    run(main())


def test_8_no_common_version() -> None:
    """A remote that speaks only older TLS than we accept is not spoken to."""
    old = server_context("localhost")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    new = client_context()
    new.minimum_version = ssl.TLSVersion.TLSv1_3

    async def main() -> None:
        async with FaultyRemote(good).listening(old) as faulty, dialling(faulty.url, ssl=new) as remote:
            assert await post(remote).outcome() == ("RemoteUnreachable", "tls")
            assert not faulty.peers

    run(main())


def test_9_a_handshake_that_hangs() -> None:
    """`timeouts.connect` covers the handshake too."""

    async def hears_all(peer: Peer) -> None:
        await peer.ended()

    async def main() -> None:
        async with FaultyRemote(hears_all).listening() as faulty:
            url = faulty.url.replace("http://127.0.0.1", "https://localhost")
            async with dialling(url, SOON, ssl=client_context()) as remote:
                assert await post(remote).outcome() == ("RemoteTimeout", "connect_timeout")
                await faulty.peers[0].ended()

    run(main())


def test_closing_with_tls() -> None:
    """`close` returns at once, also when the remote never answers the end of its TLS connection."""
    gate = asyncio.Event()

    async def good_in_a_while(peer: Peer) -> None:
        await peer.request()
        await gate.wait()
        peer.send(GOOD)

    async def main() -> None:
        async with (
            FaultyRemote(good_in_a_while, silent).listening(server_context("localhost")) as faulty,
            dialling(faulty.url, ssl=client_context()) as remote,
        ):
            first, second = post(remote), post(remote)
            await faulty.requested(2)  # on two connections, since neither is answered yet
            gate.set()
            await first.outcome()
            for peer in faulty.peers:
                peer.transport.pause_reading()
            await remote.close()
            assert await second.outcome() == ("RemoteUnreachable", "closed")

    run(main())
