"""One client's connection, over real sockets: order, keep-alive, HEAD, Expect, faults, back-pressure, the access log."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from tests.http1.loopback import SILENCE_S, Client, Go, Place, get, house, post, read_answers, turn, until
from txtoken.http1.messages import CONTINUE
from txtoken.http1.phase import Phase
from txtoken.settings import Timeouts

QUICK: Final = 0.05


# Order


def test_late_answers_keep_their_order(go: Go) -> None:
    """Pipelined requests are answered in another order, or one is begun before the one before it is answered."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            place = home.place
            await client.send(get(b"/later?1") + get(b"/now?2") + get(b"/later?3") + get(b"/later?4") + get(b"/now?5"))
            first = await place.arrivals.get()
            assert await client.hears_nothing()
            assert place.seen == [b"1"]
            first.finish()
            assert await client.bodies(2) == [b"1", b"2"]
            third = await place.arrivals.get()
            assert place.seen == [b"1", b"2", b"3"]
            third.finish()
            assert await client.bodies(1) == [b"3"]
            (await place.arrivals.get()).finish()
            assert await client.bodies(2) == [b"4", b"5"]

    go(main())


def test_requests_that_arrive_while_one_is_answered(go: Go) -> None:
    """Bytes that arrive during an answer are lost, or parsed before it."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            await client.send(get(b"/later?1"))
            later = await home.place.arrivals.get()
            await client.send(get(b"/now?2")[:20])
            while not connection._parser.has_more:
                await turn()
            assert recorder.calls == []
            await client.send(get(b"/now?2")[20:] + get(b"/now?3"))
            later.finish()
            assert await client.bodies(3) == [b"1", b"2", b"3"]
            assert connection.phase is Phase.IDLE

    go(main())


def test_what_arrives_behind_an_expected_head(go: Go) -> None:
    """A request whose head was expected hides what arrives while it is answered."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            for _ in range(3):
                await client.send(get(b"/later?1"))
                (await home.place.arrivals.get()).finish()
                assert await client.bodies(1) == [b"1"]
            await client.send(get(b"/later?1"))
            later = await home.place.arrivals.get()
            await client.send(get(b"/now?2"))
            assert await client.hears_nothing()
            later.finish()
            assert await client.bodies(2) == [b"1", b"2"]

    go(main())


def test_the_beginning_of_a_head_before_an_expected_one(go: Go) -> None:
    """Bytes that look like the next request are taken for it, although another one has begun before them."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            for _ in range(3):
                await client.send(get(b"/now?1"))
                assert await client.bodies(1) == [b"1"]
            await client.send(get(b"/now?1") + b"GET /now?")
            assert await client.bodies(1) == [b"1"]
            await client.send(get(b"/now?1"))
            assert [answer.status for answer in await client.answers(1)] == [400]

    go(main())


def test_answers_that_are_ready_together_leave_together(go: Go) -> None:
    """Pipelined immediate answers cost a write, and a packet, each."""

    async def main() -> None:
        async with house() as home:
            client, _, recorder = await home.pair()
            await client.send(b"".join(get(b"/now?%d" % number) for number in range(20)))
            assert await client.bodies(20) == [b"%d" % number for number in range(20)]
            assert recorder.calls == ["write"]

    go(main())


def test_a_late_answer_costs_one_write(go: Go) -> None:
    """A request that waits pauses and resumes reading: two system calls that nobody needs."""

    async def main() -> None:
        async with house() as home:
            client, _, recorder = await home.pair()
            for number in (b"1", b"2"):
                await client.send(get(b"/later?" + number))
                (await home.place.arrivals.get()).finish()
                assert await client.bodies(1) == [number]
            assert recorder.calls == ["write", "write"]

    go(main())


# Keep-alive, HEAD, Expect


@pytest.mark.parametrize("path", [b"/now", b"/later"])
@pytest.mark.parametrize(
    ("version", "line", "said", "kept"),
    [
        (b"HTTP/1.1", b"X: y", None, True),
        (b"HTTP/1.1", b"Connection: keep-alive", None, True),
        (b"HTTP/1.1", b"Connection: close", b"close", False),
        (b"HTTP/1.1", b"Connection: keep-alive, Close", b"close", False),
        (b"HTTP/1.0", b"X: y", b"close", False),
        (b"HTTP/1.0", b"Connection: close", b"close", False),
        (b"HTTP/1.0", b"Connection: Keep-Alive", b"keep-alive", True),
    ],
    ids=["1.1", "1.1-keep", "1.1-close", "1.1-both", "1.0", "1.0-close", "1.0-keep"],
)
def test_keep_alive(go: Go, path: bytes, version: bytes, line: bytes, said: bytes | None, kept: bool) -> None:
    """A connection is kept or ended against what was agreed, or a request behind the last one is answered."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(path + b"?1", line, version=version) + get(b"/now?2", b"Connection: close"))
            if path == b"/later":
                (await home.place.arrivals.get()).finish()
            answers = await client.to_the_end()
            assert answers[0].fields.get(b"connection") == said
            assert [answer.body for answer in answers] == ([b"1", b"2"] if kept else [b"1"])
            assert home.place.seen == ([b"1", b"2"] if kept else [b"1"])

    go(main())


def test_head(go: Go) -> None:
    """HEAD is answered with a body, and the next answer is misread."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(b"/now?long").replace(b"GET", b"HEAD") + get(b"/now?2"))
            first, second = await client.answers(2, "HEAD")
            assert (first.fields[b"content-length"], first.body, second.body) == (b"4", b"", b"2")

    go(main())


def test_continue_is_said_once(go: Go) -> None:
    """A client that waits for `100 Continue` waits in vain, or hears it twice."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            request = post(b"hello", b"Expect: 100-continue")
            await client.send(request[:30])
            await until(connection, Phase.HEAD)
            await client.send(request[30:-5])
            await client.more()
            assert client.received == CONTINUE
            await client.send(b"he")
            await client.send(b"llo")
            answers = await client.answers(1)
            assert (answers[0].body, recorder.calls) == (b"hello", ["write", "write"])

    go(main())


@pytest.mark.parametrize(
    "request_", [post(b"x", b"Expect: 100-continue"), post(b"", b"Expect: 100-continue")], ids=["here", "no-body"]
)
def test_continue_is_not_said_for_nothing(go: Go, request_: bytes) -> None:
    """`100 Continue` is sent though the body is here already, or there is none."""

    async def main() -> None:
        async with house() as home:
            client, _, recorder = await home.pair()
            await client.send(request_)
            await client.answers(1)
            assert recorder.calls == ["write"]

    go(main())


def test_continue_is_not_said_to_1_0(go: Go) -> None:
    """An HTTP/1.0 client, which knows no interim answers, gets one."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            request = post(b"x", b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
            await client.send(request[:-1])
            await until(connection, Phase.BODY)
            assert recorder.calls == []
            await client.send(request[-1:])
            assert [answer.body for answer in await client.to_the_end()] == [b"x"]

    go(main())


def test_continue_waits_for_its_turn(go: Go) -> None:
    """`100 Continue` for the second request comes before the first one's answer."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(b"/later?1") + post(b"", b"Expect: 100-continue", length=1))
            later = await home.place.arrivals.get()
            assert await client.hears_nothing()
            later.finish()
            while not client.received.endswith(CONTINUE):
                assert await client.more()
            await client.send(b"x")
            assert await client.bodies(2) == [b"1", b"x"]

    go(main())


# Faults of handlers


def test_a_handler_that_raises(go: Go) -> None:
    """A fault in one handler ends the connection, costs an answer, or spoils the order."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(b"/now?1") + get(b"/raise") + get(b"/now?3"))
            answers = await client.answers(3)
            assert [answer.status for answer in answers] == [200, 500, 200]
            assert home.place.failures == ["before the answer"]

    go(main())


def test_a_handler_that_raises_behind_its_answer(go: Go) -> None:
    """A fault behind an answer is answered a second time, or is never heard of."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(b"/both?1") + get(b"/now?2"))
            assert await client.bodies(2) == [b"1", b"2"]
            assert home.place.failures == ["after the answer"]

    go(main())


# Back-pressure


async def stuff(client: Client, data: bytes, times: int) -> int:
    """Send until nothing moves for a while. Returns how many bytes the other side took."""
    sent = 0
    view = memoryview(data * times)
    while view:
        try:
            count = client.sock.send(view)
        except BlockingIOError:
            writable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().add_writer(client.sock, _settle, writable)
            try:
                await asyncio.wait_for(writable, SILENCE_S)
            except TimeoutError:
                break
            finally:
                asyncio.get_running_loop().remove_writer(client.sock)
        else:
            sent += count
            view = view[count:]
    return sent


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def test_a_client_is_not_read_from_while_its_answer_is_made(go: Go) -> None:
    """While one answer is waited for, what the client sends on piles up in this process."""

    async def main() -> None:
        async with house() as home:
            client, connection, recorder = await home.pair()
            await client.send(get(b"/later?0"))
            later = await home.place.arrivals.get()
            request = get(b"/now?" + 1000 * b"q")
            sent = await stuff(client, request, 20_000)
            assert sent < 20_000 * len(request) / 4
            assert len(connection._parser._data) < 1 << 20
            assert recorder.calls.count("pause_reading") == 1
            later.finish()
            whole, part = divmod(sent, len(request))
            sending = asyncio.ensure_future(client.send(request[part:]))
            bodies = await client.bodies(1 + whole + 1)
            await sending
            assert bodies == [b"0", *(whole + 1) * [1000 * b"q"]]

    go(main())


def test_a_client_that_does_not_read_is_not_read_from(go: Go) -> None:
    """A client that never reads makes this process work and hold ever more answers for it."""

    async def main() -> None:
        async with house(place=Place(big_bytes=10_000)) as home:
            client, connection, recorder = await home.pair()
            sent = await stuff(client, get(b"/big"), 100_000)
            assert sent < 50_000 * len(get(b"/big"))
            assert connection.phase is Phase.WRITING
            assert len(home.place.seen) * 10_000 < 4 << 20
            assert recorder.get_write_buffer_size() < 2 << 20

    go(main())


def test_a_client_that_reads_late_gets_everything(go: Go) -> None:
    """Answers are lost or cut when a client reads them late, or its later requests are not taken up."""

    async def main() -> None:
        async with house(place=Place(big_bytes=10_000)) as home:
            client, connection, _ = await home.pair()
            request = get(b"/big?" + 2000 * b"q")
            sent = await stuff(client, request, 2_000)
            assert connection.phase is Phase.WRITING
            whole, part = divmod(sent, len(request))
            while client.received.count(10_000 * b"x") < whole:
                assert await client.more()
            finals, _, rest = read_answers(client.received)
            assert (len(finals), {final.body for final in finals}, rest) == (whole, {10_000 * b"x"}, b"")
            client.received = b""
            await client.send(request[part:])
            assert await client.bodies(1) == [10_000 * b"x"]

    go(main())


def test_a_client_that_never_reads_is_given_up(go: Go) -> None:
    """A client that takes no answers keeps its connection for ever."""

    async def main() -> None:
        place = Place(big_bytes=1 << 20)
        async with house(place=place, timeouts=Timeouts(idle=QUICK)) as home:
            client, connection, recorder = await home.pair()
            await client.send(8 * get(b"/big"))
            await until(connection, Phase.CLOSED)
            assert "abort" in recorder.calls

    go(main())


# The access log


def test_every_answer_is_a_line(go: Go) -> None:
    """An answer is missing from the access log, is there twice, or names another client."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            await client.send(get(b"/now") + get(b"/raise") + get(b"/unlogged") + get(b"/later") + b"rubbish\r\n\r\n")
            (await home.place.arrivals.get()).finish()
            await client.to_the_end()
            assert home.place.lines == [
                (path, status, "127.0.0.1")
                for path, status in [(b"/now", 200), (b"/raise", 500), (b"/later", 200), (None, 400)]
            ]

    go(main())


def test_what_was_given_up_is_told(go: Go) -> None:
    """A client that went away before its answer was there leaves no access line."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            await client.send(get(b"/later"))
            later = await home.place.arrivals.get()
            client.sock.close()
            await later.cancelled.wait()
            await until(connection, Phase.CLOSED)
            assert [line[:2] for line in home.place.lines] == [(b"/later", 499)]

    go(main())


def test_a_server_can_do_without_an_observer(go: Go) -> None:
    """With neither access log nor metrics, requests are answered as ever."""

    async def main() -> None:
        async with house() as home:
            home.server.observer = None
            client = await home.client()
            await client.send(get(b"/now?1") + b"rubbish\r\n\r\n")
            assert [answer.status for answer in await client.to_the_end()] == [200, 400]
            assert home.place.lines == []

    go(main())
