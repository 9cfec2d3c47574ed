"""Idle connections: opened, used once, and then kept silent.

Knows one request to send on each, and nothing of what is measured meanwhile.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

from bench.errors import BenchError
from bench.load.routes import TOKEN
from bench.load.target import Target

ANSWER_S: Final = 10.0


@contextlib.contextmanager
def idle_connections(target: Target, token: str, count: int) -> Iterator[None]:
    """Keep `count` connections open. Each has been answered once: a connection that was never used costs less.

    Raises:
        BenchError: not every one was answered.
    """
    routes = target.routes
    request = (
        f"{routes.check_method} {routes.check_path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n"
        f"{routes.check_header.replace(TOKEN, token)}\r\n\r\n"
    ).encode()
    good = b"HTTP/1.1 %d" % routes.check_status
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = socket.create_connection((target.host, target.port), ANSWER_S)
            sockets.append(sock)
            sock.sendall(request)
            if not sock.recv(64 * 1024).startswith(good):
                raise BenchError(f"idle connection {len(sockets)} was not answered")
        yield
    except OSError as error:
        raise BenchError(f"idle connection {len(sockets)} failed: {error}") from error
    finally:
        for sock in sockets:
            sock.close()
