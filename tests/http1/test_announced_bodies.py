"""Requests whose body is not waited for: answered at the end of their head, and nothing of the body is read as a request."""

from __future__ import annotations

from typing import Final

import pytest

from tests.http1.loopback import Go, Place, get, house, post, until
from txtoken.http1.ending import LINGER_S, LINGER_UNREAD_BYTES_MAX
from txtoken.http1.messages import Head
from txtoken.http1.phase import Phase
from txtoken.settings import Limits

SMUGGLED: Final = get(b"/now?smuggled")
CHUNKED: Final = b"Transfer-Encoding: chunked"
ANNOUNCED: Final = {
    "short": b"Content-Length: 500",
    "over-the-limit": b"Content-Length: 5000000000",
    "no-number-of-this-world": b"Content-Length: 9999999999999999999",
    "chunked": CHUNKED,
}


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("line", ANNOUNCED.values(), ids=ANNOUNCED)
def test_a_body_that_never_comes(go: Go, method: bytes, line: bytes) -> None:
    """GET and HEAD are answered at the end of the head, whatever body is announced, and the answer is the last."""

    async def main() -> None:
        async with house(sweeping=False) as home:
            client, connection, recorder = await home.pair()
            await client.send(get(b"/now?1", line, b"Expect: 100-continue").replace(b"GET", method))
            (answer,) = await client.to_the_end(method.decode())
            assert (answer.status, answer.fields[b"connection"]) == (200, b"close")
            assert recorder.calls == ["write", "write_eof"]  # no 100, and no wait
            home.server.sweep(home.server.time() + LINGER_S)
            await until(connection, Phase.CLOSED)

    go(main())


@pytest.mark.parametrize("line", ANNOUNCED.values(), ids=ANNOUNCED)
@pytest.mark.parametrize("at", [0, 1, 9])
def test_what_follows_is_no_request(go: Go, line: bytes, at: int) -> None:
    """What comes after such a head is dropped, however it is split: one user's request is never read as another's."""

    async def main() -> None:
        async with house() as home:
            client, _, _ = await home.pair()
            whole = get(b"/now?1", line)
            await client.send(whole + SMUGGLED[:at])
            await client.send(SMUGGLED[at:])
            await client.send(SMUGGLED)
            answers = await client.to_the_end()
            assert [answer.body for answer in answers] == [b"1"]
            assert home.place.seen == [b"1"]

    go(main())


@pytest.mark.parametrize(
    ("line", "body"),
    [(b"Content-Length: %d" % len(SMUGGLED), SMUGGLED), (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")],
    ids=["length", "chunked"],
)
def test_a_body_that_is_here_already(go: Go, line: bytes, body: bytes) -> None:
    """A body that arrived with its head is read as the body, and the connection goes on."""

    async def main() -> None:
        async with house() as home:
            client = await home.client()
            for _ in range(3):  # the third time the head is known
                await client.send(get(b"/now?1", line) + body + get(b"/now?2"))
                first, second = await client.answers(2)
                assert first.body.startswith(b"1")
                assert (second.body, first.fields.get(b"connection")) == (b"2", None)
            assert home.place.seen == 3 * [b"1", b"2"]

    go(main())


@pytest.mark.parametrize(
    "body", [b"g\r\n", b"9\r\nhello\r\n0\r\n\r\n", 200_000 * b"1;" + b"\r\n"], ids=["size", "short", "long"]
)
def test_a_broken_body(go: Go, body: bytes) -> None:
    """A chunked body that breaks the rules, or a limit, changes nothing of the answer to a head that does not wait for it."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            connection.data_received(get(b"/now?1", CHUNKED) + body)
            assert [(answer.status, answer.body) for answer in await client.to_the_end()] == [(200, b"1")]

    go(main())


def test_what_follows_is_dropped_up_to_a_bound(go: Go) -> None:
    """A client that sends on after such an answer is read from up to 64 KiB, and then closed."""

    async def main() -> None:
        async with house(sweeping=False) as home:
            _, connection, recorder = await home.pair()
            connection.data_received(get(b"/now?1", b"Content-Length: 5000000000"))
            connection.data_received(LINGER_UNREAD_BYTES_MAX * b"x")
            assert recorder.calls == ["write", "write_eof", "pause_reading"]
            connection.data_received(b"x")
            assert recorder.calls == ["write", "write_eof", "pause_reading", "close"]
            await until(connection, Phase.CLOSED)

    go(main())


class Forward(Place):
    """A route that waits for no body, whatever the method."""

    def waits_for_body(self, head: Head) -> bool:
        """Say no."""
        return False


def test_the_route_says_what_it_waits_for(go: Go) -> None:
    """Whether a body is waited for is the route's to say, by any method; a POST elsewhere waits for its body."""

    async def main() -> None:
        async with house(place=Forward()) as home:
            client = await home.client()
            await client.send(post(b"", target=b"/now?1", length=5))
            assert [answer.body for answer in await client.to_the_end()] == [b"1"]
        async with house(limits=Limits(body_bytes=4)) as home:
            client, connection, _ = await home.pair()
            await client.send(post(b"12", target=b"/now?1", length=4))
            await until(connection, Phase.BODY)
            await client.send(b"34")
            assert await client.bodies(1) == [b"11234"]
            await client.send(post(b"", length=5))
            assert [answer.status for answer in await client.to_the_end()] == [413]

    go(main())
