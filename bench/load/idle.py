"""Idle connections: opened, used once, and then kept silent.

Knows one request to send on each, and nothing of what is measured meanwhile.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

from bench.errors import BenchError
from bench.load.answers import CHECK_ROUTE
from bench.load.stub_remote import LOOPBACK

ANSWER_S: Final = 10.0


@contextlib.contextmanager
def idle_connections(port: int, token: str, count: int) -> Iterator[None]:
    """Keep `count` connections open. Each has been answered once: a connection that was never used costs less.

    Raises:
        BenchError: not every one was answered.
    """
    request = (
        f"GET {CHECK_ROUTE} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = socket.create_connection((LOOPBACK, port), ANSWER_S)
            sockets.append(sock)
            sock.sendall(request)
            if not sock.recv(64 * 1024).startswith(b"HTTP/1.1 200"):
                raise BenchError(f"idle connection {len(sockets)} was not answered")
        yield
    except OSError as error:
        raise BenchError(f"idle connection {len(sockets)} failed: {error}") from error
    finally:
        for sock in sockets:
            sock.close()
