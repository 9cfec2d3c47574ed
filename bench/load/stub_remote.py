"""The API behind the service: answers every POST alike, after a constant delay. Only uvloop and httptools.

Knows no users: a body that holds `refuse` gets 401, any other 200. `GET /stats` reports its own cost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Final, cast

import httptools
import uvloop

from bench.load.replies import REPLY_BYTES, compact, reply_object

LOOPBACK: Final = "127.0.0.1"
BACKLOG: Final = 4096
REFUSED: Final = (
    b'HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{"error":"refused"}'
)


def ok(body: bytes) -> bytes:
    """Make a whole 200."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Stub:
    """What all connections share."""

    __slots__ = ("call_later", "delay_s", "reply", "requests")

    def __init__(self, loop: asyncio.AbstractEventLoop, reply: bytes, delay_s: float) -> None:
        self.call_later = loop.call_later
        self.reply = reply
        self.delay_s = delay_s
        self.requests = 0

    def stats(self) -> bytes:
        """Report the number of requests and the CPU time of this process."""
        return json.dumps({"requests": self.requests, "cpu_s": time.process_time()}).encode()


class Connection(asyncio.Protocol):
    """One client."""

    __slots__ = ("_body", "_parser", "_stub", "_transport")

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    # What the parser calls

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        stub = self._stub
        body, self._body = self._body, b""
        if not body:
            self._transport.write(ok(stub.stats()))
            return
        stub.requests += 1
        reply = REFUSED if b"refuse" in body else stub.reply
        if stub.delay_s:
            stub.call_later(stub.delay_s, self._transport.write, reply)
        else:
            self._transport.write(reply)


async def serve(host: str, port: int, unix: Path | None, reply: bytes, delay_s: float) -> None:
    """Serve until SIGTERM: on a port, and on a Unix socket where there is a path for one."""
    loop = asyncio.get_running_loop()
    stub = Stub(loop, reply, delay_s)
    servers: list[asyncio.AbstractServer] = []
    if unix is not None:
        servers.append(await loop.create_unix_server(lambda: Connection(stub), unix, backlog=BACKLOG))
    servers.append(await loop.create_server(lambda: Connection(stub), host, port, backlog=BACKLOG))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    for server in servers:
        server.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.stub_remote", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--unix", type=Path, metavar="PATH", help="of a socket to listen on, too")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="between a request and its reply")
    parser.add_argument("--reply-bytes", type=int, default=REPLY_BYTES)
    options = parser.parse_args()
    reply = ok(compact(reply_object(options.reply_bytes)))
    uvloop.run(serve(options.host, options.port, options.unix, reply, options.delay_ms / 1000))


if __name__ == "__main__":
    main()
