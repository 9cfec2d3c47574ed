"""The service in the test's own loop: one worker on a real port, clients on real sockets, and its access lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tests.configuring import KEY, load_text
from tests.http1.loopback import Answer, Client
from txtoken.observe.logs import LineWriter, open_log
from txtoken.process.inheritance import Inheritance
from txtoken.process.sockets import bind
from txtoken.process.worker import Worker
from txtoken.service.throttle.table import Table
from txtoken.settings import Config

NOBODY: Final = "http://127.0.0.1:9/login"  # the discard port, where nobody listens


def configuration(folder: Path, text: str = "", remote: str = NOBODY) -> Config:
    """Read a configuration for a service on a free port."""
    return load_text(folder, f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {remote}\n{text}")


class Served:
    """A worker that serves, and the way to it."""

    def __init__(self, worker: Worker, port: int, log_fd: int, writer: LineWriter) -> None:
        self.worker = worker
        self._port = port
        self._log_fd = log_fd
        self._writer = writer
        self._sockets: list[socket.socket] = []

    async def client(self) -> Client:
        """Connect."""
        sock = socket.socket()
        self._sockets.append(sock)
        client = Client(sock)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        return client

    async def ask(self, method: str, path: str, *lines: str, body: bytes = b"") -> Answer:
        """Send one request on a connection of its own, and return its answer."""
        client = await self.client()
        head = "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", "Host: api.example", *lines))
        await client.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        (answer,) = await client.answers(1, method)
        client.sock.close()
        return answer

    def access_lines(self) -> list[str]:
        """Return the access lines so far, and end the log."""
        self.worker._servers.flush()
        self._writer.close()
        lines = os.pread(self._log_fd, 1 << 20, 0).decode().splitlines()
        return [line for line in lines if '"client":' in line or " client=" in line]

    def close(self) -> None:
        """Close what clients did not."""
        for sock in self._sockets:
            sock.close()


@contextlib.asynccontextmanager
async def serving(config: Config, throttle_table: Table | None = None) -> AsyncIterator[Served]:
    """Serve until the end. A `throttle_table` may have a clock of its own."""
    with tempfile.TemporaryFile() as file:
        writer = LineWriter(file.fileno())
        log = open_log(writer, level="error", as_json=True)
        worker = Worker(config, log, writer, inheritance=Inheritance(throttle_table=throttle_table))
        sockets = bind(config.process.addresses, config.process.port)
        served = Served(worker, sockets[0].getsockname()[1], file.fileno(), writer)
        try:
            await worker.start(sockets)
            yield served
        finally:
            served.close()
            await worker.stop()
            writer.close()
