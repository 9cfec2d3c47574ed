"""Connections to the remote that cannot be had: rows 1 to 10 of the catalogue of faults, and what ends while it is dialled."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
import ssl
import sys
from time import monotonic
from typing import Any, Final, NoReturn

import aiohttp
import pytest

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
from tests.service.upstream.name_server import UNKNOWN, NameServer
from txtoken.errors import RemoteError, RemoteTimeout
from txtoken.memo import Memo
from txtoken.service.upstream import dial, several
from txtoken.service.upstream.dial import Opened
from txtoken.service.upstream.location import locate
from txtoken.service.upstream.names import NAMES_MAX, Names
from txtoken.service.upstream.remote import LOST_MAX, Remote
from txtoken.service.upstream.several import is_disturbed
from txtoken.settings import RemoteTls

SOON: Final[dict[str, Any]] = {"connect_s": 0.1}
SEVERAL: Final = several.__name__
NAME: Final = "http://login.internal:%d/login"


def trusting(context: ssl.SSLContext) -> RemoteTls:
    """Say how TLS is spoken with the remote."""
    return RemoteTls(context=context)


def port_of(faulty: FaultyRemote) -> int:
    """Return where a remote listens."""
    return int(faulty.url.split(":")[2].partition("/")[0])


def free_port() -> int:
    """Find a port of 127.0.0.1 where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_1_refused() -> None:
    """A refused connection is reported at once, to every caller, and the next request tries again."""

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
        async with calling(f"http://127.0.0.1:{free_port()}/", connections=1) as remote:
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
@pytest.mark.parametrize("count", [1, 2])
def test_what_the_kernel_says(number: int, told: tuple[str, str], count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's reason becomes the outcome, without the address that it names, for any way to connect."""

    def no_socket(*address: object, **_: object) -> NoReturn:
        raise OSError(number, f"injected for {address}")

    async def main() -> None:
        NameServer(monkeypatch, ["127.0.0.1", "127.0.0.2"][:count])
        async with calling(NAME % 9) as remote:
            monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", no_socket)
            new_connector = functools.partial(aiohttp.TCPConnector, socket_factory=no_socket)
            monkeypatch.setattr(aiohttp, "TCPConnector", new_connector)
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
            async with calling(f"http://127.0.0.1:{deaf.getsockname()[1]}/", **SOON) as remote:
                assert await post(remote).outcome() == ("RemoteTimeout", "connect_timeout")
                assert remote.open_count == 0

        run(main())


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known: login.internal"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        UnicodeError("label too long"),
        RuntimeError("what nobody has heard of"),
    ],
)
def test_4_no_address(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A name without an address is code `dns`, for every caller, and the next request asks again."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            server = NameServer(monkeypatch, error)
            async with calling(NAME % port_of(faulty)) as remote:
                calls = [post(remote) for _ in range(3)]
                assert [await call.outcome() for call in calls] == [("RemoteUnreachable", "dns")] * 3
                causes = [outcome.__cause__ for call in calls if isinstance(outcome := await call.told, RemoteError)]
                assert len({id(cause) for cause in causes}) == 3
                assert remote.open_count == 0
                server.answer_with(["127.0.0.1"])
                assert await post(remote).outcome() == GOOD_BODY

    run(main())


def test_4_dns_fails_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """While names cannot be resolved, the connections that are open go on to be used."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            server = NameServer(monkeypatch, ["127.0.0.1"], UNKNOWN)
            async with calling(NAME % port_of(faulty)) as remote:
                for _ in range(3):
                    assert await post(remote).outcome() == GOOD_BODY
                remote._dialler._names._found = Memo(NAMES_MAX)
                first, second = post(remote), post(remote)
                assert await first.outcome() == GOOD_BODY
                assert await second.outcome() in (GOOD_BODY, ("RemoteUnreachable", "dns"))
            assert server.count == 2

    run(main())


def test_4_dns_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer is waited for no longer than `timeouts.connect`, and that is code `dns`."""

    async def main() -> None:
        server = NameServer(monkeypatch, ["127.0.0.1"])
        server.hangs = True
        async with calling(NAME % 80, **SOON) as remote:
            assert await post(remote).outcome() == ("RemoteUnreachable", "dns")
        server.release()

    run(main())


def test_6_the_first_address_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """With several addresses the one that works is used."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            NameServer(monkeypatch, ["127.0.0.2", "127.0.0.1"])
            async with calling(NAME % port_of(faulty)) as remote:
                assert await post(remote).outcome() == GOOD_BODY

    run(main())


@pytest.mark.parametrize("count", [1, 2])
def test_a_dial_that_fails_in_a_way_unheard_of(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever makes a dial fail, its caller gets an outcome, and the next request is not held up."""

    async def fail(*_: object) -> NoReturn:
        raise RuntimeError("what nobody has heard of")

    async def main() -> None:
        NameServer(monkeypatch, ["127.0.0.1", "127.0.0.2"][:count])
        async with FaultyRemote(good).listening() as faulty, calling(NAME % port_of(faulty)) as remote:
            with monkeypatch.context() as patch:
                patch.setattr(aiohttp.TCPConnector, "connect", fail)
                patch.setattr(asyncio.get_running_loop(), "create_connection", fail)
                assert await post(remote).outcome() == ("RemoteUnreachable", "unreachable")
            assert remote.open_count == 0
            assert await post(remote).outcome() == GOOD_BODY

    run(main())


# What connects to several addresses is loaded when a name has them


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What connects to several addresses is not loaded yet."""
    monkeypatch.delitem(sys.modules, SEVERAL)


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("count", [1, 2])
def test_loaded_for_several_addresses(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request whose remote has several addresses loads it, and no other."""

    async def main() -> None:
        NameServer(monkeypatch, ["127.0.0.1", "127.0.0.2"][:count])
        async with FaultyRemote(good).listening() as faulty, calling(NAME % port_of(faulty)) as remote:
            calls = [post(remote) for _ in range(5)]
            assert [await call.outcome() for call in calls] == [GOOD_BODY] * 5
            assert (SEVERAL in sys.modules) == (count > 1)

    run(main())


@pytest.mark.usefixtures("unloaded")
def test_loading_takes_no_time_of_the_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long loading takes, the connection has all of `timeouts.connect`, which then ends it as ever."""
    load = dial._load

    async def load_slowly() -> object:
        loop = asyncio.get_running_loop()
        end = loop.time() + 2 * SOON["connect_s"]
        await turning(lambda: loop.time() > end)
        return await load()

    async def hang(*_: object) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> None:
        monkeypatch.setattr(dial, "_load", load_slowly)
        NameServer(monkeypatch, ["127.0.0.1", "127.0.0.2"])
        async with FaultyRemote(good).listening() as faulty, calling(NAME % port_of(faulty), **SOON) as remote:
            assert await post(remote).outcome() == GOOD_BODY
        monkeypatch.delitem(sys.modules, SEVERAL)
        async with calling(NAME % 9, **SOON) as remote:
            monkeypatch.setattr(aiohttp.TCPConnector, "connect", hang)
            assert await post(remote).outcome() == ("RemoteTimeout", "connect_timeout")

    run(main())


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
def test_prepared(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first request, the name is looked up, what its addresses need is loaded, and nothing is connected."""

    async def main() -> None:
        server = NameServer(monkeypatch, addresses)
        async with FaultyRemote(good).listening() as faulty, calling(NAME % port_of(faulty)) as remote:
            await remote.prepare()
            assert (SEVERAL in sys.modules) == (len(addresses) > 1)
            assert not faulty.peers
            monkeypatch.setattr(dial, "_load", None)  # it is not loaded again
            assert await post(remote).outcome() == GOOD_BODY
            assert server.count == 1

    run(main())


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("hangs", [False, True])
def test_prepared_without_a_name_server(hangs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be looked up is left to the first request, after `timeouts.connect` at the latest."""

    async def main() -> None:
        server = NameServer(monkeypatch, UNKNOWN)
        server.hangs = hangs
        async with calling(NAME % 80, **SOON) as remote:
            await remote.prepare()
        server.release()
        assert SEVERAL not in sys.modules

    run(main())


def test_nothing_to_prepare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An IP address is not looked up."""

    async def main() -> None:
        async with calling("http://127.0.0.1:9/") as remote:
            monkeypatch.setattr(remote._dialler, "_names", None)
            await remote.prepare()

    run(main())


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("closes_early", [False, True])
def test_one_connector(closes_early: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asks for it meanwhile, one connector is made, and closed at the end. None is made after the end."""
    made: list[aiohttp.TCPConnector] = []
    load = dial._load
    is_loading = asyncio.Event()
    goes_on = asyncio.Event()

    class Noted(aiohttp.TCPConnector):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    async def load_later() -> object:
        is_loading.set()
        await goes_on.wait()
        return await load()

    async def main() -> None:
        monkeypatch.setattr(dial, "_load", load_later)
        monkeypatch.setattr(aiohttp, "TCPConnector", Noted)
        NameServer(monkeypatch, ["127.0.0.1", "127.0.0.2"])
        async with FaultyRemote(good).listening() as faulty, calling(NAME % port_of(faulty)) as remote:
            preparing = [asyncio.ensure_future(remote.prepare()) for _ in range(3)]
            await is_loading.wait()
            if closes_early:
                await remote.close()
            goes_on.set()
            await asyncio.gather(*preparing)
            assert len(made) == (not closes_early)
            if not closes_early:
                assert await post(remote).outcome() == GOOD_BODY
        assert all(connector.closed for connector in made)

    run(main())


def test_a_name_loses_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that has no address any more, just after it had several, is code `dns`."""

    async def fail(*_: object) -> NoReturn:
        raise OSError("no address any more")

    async def main() -> None:
        NameServer(monkeypatch, ["127.0.0.1", "127.0.0.2"])
        async with calling(NAME % 9) as remote:
            monkeypatch.setattr(Names, "resolve", fail)
            assert await post(remote).outcome() == ("RemoteUnreachable", "dns")

    run(main())


def test_what_is_loaded() -> None:
    """What is loaded by its name is what its user expects. Half of this test is for the type checker."""

    async def main() -> None:
        connector: dial.Connector = several.Connector(locate("http://login.internal"), Names(1.0))
        await connector.close()

    dialled: type[dial.Dialled] = several.Dialled
    assert dialled is several.Dialled
    run(main())


# Whose failure it is


class Dials:
    """Holds dials back, and lets the test end each as it wants. The numbers are in the order in which they began."""

    def __init__(self, remote: Remote) -> None:
        self.ends: list[asyncio.Future[RemoteError | None]] = []
        self._open = remote._dialler.open
        remote._dialler.open = self._held_back  # type: ignore[method-assign]

    async def _held_back(self) -> Opened | None:
        end: asyncio.Future[RemoteError | None] = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        failure = await end
        if failure is not None:
            raise failure
        return await self._open()

    def fail(self, number: int) -> None:
        """Let one fail."""
        self.ends[number].set_result(RemoteTimeout("connect_timeout", "injected"))

    def succeed(self, number: int) -> None:
        """Let one go on."""
        self.ends[number].set_result(None)

    async def begun(self, count: int) -> None:
        """Wait until so many began, and then for what should not begin."""
        await turning(lambda: len(self.ends) >= count)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(self.ends) == count


LOST: Final = ("RemoteTimeout", "connect_timeout")


def test_3_the_failure_of_a_dial_whose_client_has_left() -> None:
    """A dial whose client has left fails for nobody, and one that succeeds serves a waiting request."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            dials = Dials(remote)
            gone, waits = post(remote, b"1"), post(remote, b"2")
            await dials.begun(2)
            gone.cancel()
            dials.fail(0)
            await dials.begun(2)
            assert not waits.has_outcome
            dials.succeed(1)
            assert await waits.outcome() == GOOD_BODY
            assert remote.open_count == 1

    run(main())


def test_3_each_has_the_failure_of_its_own_dial() -> None:
    """Of several requests those fail whose own dials do, in whatever order these end."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            dials = Dials(remote)
            calls = [post(remote, b"%d" % number) for number in range(4)]
            await dials.begun(4)
            dials.fail(2)
            assert await calls[2].outcome() == LOST
            dials.succeed(3)
            # Those that still wait are served by this connection, one after the other. The other dials are nobody's then.
            assert [await calls[number].outcome() for number in (0, 1, 3)] == [GOOD_BODY] * 3
            dials.fail(0)
            dials.fail(1)
            await turning(lambda: remote.dialling_count == 0)
            assert faulty.bodies == [(0, b"0"), (0, b"1"), (0, b"3")]

    run(main())


def test_3_the_connection_goes_to_who_waited_longest() -> None:
    """A request whose connection went to one before it is not kept waiting by that one's dial, and does not fail by it."""

    async def main() -> None:
        async with FaultyRemote(silent, good).listening() as faulty, calling(faulty.url) as remote:
            dials = Dials(remote)
            first, second = post(remote, b"1"), post(remote, b"2")
            await dials.begun(2)
            dials.succeed(1)
            await faulty.requested(1)
            assert faulty.bodies == [(0, b"1")]
            await dials.begun(2)
            remote.sweep(monotonic())
            await dials.begun(3)
            dials.fail(0)
            await dials.begun(3)
            assert not second.has_outcome
            dials.succeed(2)
            assert await second.outcome() == GOOD_BODY
            first.cancel()

    run(main())


def test_3_a_request_without_a_dial_of_its_own() -> None:
    """A request in line for which there was no room has its own dial once another's has failed, and not that failure."""

    async def main() -> None:
        settings: dict[str, Any] = {"connections": 1}
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url, **settings) as remote:
            dials = Dials(remote)
            first, second, third = (post(remote, b"%d" % number) for number in range(3))
            await dials.begun(1)
            dials.fail(0)
            assert await first.outcome() == LOST
            await dials.begun(2)
            second.cancel()
            dials.fail(1)
            await dials.begun(3)
            assert not third.has_outcome
            dials.succeed(2)
            assert await third.outcome() == GOOD_BODY
            assert faulty.bodies == [(0, b"2")]

    run(main())


def test_3_a_dial_of_another_time() -> None:
    """A request that had a connection meanwhile, which ended before it was written, fails by no dial that began before."""

    async def answers_and_ends(peer: Peer) -> None:
        await peer.request()
        peer.say_now(answer(b"[1]"))
        peer.end_now()

    async def main() -> None:
        async with FaultyRemote(answers_and_ends, good).listening() as faulty, calling(faulty.url) as remote:
            dials = Dials(remote)
            first = post(remote, b"1")
            await dials.begun(1)
            dials.succeed(0)
            await turning(lambda: first.connection_number > 0)
            second = post(remote, b"2")
            assert await first.outcome() == b"[1]"
            await turning(lambda: remote.open_count == 1)  # the one that is dialled
            assert not second.connection_number
            dials.fail(1)
            await dials.begun(3)
            assert not second.has_outcome
            dials.succeed(2)
            assert await second.outcome() == GOOD_BODY
            assert faulty.bodies == [(0, b"1"), (1, b"2")]

    run(main())


def test_3_a_deadline_that_passes_while_dialling() -> None:
    """A dial goes on without a request whose time is over, and its failure is not the next one's."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            dials = Dials(remote)
            late = post(remote)
            await dials.begun(1)
            remote.sweep(late.deadline)
            assert await late.outcome() == ("RemoteTimeout", "timeout")
            following = post(remote)
            await dials.begun(2)
            dials.fail(0)
            await dials.begun(2)
            assert not following.has_outcome
            dials.succeed(1)
            assert await following.outcome() == GOOD_BODY

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
@pytest.mark.parametrize("addresses", [1, 2])
def test_12_over_before_it_began(script: Script, addresses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends or speaks while it is dialled is not used: its request goes to another one."""
    connect = aiohttp.TCPConnector.connect

    async def slow_connect(connector: aiohttp.TCPConnector, *args: Any) -> Any:
        dialled = await connect(connector, *args)
        if len(faults) > 1:
            faults.pop()
            await turning(lambda: is_disturbed(dialled))
        return dialled

    faults: list[Script] = []

    async def main() -> None:
        monkeypatch.setattr(aiohttp.TCPConnector, "connect", slow_connect)
        NameServer(monkeypatch, ["127.0.0.1", "127.0.0.1"][:addresses])
        loop = asyncio.get_running_loop()
        create_connection = loop.create_connection

        async def slow_create(*args: Any) -> Any:
            transport, setup_protocol = await create_connection(*args)
            if len(faults) > 1:
                faults.pop()
                await turning(lambda: setup_protocol.is_disturbed)
            return transport, setup_protocol

        monkeypatch.setattr(loop, "create_connection", slow_create if addresses == 1 else create_connection)
        for count in range(1, LOST_MAX + 1):
            faults[:] = [good, *[script] * count]
            async with (
                FaultyRemote(*[script] * count, good).listening() as faulty,
                calling(NAME % port_of(faulty)) as remote,
            ):
                outcome = await post(remote).outcome()
                if count == LOST_MAX:
                    assert outcome == ("RemoteUnreachable", "closed")
                    assert remote.open_count == 0
                    outcome = await post(remote).outcome()
                assert outcome == GOOD_BODY
                assert faulty.bodies == [(count, b"{}")]

    run(main())


# TLS


def test_tls() -> None:
    """Over TLS requests go through, connections are kept, and one that the remote closes is dropped while idle."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening(server_context("localhost")) as faulty,
            calling(faulty.url, tls=trusting(client_context())) as remote,
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
            calling(faulty.url, tls=trusting(client_context())) as remote,
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
            async with calling(url, tls=trusting(client_context())) as remote:
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
        async with FaultyRemote(good).listening(old) as faulty, calling(faulty.url, tls=trusting(new)) as remote:
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
            async with calling(url, **SOON, tls=trusting(client_context())) as remote:
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
            calling(faulty.url, tls=trusting(client_context())) as remote,
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
