"""Opens one connection to the remote: name, TCP, proxy, TLS. Knows no exchange and no pool.

aiohttp's connector does the hard and rare part of TCP: several addresses, some of them dead (RFC 8305). It is loaded for a name
that has them. For a single address, or a Unix socket, the loop connects, in 60 µs of CPU instead of 160. TLS begins here, because
we have to know the unsent bytes of each layer of a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import importlib
import ipaddress
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from txtoken.errors import RemoteError, RemoteOverloaded, RemoteTimeout, RemoteUnreachable
from txtoken.service.upstream.location import Location, locate
from txtoken.service.upstream.names import Names, NoAddressError
from txtoken.service.upstream.tunnel import SetupProtocol, TunnelError, connect_through, start_tls
from txtoken.settings import ALPN, RemoteSettings
from txtoken.unix_urls import is_http_unix, socket_path

# This machine lacks resources, not the remote: a later attempt may succeed.
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}

# The steps of an attempt.
_NAME: Final = "name"
_TCP: Final = "tcp"
_PROXY: Final = "proxy"
_TLS: Final = "tls"

# Connects to several addresses. Has a `Connector`.
_SEVERAL: Final = "txtoken.service.upstream.several"


class Dialled(Protocol):
    """A TCP connection by aiohttp."""

    transport: asyncio.Transport

    @property
    def is_disturbed(self) -> bool:
        """Whether it ended, or unexpected data arrived, before our protocol had it."""

    def close(self) -> None:
        """Report its end."""


class Connector(Protocol):
    """Connects to one name with several addresses."""

    async def connect(self) -> Dialled | None:
        """Connect to the first address that answers. None: the connection has ended already. Raises OSError."""

    async def close(self) -> None:
        """Close every connection that is being opened."""


class Opened(NamedTuple):
    """An open connection. `below` are the transports under `transport`: TCP's under TLS's, and so on.

    `descriptor` is its socket's. `dialled` is aiohttp's connection, None if the loop connected.
    """

    transport: asyncio.Transport
    below: tuple[asyncio.Transport, ...]
    descriptor: int
    dialled: Dialled | None

    def close(self) -> None:
        """Report the end of the connection to aiohttp's connector, which waits for it."""
        if self.dialled is not None:
            self.dialled.close()


class _Line:
    """A TCP connection that no `Opened` has yet."""

    __slots__ = ("_setup_protocol", "dialled", "transport")

    def __init__(
        self, transport: asyncio.Transport, setup_protocol: SetupProtocol | None, dialled: Dialled | None
    ) -> None:
        self.transport = transport
        self._setup_protocol = setup_protocol  # None: it has aiohttp's own protocol
        self.dialled = dialled

    @property
    def is_disturbed(self) -> bool:
        """Whether it ended, or unexpected data arrived."""
        if self.dialled is not None:
            return self.dialled.is_disturbed
        return self._setup_protocol is None or self._setup_protocol.is_disturbed

    def abort(self) -> None:
        """Close it at once."""
        self.transport.abort()
        if self.dialled is not None:
            self.dialled.close()


class Dialler:
    """Opens connections to one remote. Make it inside a running loop, `close` it at the end."""

    def __init__(self, settings: RemoteSettings, user_agent: str) -> None:
        self._connect_s = settings.connect_s
        self._is_closed = False
        self._has_proxy = settings.proxy is not None
        self._proxy_tls: tuple[ssl.SSLContext, str] | None = None
        self._tls: tuple[ssl.SSLContext, str] | None = None
        self._connect_request = b""
        self._names = Names(settings.connect_s)
        self._name: str | None = None  # the name to look up
        self._address: str | None = None  # if there is no name to look up: an IP address, or the path of a Unix socket
        self._is_unix = is_http_unix(settings.url)
        self._connector: Connector | None = None  # made for a name with several addresses
        remote = locate(settings.url)
        first = remote if settings.proxy is None else locate(settings.proxy.url)
        self._first = first  # where TCP leads
        if self._is_unix:
            self._address = socket_path(settings.url)
            return
        if _is_address(first.host):
            self._address = first.host
        else:
            self._name = first.host
        if settings.proxy is not None and first.scheme == "https":
            self._proxy_tls = system_context(), first.host.rstrip(".")
        if remote.scheme == "https":
            context = settings.tls.context
            server_name = settings.tls.server_name or remote.host.rstrip(".")
            self._tls = context if isinstance(context, ssl.SSLContext) else system_context(), server_name
            if settings.proxy is not None:
                self._connect_request = connect_request(remote, settings, user_agent)

    async def prepare(self) -> None:
        """Do ahead what the first connection needs: look up the name, and load aiohttp if it has several addresses."""
        if self._name is not None:
            with contextlib.suppress(OSError):  # the first request will report it
                async with asyncio.timeout(self._connect_s):
                    address = await self._only_address(self._name)
                if address is None:
                    await self._make_connector()

    async def open(self) -> Opened | None:
        """Open a connection, within `timeouts.connect`. None: it ended, or sent data, before any request.

        Raises:
            RemoteError: no connection could be opened.
        """
        stage = _NAME
        line: _Line | None = None
        try:
            async with asyncio.timeout(self._connect_s) as limit:
                address = self._address if self._name is None else await self._only_address(self._name)
                stage = _TCP
                if address is None and self._connector is None:
                    limit.reschedule(None)  # loading takes no time of the remote's
                    await self._make_connector()
                    limit.reschedule(asyncio.get_running_loop().time() + self._connect_s)
                line = await self._connect(address)
                if self._proxy_tls is not None or self._connect_request:
                    stage = _PROXY
                elif self._tls is not None:
                    stage = _TLS
                if line is None or line.is_disturbed:
                    if stage != _TCP:
                        raise ConnectionResetError("it ended, or sent data, before the handshake")
                    if line is not None:
                        line.abort()
                    return None
                transport = line.transport
                setup_protocol: SetupProtocol | None = None
                below: tuple[asyncio.Transport, ...] = ()
                descriptor: int = transport.get_extra_info("socket").fileno()
                if self._proxy_tls is not None:
                    below += (transport,)
                    transport, setup_protocol = await start_tls(transport, *self._proxy_tls)
                if self._connect_request:
                    await connect_through(transport, self._connect_request)
                if self._tls is not None:
                    stage = _TLS
                    below += (transport,)
                    transport, setup_protocol = await start_tls(transport, *self._tls)
        except Exception as error:  # any error is logged, and a client waits for an answer
            if line is not None:
                line.abort()
            raise explain_dial(error, stage, has_proxy=self._has_proxy) from error
        except BaseException:  # it was cancelled
            if line is not None:
                line.abort()
            raise
        if setup_protocol.is_disturbed if setup_protocol is not None else line.is_disturbed:
            line.abort()
            return None
        return Opened(transport, below, descriptor, line.dialled)

    async def _only_address(self, name: str) -> str | None:
        """Look up the name. None: it has several addresses."""
        addresses = await self._names.find(name)
        return addresses[0].host if len(addresses) == 1 else None

    async def _make_connector(self) -> None:
        new_connector = await _load()
        if self._connector is None and not self._is_closed:
            self._connector = new_connector(self._first, self._names)

    async def _connect(self, address: str | None) -> _Line | None:
        if self._is_closed:
            raise ConnectionError("the service is shutting down")
        if address is not None:
            loop = asyncio.get_running_loop()
            transport, setup_protocol = await (
                loop.create_unix_connection(SetupProtocol, address)
                if self._is_unix
                else loop.create_connection(SetupProtocol, address, self._first.port)
            )
            return _Line(transport, setup_protocol, None)
        assert self._connector is not None
        dialled = await self._connector.connect()
        return None if dialled is None else _Line(dialled.transport, None, dialled)

    async def close(self) -> None:
        """Close every connection that is being opened."""
        self._is_closed = True
        if self._connector is not None:
            await self._connector.close()


async def _load() -> Callable[[Location, Names], Connector]:
    """Load what connects to several addresses, in a thread: it takes 0.1 s, in which clients want answers."""
    several = await asyncio.to_thread(importlib.import_module, _SEVERAL)
    new_connector: Callable[[Location, Names], Connector] = several.Connector
    return new_connector


def connect_request(remote: Location, settings: RemoteSettings, user_agent: str) -> bytes:
    """Write the request that asks a proxy for a tunnel to the remote (RFC 9110 §9.3.6)."""
    where = f"{remote.url_host}:{remote.port}"
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}", f"User-Agent: {user_agent}"]
    head = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    return b"".join((head, proxy_authorization(settings), b"\r\n"))


def proxy_authorization(settings: RemoteSettings) -> bytes:
    """Write the line with our credentials for the proxy. Empty: there are none."""
    if settings.proxy is None or settings.proxy.authorization is None:
        return b""
    return b"Proxy-Authorization: %b\r\n" % settings.proxy.authorization.reveal()


@functools.cache
def system_context() -> ssl.SSLContext:
    """Return the default TLS context: it trusts the system's certificate authorities."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(ALPN)
    return context


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def explain_dial(error: Exception, stage: str, *, has_proxy: bool = False) -> RemoteError:
    """Explain why no connection could be opened, without an address. The error itself is only for the log."""
    what = "the proxy" if has_proxy and stage != _TLS else "the remote"
    if isinstance(error, OSError) and error.errno in _EXHAUSTED and stage != _NAME:
        return RemoteOverloaded("exhausted", "this machine has no resources for another connection")
    if stage == _NAME or isinstance(error, NoAddressError):
        if isinstance(error, TimeoutError):
            return RemoteUnreachable("dns", f"{what}'s name could not be resolved in time")
        return RemoteUnreachable("dns", f"{what}'s name could not be resolved")
    if isinstance(error, TimeoutError):
        return RemoteTimeout("connect_timeout", f"connecting to {what} took too long")
    if isinstance(error, TunnelError):
        return RemoteUnreachable("proxy", "the proxy opened no tunnel to the remote")
    if stage == _PROXY or (has_proxy and stage == _TCP):
        return RemoteUnreachable("proxy", "the proxy could not be reached")
    if stage == _TLS:
        if isinstance(error, ssl.SSLCertVerificationError):
            return RemoteUnreachable("tls_verify", "the remote's TLS certificate could not be verified")
        if isinstance(error, OSError):
            return RemoteUnreachable("tls", "the TLS handshake with the remote failed")
    if isinstance(error, ConnectionRefusedError):
        return RemoteUnreachable("refused", "the remote refused the connection")
    return RemoteUnreachable("unreachable", "the remote could not be reached")
