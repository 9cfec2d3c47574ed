"""One process's service between two transports that are lists: what a request costs, without sockets or a kernel."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final, cast

from txtoken.http1.connection import Connection
from txtoken.observe.logs import LineWriter, open_log
from txtoken.process.admin import make_admin_port
from txtoken.process.inheritance import Inheritance
from txtoken.process.worker import Worker
from txtoken.service.upstream.connection import RemoteConnection
from txtoken.service.upstream.dial import Opened
from txtoken.settings import Config

LOGIN: Final = (
    b"POST /getToken HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n"
    b'{"user":"ada","password":"engine"}'
)
REPLY_BODY: Final = (
    b'{"id":1815,"user":"ada","name":"Ada Lovelace","email":"ada@example.com","roles":["member","author"],'
    b'"created":"2018-08-01T00:00:00Z"}'
)
REPLY: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(REPLY_BODY),
    REPLY_BODY,
)


def check_request(token: bytes) -> bytes:
    """Write the request that has a token checked."""
    return b"GET /checkToken HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nAuthorization: Bearer %b\r\n\r\n" % token


class Transport:
    """A transport whose other end is a list. A write after it was closed fails."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False
        self.pauses = 0

    def write(self, data: bytes) -> None:
        assert not self.is_closed, "a write after close"
        assert data, "an empty write"
        self.written.append(data)

    def abort(self) -> None:
        self.is_closed = True

    close = abort

    def is_closing(self) -> bool:
        return self.is_closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        self.pauses += 1


class House:
    """The service with one client and one connection to its remote. Make it inside a running loop."""

    def __init__(self, config: Config) -> None:
        self.writer = LineWriter(1)
        log = open_log(self.writer, level="error", as_json=True)
        admin_port = None if config.process.admin_port is None else make_admin_port([], 1, loop="", build="")
        self.worker = Worker(config, log, self.writer, inheritance=Inheritance(admin_port))
        self._connections: list[Connection | RemoteConnection] = []
        self._silent = socket.socketpair()  # what the kernel is asked about: nothing ever comes
        self.client, self.to_client = self.connect()
        self.remote, self.to_remote = self.dial()

    def connect(self) -> tuple[Connection, Transport]:
        """Let one more client connect."""
        client, transport = Connection(self.worker._servers.main), Transport()
        client.connection_made(cast("asyncio.Transport", transport))
        self._connections.append(client)
        return client, transport

    def dial(self) -> tuple[RemoteConnection, Transport]:
        """Have one more connection to the remote."""
        transport, remote = Transport(), self.worker._app.remote
        opened = Opened(cast("asyncio.Transport", transport), (), self._silent[0].fileno(), None)
        connection = RemoteConnection(remote, remote._dials.next_number(), opened)
        remote.admit(connection)
        self._connections.append(connection)
        return connection, transport

    def lose(self, connection: Connection | RemoteConnection) -> None:
        """Let a connection end."""
        self._connections.remove(connection)
        connection.connection_lost(None)

    def log_in(self) -> None:
        """One request for a token, from the client's bytes to the answer."""
        self.client.data_received(LOGIN)
        self.remote.data_received(REPLY)

    def check(self, request: bytes) -> None:
        """One check of a token."""
        self.client.data_received(request)

    async def close(self) -> None:
        """End everything."""
        self.to_client.written.clear()
        for connection in tuple(self._connections):
            self.lose(connection)
        await self.worker.abandon()
        for sock in self._silent:
            sock.close()
        self.writer.close()
