"""An HTTP proxy for tests: tunnels by CONNECT, and requests with a whole URL, which it sends on as they are."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Self

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n"


class ForwardProxy:
    """Listens on loopback, with `tls` in TLS. `answer` is its answer to CONNECT; other than 2xx ends the connection."""

    def __init__(self, answer: bytes = ESTABLISHED) -> None:
        self._answer = answer
        self._writers: set[asyncio.StreamWriter] = set()  # of connections that are open
        self.heads: list[bytes] = []  # of the requests that it was asked with itself
        self.port = 0
        self.ended = 0  # tunnels and connections that are over

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._pass_on(reader, writer)
        finally:
            self._writers.discard(writer)
            self.ended += 1
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        target = head.split(b" ")[1]
        if head.startswith(b"CONNECT "):
            host, _, port = target.decode().rpartition(":")
            writer.write(self._answer)
            if b"HTTP/1.1 2" not in self._answer:
                await reader.read()
                return
        else:
            host, _, port = target.decode().split("/")[2].rpartition(":")
        origin_reader, origin_writer = await asyncio.open_connection(host, int(port))
        if not head.startswith(b"CONNECT "):
            origin_writer.write(head)
        back = asyncio.ensure_future(self._copy(origin_reader, writer))
        try:
            await self._copy(reader, origin_writer)
        finally:
            back.cancel()
            origin_writer.transport.abort()

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        """Listen, and at the end close all."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.end()
            while self._writers:  # noqa: ASYNC110 - their tasks are asyncio's, which nobody can wait for
                await asyncio.sleep(0)

    def end(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()
