"""The login API behind the service that is counted: a thread of the driver, which answers every request with one reply.

It is here, and not the remote of the load, because nothing has to be fast: the service's instructions are counted, not its time.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_LINE_BYTES_MAX: Final = 65536
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Remote(socketserver.ThreadingTCPServer):
    """One login API. Each connection has a thread of its own; `reply` may change between two logins."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, reply: bytes) -> None:
        super().__init__((LOOPBACK, 0), _Connection)
        self.reply = reply

    @property
    def url(self) -> str:
        """Where logins go."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/login"


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Remote

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self._takes_login():
                reply = self.server.reply
                self.wfile.write(_HEAD % len(reply) + reply)

    def _takes_login(self) -> bool:
        """Read one request whole. Whether there was one."""
        length = 0
        while line := self.rfile.readline(_LINE_BYTES_MAX):
            name, _, text = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(text)
            elif line == b"\r\n":
                return len(self.rfile.read(length)) == length
        return False


@contextlib.contextmanager
def started_remote(reply: bytes) -> Iterator[Remote]:
    """Serve until the block ends."""
    with Remote(reply) as remote:
        thread = threading.Thread(target=remote.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield remote
        finally:
            remote.shutdown()
            thread.join()
