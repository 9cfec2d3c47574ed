"""How one client's connection ends, over real sockets: deadlines, refusals in stages, clients that leave."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final

import pytest

from tests.http1.loopback import Client, Go, Place, get, house, post, turn, until
from txtoken.http1.ending import LINGER_BYTES_MAX, LINGER_S
from txtoken.http1.phase import Phase
from txtoken.http1.serving import REST_AFTER_S
from txtoken.settings import Timeouts

QUICK: Final = 0.05
CHUNKED: Final = get(b"/now", b"Transfer-Encoding: chunked").replace(b"GET", b"POST")


# Deadlines


@pytest.mark.parametrize(
    ("beginning", "timeouts", "code"),
    [
        (get(b"/now")[:-2], Timeouts(head=QUICK), b"head_timeout"),
        (b"\r\nG", Timeouts(head=QUICK), b"head_timeout"),
        (post(b"hell", length=5), Timeouts(body=QUICK), b"body_timeout"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", Timeouts(body=QUICK), b"body_timeout"),
    ],
    ids=["head", "first-byte", "body", "chunked"],
)
def test_a_request_that_does_not_arrive(go: Go, beginning: bytes, timeouts: Timeouts, code: bytes) -> None:
    """A client that stalls in a request does not get 408, or keeps its connection, or loses the answer before."""

    async def main() -> None:
        async with house(timeouts=timeouts) as home:
            client = await home.client()
            await client.send(get(b"/now?1") + beginning)
            first, last = await client.to_the_end()
            assert first.body == b"1"
            assert (last.status, last.body, last.fields[b"connection"]) == (408, code, b"close")

    go(main())


@pytest.mark.parametrize("before", [b"", get(b"/now?1"), b"\r\n"], ids=["new", "used", "empty-line"])
def test_an_idle_connection_ends_silently(go: Go, before: bytes) -> None:
    """A client that sends nothing gets an answer, which it would take for the answer to its next request."""

    async def main() -> None:
        async with house(timeouts=Timeouts(idle=QUICK)) as home:
            client = await home.client()
            await client.send(before)
            assert [answer.status for answer in await client.to_the_end()] == ([200] if b"1" in before else [])

    go(main())


def test_a_deadline_covers_the_whole_part(go: Go) -> None:
    """Bytes that trickle in put the deadline off, or the next part inherits the deadline of one part."""

    async def main() -> None:
        async with house(sweeping=False) as home:
            now = home.server.time()
            home.server.time = lambda: now
            _, connection, recorder = await home.pair()
            assert connection.deadline == now + REST_AFTER_S
            first = now
            for byte in post(b"", length=9)[:-1]:
                connection.data_received(bytes([byte]))
                assert (connection.phase, connection.deadline) == (Phase.HEAD, first + 10)
                now += 0.1
            second = now
            for piece in (b"\n1", b"2345", b"678"):
                connection.data_received(piece)
                assert (connection.phase, connection.deadline) == (Phase.BODY, second + 30)
                now += 0.1
            third = now
            connection.data_received(b"9" + get(b"/now")[:5])
            await turn()
            assert (connection.phase, connection.deadline, recorder.calls) == (Phase.HEAD, third + 10, ["write"])
            now += 0.1
            connection.data_received(get(b"/now")[5:])
            assert (connection.phase, connection.deadline) == (Phase.IDLE, now + REST_AFTER_S)
            connection.expire()
            assert connection.phase is Phase.RESTING
            assert connection.deadline == pytest.approx(now + 75)
            assert recorder.calls == ["write", "write"]

    go(main())


def test_a_client_that_rested_is_served(go: Go) -> None:
    """A connection that was idle for long answers its next requests as any other, and then rests again."""

    async def main() -> None:
        async with house(sweeping=False) as home:
            client, connection, _ = await home.pair()
            for number in range(3):
                await client.send(get(b"/now?%d" % number))
                assert await client.bodies(1) == [b"%d" % number]
                home.server.sweep(home.server.time() + REST_AFTER_S)
                assert connection.phase is Phase.RESTING
                assert connection._expected is None  # what may be as large as a head
                home.server.sweep(connection.deadline - 0.001)
                assert home.server.connection_count == 1
            home.server.sweep(connection.deadline)
            assert await client.to_the_end() == []

    go(main())


@pytest.mark.parametrize("path", [b"/now?1", b"/later?1"])
def test_a_client_that_repeats_its_request_rests(go: Go, path: bytes) -> None:
    """A connection whose requests are expected stays idle for good, with what it holds."""

    async def main() -> None:
        async with house(sweeping=False) as home:
            client, connection, _ = await home.pair()
            for _ in range(3):
                await client.send(get(path))
                if b"later" in path:
                    (await home.place.arrivals.get()).finish()
                assert await client.bodies(1) == [b"1"]
                assert connection._expected is not None
                assert connection.phase is Phase.IDLE
                assert connection.deadline <= home.server.time() + REST_AFTER_S
            home.server.sweep(connection.deadline)
            assert connection.phase is Phase.RESTING

    go(main())


def test_an_answer_has_no_deadline_here(go: Go) -> None:
    """A login that takes its time is cut off by the server, which does not know what it waits for."""

    async def main() -> None:
        async with house(sweeping=False) as home:
            client = await home.client()
            await client.send(get(b"/later?1"))
            later = await home.place.arrivals.get()
            home.server.sweep(home.server.time() + 1_000_000)
            later.finish()
            assert await client.bodies(1) == [b"1"]

    go(main())


# Refusals


def test_a_refusal_comes_behind_the_answers(go: Go) -> None:
    """Bytes that break the rules take the place of an earlier request's answer."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(b"/now?1") + get(b"/later?2") + b"rubbish\r\n\r\n" + get(b"/now?4"))
            (await home.place.arrivals.get()).finish()
            answers = await client.to_the_end()
            assert [answer.body for answer in answers] == [b"1", b"2", b"bad_request"]
            assert answers[-1].fields[b"connection"] == b"close"
            assert home.place.seen == [b"1", b"2"]

    go(main())


def test_a_refusal_reaches_a_client_that_still_sends(go: Go) -> None:
    """A reset swallows the refusal of a body that is too large, because it was not read to its end."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            size = LINGER_BYTES_MAX - (1 << 20)
            await client.send(post(b"", length=size))
            while b"body_too_large" not in client.received:
                assert await client.more()
            await client.send(size * b"x")
            answers = await client.to_the_end()
            assert [answer.status for answer in answers] == [413]

    go(main())


def test_a_client_that_never_stops_sending_is_cut_off(go: Go) -> None:
    """A client that sends on behind its refusal is read from without end."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            with contextlib.suppress(ConnectionError):
                await client.send(post((4 * LINGER_BYTES_MAX) * b"x"))
            await until(connection, Phase.CLOSED)
            assert [call for call in recorder.calls if not call.endswith("reading")] == ["write", "write_eof", "close"]
            assert connection._lingered < LINGER_BYTES_MAX + (1 << 20)

    go(main())


def test_a_client_that_stays_behind_its_refusal_is_left(go: Go) -> None:
    """A client that does not close behind the last answer keeps its connection."""

    async def main() -> None:
        async with house(sweeping=False) as home:
            client, connection, recorder = await home.pair()
            await client.send(b"rubbish\r\n\r\n")
            assert [answer.status for answer in await client.to_the_end()] == [400]
            assert recorder.calls == ["write", "write_eof"]
            home.server.sweep(home.server.time() + LINGER_S)
            await until(connection, Phase.CLOSED)

    go(main())


# Clients that leave


def reset(client: Client) -> None:
    """Close so that the other side sees a reset."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()


def half_close(client: Client) -> None:
    """Say that no more will be sent."""
    client.sock.shutdown(socket.SHUT_WR)


def close(client: Client) -> None:
    """Close in order."""
    client.sock.close()


@pytest.mark.parametrize("leave", [close, reset, half_close])
@pytest.mark.parametrize("held", [b"", get(b"/now?2")], ids=["alone", "with-more"])
def test_a_client_that_leaves_while_its_answer_is_made(go: Go, leave: Callable[[Client], None], held: bytes) -> None:
    """A login goes on for a client that is gone, and its connection to the remote with it."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(b"/later?1") + held)
            later = await home.place.arrivals.get()
            leave(client)
            await later.cancelled.wait()
            while home.server.connection_count:
                await turn()
            assert home.place.seen == [b"1"]

    go(main())


def test_an_answer_that_comes_as_the_client_leaves(go: Go) -> None:
    """An answer that comes between a client's end and the news of it makes the service fail."""

    async def main() -> None:
        async with house() as home:
            _, connection, recorder = await home.pair()
            connection.data_received(get(b"/later?1"))
            connection.data_received(get(b"/now?2"))
            later = home.place.arrivals.get_nowait()
            recorder._transport.close()
            later.finish()
            await until(connection, Phase.CLOSED)
            assert connection.deadline > 1e300

    go(main())


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"", []),
        (get(b"/now?1"), [200]),
        (get(b"/now?1")[:-1], [400]),
        (post(b"hell", length=5), [400]),
        (get(b"/now?1") + post(b"hell", length=5), [200, 400]),
        (b"\r\n", []),
    ],
    ids=["nothing", "request", "head", "body", "request-and-body", "empty-line"],
)
def test_a_client_that_sends_no_more(go: Go, sent: bytes, statuses: list[int]) -> None:
    """A client that shuts down its sending side does not get an answer that is still possible, or is not closed."""

    async def main() -> None:
        async with house(sweeping=False) as home:
            client = await home.client()
            await client.send(sent)
            half_close(client)
            assert [answer.status for answer in await client.to_the_end()] == statuses
            while home.server.connection_count:
                await turn()

    go(main())


def test_a_client_that_sends_no_more_and_reads_late(go: Go) -> None:
    """A client that shut down its sending side loses answers that it had not read yet."""

    async def main() -> None:
        async with house(place=Place(big_bytes=1 << 20)) as home:
            client, connection, _ = await home.pair()
            await client.send(9 * get(b"/big"))
            half_close(client)
            await until(connection, Phase.WRITING)
            assert [len(answer.body) for answer in await client.to_the_end()] == 9 * [1 << 20]

    go(main())
