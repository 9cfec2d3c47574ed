"""The layers on top of a TCP connection: TLS, and a tunnel through an HTTP proxy (RFC 9110 §9.3.6).

Works on a connected transport. Knows no names and no pool.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Final

TUNNEL_HEAD_BYTES_MAX: Final = 16 * 1024  # of a proxy's answer to CONNECT
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r\n")


class TunnelError(Exception):
    """A proxy does not open a tunnel. The message says why, with the proxy's status if there is one."""


class SetupProtocol(asyncio.Protocol):
    """A transport's protocol until `RemoteConnection` replaces it. It notices an end, and bytes that arrive too early."""

    def __init__(self) -> None:
        self.is_disturbed = False  # unexpected data arrived, or the connection has ended

    def data_received(self, data: bytes) -> None:
        self.is_disturbed = True

    def eof_received(self) -> None:
        self.is_disturbed = True

    def connection_lost(self, error: Exception | None) -> None:
        self.is_disturbed = True


class _Connect(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT."""

    def __init__(self) -> None:
        self.is_open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        if self.is_open.done():
            return
        self._head += data
        while (end := self._head.find(b"\r\n\r\n") + 4) > 3:
            status_line = _STATUS_LINE.match(self._head)
            status = int(status_line[1]) if status_line else 0
            if 100 <= status < 200 and status != 101:
                self._head = self._head[end:]  # an interim reply
                continue
            if not 200 <= status < 300:
                self._fail(
                    f"it answers CONNECT with status {status}" if status else "its answer to CONNECT is not HTTP"
                )
            elif end != len(self._head):
                self._fail("data arrived through the tunnel before anything was sent")
            else:
                self.is_open.set_result(None)
            return
        if len(self._head) > TUNNEL_HEAD_BYTES_MAX:
            self._fail("its answer to CONNECT is too long")

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("it closed the connection instead of an answer to CONNECT")

    def eof_received(self) -> None:
        self._fail("it closed the connection instead of an answer to CONNECT")

    def _fail(self, why: str) -> None:
        if not self.is_open.done():
            self.is_open.set_exception(TunnelError(why))


async def connect_through(transport: asyncio.Transport, request: bytes) -> None:
    """Open a tunnel through a proxy. `request` is the whole CONNECT request; afterwards the transport is the tunnel.

    Raises:
        TunnelError: the proxy opens none.
    """
    answer = _Connect()
    transport.set_protocol(answer)
    transport.write(request)
    try:
        await answer.is_open
    finally:
        if not answer.is_open.cancel():
            answer.is_open.exception()  # retrieved, else asyncio logs that it never was


async def start_tls(
    transport: asyncio.Transport, context: ssl.SSLContext, server_name: str
) -> tuple[asyncio.Transport, SetupProtocol]:
    """Begin TLS as the client on a connected transport. Returns the transport inside, and its protocol so far.

    Raises:
        OSError: the handshake failed. (`ssl.SSLError` is an OSError.)
    """
    setup_protocol = SetupProtocol()
    inner = await asyncio.get_running_loop().start_tls(transport, setup_protocol, context, server_hostname=server_name)
    if inner is None:  # the transport was closing already
        raise ConnectionResetError("the connection ended during the TLS handshake")
    return inner, setup_protocol
