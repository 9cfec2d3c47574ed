"""The floor: what a request costs in Python when nothing is done for it. uvloop, httptools, one fixed answer.

Knows neither tokens nor a remote; the answer is as long as one with a token.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final, cast

import httptools
import uvloop

BODY: Final = b'{"token":"%b"}' % (b"x" * 330)
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n" % len(BODY)
ANSWER: Final = HEAD + b"\r\n" + BODY
LAST_ANSWER: Final = HEAD + b"Connection: close\r\n\r\n" + BODY


class Connection(asyncio.Protocol):
    """One client."""

    __slots__ = ("_parser", "_transport")

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_complete(self) -> None:
        if self._parser.should_keep_alive():
            self._transport.write(ANSWER)
        else:
            self._transport.write(LAST_ANSWER)
            self._transport.close()


async def serve() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(
        Connection, os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"]), backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
