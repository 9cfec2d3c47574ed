"""Opens one connection to the remote: name, TCP, proxy, TLS. Knows no exchange and no pool.

aiohttp's connector does the hard and rare part of TCP: several addresses, some of them dead (RFC 8305). For a single address the
loop connects, in 60 µs of CPU instead of 160. TLS begins here, because we have to know the unsent bytes of each layer of a
connection.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import ssl
from typing import Final, NamedTuple

import aiohttp
from aiohttp.connector import Connection as DialledConnection
from yarl import URL

from txtoken.errors import RemoteError, RemoteOverloaded, RemoteTimeout, RemoteUnreachable
from txtoken.service.upstream.names import Names
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


class Opened(NamedTuple):
    """An open connection. `below` are the transports under `transport`: TCP's under TLS's, and so on.

    `descriptor` is its socket's. `dialled` is aiohttp's connection, None if the loop connected.
    """

    transport: asyncio.Transport
    below: tuple[asyncio.Transport, ...]
    descriptor: int
    dialled: DialledConnection | None

    def close(self) -> None:
        """Report the end of the connection to aiohttp's connector, which waits for it."""
        if self.dialled is not None:
            _let_go(self.dialled)


class _Line:
    """A TCP connection that no `Opened` has yet."""

    __slots__ = ("_setup_protocol", "dialled", "transport")

    def __init__(
        self, transport: asyncio.Transport, setup_protocol: SetupProtocol | None, dialled: DialledConnection | None
    ) -> None:
        self.transport = transport
        self._setup_protocol = setup_protocol  # None: it has aiohttp's own protocol
        self.dialled = dialled

    @property
    def is_disturbed(self) -> bool:
        """Whether it ended, or unexpected data arrived."""
        if self.dialled is not None:
            return is_disturbed(self.dialled)
        return self._setup_protocol is None or self._setup_protocol.is_disturbed

    def abort(self) -> None:
        """Close it at once."""
        self.transport.abort()
        if self.dialled is not None:
            _let_go(self.dialled)


class Dialler:
    """Opens connections to one remote. Make it inside a running loop, `close` it at the end."""

    def __init__(self, settings: RemoteSettings, user_agent: str) -> None:
        remote = URL(settings.url, encoded=True)
        proxy = None if settings.proxy is None else URL(settings.proxy.url, encoded=True)
        self._connect_s = settings.connect_s
        self._has_proxy = proxy is not None
        self._proxy_tls: tuple[ssl.SSLContext, str] | None = None
        self._tls: tuple[ssl.SSLContext, str] | None = None
        self._connect_request = b""
        self._names = Names(settings.connect_s)
        self._name: str | None = None  # the name to look up
        self._address: str | None = None  # if there is no name to look up
        self._port = 0
        self._connector: aiohttp.BaseConnector
        if is_http_unix(settings.url):
            self._connector = aiohttp.UnixConnector(socket_path(settings.url), limit=0)
            self._target = aiohttp.ClientRequest("POST", URL("http://localhost/"), loop=asyncio.get_running_loop())
            return
        # Our pool limits connections, so the connector has no limit. Name look-ups and their cache are ours as well.
        self._connector = aiohttp.TCPConnector(limit=0, resolver=self._names, use_dns_cache=False)
        first = proxy or remote
        assert first.raw_host is not None
        assert remote.raw_host is not None
        # For any scheme, aiohttp opens only the TCP connection.
        where = URL(f"http://{first.host_subcomponent}:{first.port}/", encoded=True)
        self._target = aiohttp.ClientRequest("POST", where, loop=asyncio.get_running_loop())
        self._port = first.port or 0
        if _is_address(first.raw_host):
            self._address = first.raw_host
        else:
            self._name = first.raw_host
        if proxy is not None and proxy.scheme == "https":
            assert proxy.raw_host is not None
            self._proxy_tls = system_context(), proxy.raw_host.rstrip(".")
        if remote.scheme == "https":
            context = settings.tls.context
            server_name = settings.tls.server_name or remote.raw_host.rstrip(".")
            self._tls = context if isinstance(context, ssl.SSLContext) else system_context(), server_name
            if settings.proxy is not None:
                self._connect_request = connect_request(remote, settings, user_agent)

    async def open(self) -> Opened | None:
        """Open a connection, within `timeouts.connect`. None: it ended, or sent data, before any request.

        Raises:
            RemoteError: no connection could be opened.
        """
        stage = _NAME
        line: _Line | None = None
        try:
            async with asyncio.timeout(self._connect_s):
                address = self._address if self._name is None else await self._only_address(self._name)
                stage = _TCP
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
        return addresses[0]["host"] if len(addresses) == 1 else None

    async def _connect(self, address: str | None) -> _Line | None:
        if self._connector.closed:
            raise ConnectionError("the service is shutting down")
        if address is not None:
            transport, setup_protocol = await asyncio.get_running_loop().create_connection(
                SetupProtocol, address, self._port
            )
            return _Line(transport, setup_protocol, None)
        dialled = await self._connector.connect(self._target, [], aiohttp.ClientTimeout())
        if dialled.transport is None:
            _let_go(dialled)
            return None
        return _Line(dialled.transport, None, dialled)

    async def close(self) -> None:
        """Close every connection that is being opened."""
        await self._connector.close()


def is_disturbed(dialled: DialledConnection) -> bool:
    """Whether a connection ended, or sent unexpected data, while aiohttp had it. aiohttp does not report that."""
    protocol = dialled.protocol
    return dialled.closed or protocol is None or protocol.should_close


def _let_go(dialled: DialledConnection) -> None:
    if dialled.protocol is not None:
        # Our protocol replaced aiohttp's own, and its connector waits until that one has lost its connection.
        dialled.protocol.connection_lost(None)
    dialled.close()


def connect_request(remote: URL, settings: RemoteSettings, user_agent: str) -> bytes:
    """Write the request that asks a proxy for a tunnel to the remote (RFC 9110 §9.3.6)."""
    host = remote.host_subcomponent
    lines = [f"CONNECT {host}:{remote.port} HTTP/1.1", f"Host: {host}:{remote.port}", f"User-Agent: {user_agent}"]
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
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno in _EXHAUSTED and stage != _NAME:
        return RemoteOverloaded("exhausted", "this machine has no resources for another connection")
    if stage == _NAME or isinstance(error, aiohttp.ClientConnectorDNSError):
        if isinstance(error, TimeoutError):
            return RemoteUnreachable("dns", f"{what}'s name could not be resolved in time")
        return RemoteUnreachable("dns", f"{what}'s name could not be resolved")
    if isinstance(cause, TimeoutError):
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
    if isinstance(cause, ConnectionRefusedError):
        return RemoteUnreachable("refused", "the remote refused the connection")
    return RemoteUnreachable("unreachable", "the remote could not be reached")
