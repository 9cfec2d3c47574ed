"""Clients that offer another protocol for the connection, over real sockets: they are served as if they had not."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from tests.http1.loopback import Go, get, house, post

OFFER = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
SMUGGLED = get(b"/now?smuggled")
CHUNKED = get(b"/now", b"Transfer-Encoding: chunked", *OFFER).replace(b"GET", b"POST") + b"%x\r\n%b\r\n0\r\n\r\n" % (
    len(SMUGGLED),
    SMUGGLED,
)


@pytest.mark.parametrize("request_", [post(SMUGGLED, *OFFER), CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_a_body_after_an_offer(go: Go, request_: bytes, size: int) -> None:
    """The body of a request with `Upgrade` is its body, in whatever pieces it comes, and never the next request."""

    async def main() -> None:
        async with house() as home:
            client, connection, _ = await home.pair()
            for _ in range(3):  # the third time the head is known
                data = get(b"/now?1") + request_ + get(b"/now?2")
                for at in range(0, len(data), size):
                    connection.data_received(data[at : at + size])
                assert await client.bodies(3) == [b"1", SMUGGLED, b"2"]
            assert home.place.seen == 3 * [b"1", b"", b"2"]

    go(main())


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "options",
    [["-d", "hello"], ["-H", "Transfer-Encoding: chunked", "-d", "hello"], []],
    ids=["length", "chunked", "get"],
)
def test_curl(go: Go, options: list[str]) -> None:
    """`curl --http2` is served by HTTP/1.1, with a body or without, twice on one connection."""

    async def main() -> None:
        async with house() as home:
            url = f"http://127.0.0.1:{home.ports[0]}/now?1"
            command = ["curl", "-sS", "--noproxy", "*", "--max-time", "10", "--http2", *options, url, url]
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            output, _ = await process.communicate()
            assert output == 2 * (b"1hello" if options else b"1")
            assert process.returncode == 0

    go(main())
