"""Connects to a name with several addresses, some of them dead (RFC 8305), by aiohttp's connector. Knows no layer above TCP.

`dial` loads it when a name has several addresses: aiohttp takes 0.1 s and 12 MB, which most services can do without.
"""

from __future__ import annotations

import asyncio
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from yarl import URL

from txtoken.service.upstream.location import Location
from txtoken.service.upstream.names import Names, NoAddressError


class Dialled:
    """A connection that aiohttp opened. Its own protocol is replaced, but has to learn of the end."""

    __slots__ = ("_connection", "transport")

    def __init__(self, connection: Connection, transport: asyncio.Transport) -> None:
        self._connection = connection
        self.transport = transport

    @property
    def is_disturbed(self) -> bool:
        """Whether it ended, or sent unexpected data, while aiohttp had it. aiohttp does not report that."""
        return is_disturbed(self._connection)

    def close(self) -> None:
        """Report the end of the connection to aiohttp's connector, which waits for it."""
        _let_go(self._connection)


class Connector:
    """Connects to one name. Make it inside a running loop, `close` it at the end."""

    def __init__(self, location: Location, names: Names) -> None:
        # Our pool limits connections, so the connector has no limit. Name look-ups and their cache are ours as well.
        self._connector = aiohttp.TCPConnector(limit=0, resolver=_Resolver(names), use_dns_cache=False)
        # For any scheme, aiohttp opens only the TCP connection.
        where = URL(f"http://{location.url_host}:{location.port}/", encoded=True)
        self._target = aiohttp.ClientRequest("POST", where, loop=asyncio.get_running_loop())

    async def connect(self) -> Dialled | None:
        """Connect to the first address that answers. None: the connection has ended already.

        Raises:
            NoAddressError: the name has no address any more.
            OSError: no address could be connected to: the reason of the last one.
        """
        try:
            connection = await self._connector.connect(self._target, [], aiohttp.ClientTimeout())
        except aiohttp.ClientConnectorDNSError as error:
            raise NoAddressError(str(error.os_error)) from error
        except aiohttp.ClientConnectorError as error:
            raise error.os_error from error
        if connection.transport is None:
            _let_go(connection)
            return None
        return Dialled(connection, connection.transport)

    async def close(self) -> None:
        """Close every connection that is being opened."""
        await self._connector.close()


class _Resolver(AbstractResolver):
    """Our resolver as aiohttp's."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address.host,
                port=port,
                family=address.family,
                proto=address.proto,
                flags=int(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV),
            )
            for address in await self._names.resolve(host)
            if family in (socket.AF_UNSPEC, address.family)
        ]

    async def close(self) -> None:
        """Does nothing: the exit waits for no look-up."""


def is_disturbed(connection: Connection) -> bool:
    """Whether a connection ended, or sent unexpected data, while aiohttp had it."""
    protocol = connection.protocol
    return connection.closed or protocol is None or protocol.should_close


def _let_go(connection: Connection) -> None:
    if connection.protocol is not None:
        # Our protocol replaced aiohttp's own, and its connector waits until that one has lost its connection.
        connection.protocol.connection_lost(None)
    connection.close()
