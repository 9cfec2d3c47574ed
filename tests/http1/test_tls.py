"""Clients over TLS, on both loops: the same answers as in the clear, in order and to the end, and handshakes that fail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.certifying import OTHER_CA, client_context, server_context
from tests.http1.loopback import Answer, Go, House, Place, get, house, post, read_answers, turn
from txtoken.http1 import ending
from txtoken.settings import Limits, Timeouts

SERVER: Final = server_context("localhost")
NEWER: Final = server_context("localhost", ca=OTHER_CA)
QUICK: Final = 0.05


class Client:
    """A client that speaks TLS by asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        self.writer.write(data)
        await self.writer.drain()

    async def answers(self, count: int) -> list[Answer]:
        """Wait for so many answers."""
        received = b""
        finals: list[Answer] = []
        while len(finals) < count:
            data = await self._reader.read(1 << 20)
            assert data, f"the connection ended behind {finals}"
            received += data
            finals, _, rest = read_answers(received)
        assert (len(finals), rest) == (count, b"")
        return finals

    async def to_the_end(self) -> list[Answer]:
        """Take all answers up to the end, which has to be the end of TLS and no cut."""
        finals, _, rest = read_answers(await self._reader.read())
        assert rest == b""
        return finals


@contextlib.asynccontextmanager
async def connected(
    home: House, *, context: ssl.SSLContext | None = None, sock: socket.socket | None = None
) -> AsyncIterator[Client]:
    """Connect to the house."""
    where = {"host": "127.0.0.1", "port": home.ports[0]} if sock is None else {"sock": sock}
    context = client_context() if context is None else context
    reader, writer = await asyncio.open_connection(**where, ssl=context, server_hostname="localhost")
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def test_answers(go: Go) -> None:
    """Requests on one connection are answered, pipelined ones in order, and large bodies arrive whole both ways."""

    async def main() -> None:
        body = bytes(range(256)) * 4000
        async with house(place=Place(3_000_000), tls=SERVER) as home, connected(home) as client:
            await client.send(get(b"/now?1"))
            assert [answer.body for answer in await client.answers(1)] == [b"1"]
            await client.send(get(b"/now?2") + get(b"/later?3") + get(b"/now?4"))
            (await home.place.arrivals.get()).finish()
            assert [answer.body for answer in await client.answers(3)] == [b"2", b"3", b"4"]
            await client.send(post(body))
            assert [answer.body for answer in await client.answers(1)] == [body]
            await client.send(get(b"/big"))
            assert [len(answer.body) for answer in await client.answers(1)] == [3_000_000]
            assert home.place.lines[0][2] == "127.0.0.1"

    go(main())


def test_a_large_answer_is_not_cut(go: Go) -> None:
    """A client that reads late gets all of the last answer, and the end of TLS behind it."""

    async def main() -> None:
        async with house(place=Place(1_000_000), tls=SERVER) as home, connected(home) as client:
            await client.send(get(b"/big", b"Connection: close"))
            assert [len(answer.body) for answer in await client.to_the_end()] == [1_000_000]

    go(main())


def test_a_client_that_ends_is_let_go_at_once(go: Go) -> None:
    """Who says that a request is the last one is not kept waiting behind its answer."""

    async def main() -> None:
        async with house(tls=SERVER, sweeping=False) as home, connected(home) as client:
            await client.send(get(b"/now?1", b"Connection: close"))
            assert [answer.body for answer in await client.to_the_end()] == [b"1"]
            while home.server.connection_count:
                await turn()

    go(main())


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        pytest.param(b"rubbish\r\n\r\n", [400], id="malformed"),
        pytest.param(get(b"/now?1") + b"rubbish\r\n\r\n", [200, 400], id="behind an answer"),
        pytest.param(post(b"x" * 3_000_000), [413], id="a body that is still sent"),
        pytest.param(get(b"/now", b"X: " + b"x" * 70_000) + b"x" * 2_000_000, [431], id="a head that is still sent"),
    ],
)
def test_refusals_arrive(go: Go, sent: bytes, statuses: list[int]) -> None:
    """An error answer reaches a client that is still sending, and the end comes in good order."""

    async def main() -> None:
        async with house(limits=Limits(body_bytes=1000), tls=SERVER) as home, connected(home) as client:
            await client.send(sent)
            answers = await client.to_the_end()
            assert [answer.status for answer in answers] == statuses
            assert answers[-1].fields[b"connection"] == b"close"
            while home.server.connection_count:
                await turn()

    go(main())


def test_a_refusal_arrives_at_a_client_that_does_not_stop(go: Go) -> None:
    """What a client goes on to send behind a refusal is no reason to reset it before it has read why."""

    async def main() -> None:
        async with house(limits=Limits(body_bytes=1000), tls=SERVER) as home, connected(home) as client:
            await client.send(post(b"x" * 1000, length=1_000_000))
            while not home.place.lines:
                await turn()
            for _ in range(100):
                await client.send(b"x" * 5000)
                await turn()
            (answer,) = await client.to_the_end()
            assert (answer.status, answer.fields[b"connection"]) == (413, b"close")

    go(main())


def test_deadlines(go: Go) -> None:
    """A request that does not arrive is answered with 408, and an idle connection is closed."""

    async def main() -> None:
        # Not that of the head, which is the handshake's too.
        async with house(timeouts=Timeouts(body=QUICK, idle=QUICK), tls=SERVER) as home:
            async with connected(home) as client:
                await client.send(post(b"hell", length=5))
                assert [answer.status for answer in await client.to_the_end()] == [408]
            async with connected(home) as client:
                assert await client.to_the_end() == []

    go(main())


def test_a_client_that_never_reads(go: Go) -> None:
    """A client that does not read its answers is not read from, and is gone after `timeouts.idle`."""

    async def main() -> None:
        timeouts = Timeouts(idle=QUICK)
        async with house(place=Place(100_000), timeouts=timeouts, tls=SERVER) as home, connected(home) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(get(b"/big?1") * 500)
            while home.server.connection_count:
                await turn()
            assert len(home.place.seen) < 500

    go(main())


def test_a_client_that_does_not_end_tls(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that should end TLS and says nothing is closed, and the sweep goes on meanwhile for all others."""
    monkeypatch.setattr(ending, "CLOSE_S", QUICK)

    async def main() -> None:
        async with house(timeouts=Timeouts(idle=QUICK), tls=SERVER) as home, connected(home) as client:
            await client.send(get(b"/now?1"))
            assert [answer.body for answer in await client.answers(1)] == [b"1"]
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            while home.server.connection_count:
                await turn()

    go(main())


def test_a_client_that_goes_away(go: Go) -> None:
    """What runs for a client is given up when it ends TLS, and when it is reset."""

    async def main() -> None:
        async with house(tls=SERVER) as home:
            for end in ("close", "abort"):
                async with connected(home) as client:
                    await client.send(get(b"/later"))
                    later = await home.place.arrivals.get()
                    if end == "abort":
                        sock = client.writer.get_extra_info("socket")
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    getattr(client.writer.transport, end)()
                    await later.cancelled.wait()

    go(main())


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05rubbi", b"", b"\x00" * 5000]
)
def test_what_is_no_tls(go: Go, hello: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A client that speaks no TLS is closed, without a word in the log and with nothing left of it. The owner gets a callback."""

    async def main() -> None:
        async with house() as home:
            causes: list[str] = []
            home.server.secure(SERVER, causes.append)
            client = await home.client()
            await client.send(hello)
            if not hello:
                client.sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while await client.more():
                    pass
            while home.server.connection_count:
                await turn()
            assert b"HTTP" not in client.received
            assert home.place.lines == []
            assert len(causes) == home.server.places.handshakes_failed == 1

    go(main())
    assert caplog.records == []


def test_a_handshake_that_hangs(go: Go, caplog: pytest.LogCaptureFixture) -> None:
    """Who says nothing, or stops in the middle, is closed after `timeouts.head`."""

    async def main() -> None:
        async with house(timeouts=Timeouts(head=QUICK), tls=SERVER) as home:
            for beginning in (b"", b"\x16\x03\x01\x02\x00\x01"):
                client = await home.client()
                await client.send(beginning)
                with contextlib.suppress(ConnectionResetError):
                    assert not await client.more()

    go(main())
    assert caplog.records == []


def test_the_end_does_not_wait_for_handshakes(go: Go) -> None:
    """The end at once ends clients that are still in their handshake."""

    async def main() -> None:
        async with house(timeouts=Timeouts(head=1000.0), tls=SERVER) as home:
            client = await home.client()
            while not home.server.connection_count:
                await turn()
            home.server.abort()
            async with asyncio.timeout(5):
                with contextlib.suppress(ConnectionResetError):
                    assert not await client.more()
            while home.server.connection_count:
                await turn()

    go(main())


def test_handshakes_count_as_connections(go: Go) -> None:
    """Clients in a handshake take places of `limits.connections`, and the oldest of them makes room for a new one."""

    async def main() -> None:
        async with house(limits=Limits(connections=2), tls=SERVER) as home:
            silent = []
            for number in (1, 2):
                silent.append(await home.client())
                await count(home, number)
            async with connected(home) as late:
                assert home.server.places.deferred == 1
                assert await silent[0].to_the_end() == []
                await late.send(get(b"/now?1"))
                assert [answer.body for answer in await late.answers(1)] == [b"1"]
                async with connected(home):
                    assert await silent[1].to_the_end() == []
                    await late.send(get(b"/now?2"))
                    assert [answer.body for answer in await late.answers(1)] == [b"2"]

    async def count(home: House, connections: int) -> None:
        while home.server.connection_count != connections:
            await turn()

    go(main())


def test_nothing_is_left_of_a_handshake(go: Go) -> None:
    """A client whose handshake is over, well or badly, is not kept in the order in which clients make room."""

    async def main() -> None:
        async with house(tls=SERVER) as home, connected(home) as good:
            await good.send(get(b"/now?1"))
            assert [answer.body for answer in await good.answers(1)] == [b"1"]
            bad = await home.client()
            await bad.send(b"rubbish\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while await bad.more():
                    pass
            while home.server.connection_count != 1:
                await turn()
            assert not home.server.places.room._newcomers

    go(main())


def test_another_certificate(go: Go) -> None:
    """Who connects later sees the new certificate; who was there before goes on."""

    async def main() -> None:
        async with house(tls=SERVER) as home, connected(home) as before:
            home.server.secure(NEWER)
            async with connected(home, context=client_context(OTHER_CA)) as after:
                for client in (before, after):
                    await client.send(get(b"/now?1"))
                    assert [answer.body for answer in await client.answers(1)] == [b"1"]
            with pytest.raises(ssl.SSLCertVerificationError):
                async with connected(home):
                    pass

    go(main())


def test_on_and_off(go: Go) -> None:
    """TLS can begin and end while clients are served."""

    async def main() -> None:
        async with house() as home:
            for _ in range(2):
                plain = await home.client()
                await plain.send(get(b"/now?1"))
                assert await plain.bodies(1) == [b"1"]
                home.server.secure(SERVER)
                async with connected(home) as client:
                    await client.send(get(b"/now?2"))
                    assert [answer.body for answer in await client.answers(1)] == [b"2"]
                    await plain.send(get(b"/now?3"))
                    assert await plain.bodies(1) == [b"3"]
                home.server.secure(None)

    go(main())


def test_drain(go: Go) -> None:
    """At the end running requests are answered, and neither idle clients nor stalled handshakes hold it up."""

    async def main() -> None:
        async with (
            house(tls=SERVER, timeouts=Timeouts(drain=60)) as home,
            connected(home) as idle,
            connected(home) as busy,
        ):
            await idle.send(get(b"/now?1"))
            await idle.answers(1)
            await busy.send(get(b"/later?2"))
            later = await home.place.arrivals.get()
            stalled = await home.client()
            while home.server.connection_count < 3:
                await turn()
            started = home.server.time()
            draining = asyncio.ensure_future(home.server.drain())
            await turn()
            later.finish()
            (answer,) = await busy.to_the_end()
            assert (answer.body, answer.fields[b"connection"]) == (b"2", b"close")
            assert await idle.to_the_end() == []
            with contextlib.suppress(ConnectionResetError):
                assert not await stalled.more()
            await draining
            assert home.server.time() - started < 10

    go(main())
