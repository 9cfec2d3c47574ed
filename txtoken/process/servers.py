"""All servers of one worker: the main server, and one for each dedicated address of forward authentication, each with its access
log. Decides nothing about a request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from txtoken.clock import Clock
from txtoken.http1.messages import Observer
from txtoken.http1.proxies import Proxies
from txtoken.http1.server import Server
from txtoken.observe.access_log import AccessLog
from txtoken.observe.logs import LineWriter
from txtoken.observe.metrics import AuthMeter, Meter
from txtoken.observe.notices import Notices
from txtoken.observe.observers import as_one
from txtoken.process.auth_listeners import AuthListener, auth_limits
from txtoken.service.app import App

MAIN: Final = None  # stands for the main server, in place of a dedicated address


class Servers:
    """The servers of one worker. `main` is the main server. Without a `meter` nothing is counted."""

    def __init__(
        self,
        app: App,
        auth_listeners: Sequence[AuthListener],
        clock: Clock,
        writer: LineWriter,
        meter: Meter | None,
        notices: Notices,
    ) -> None:
        self._auth_listeners = auth_listeners
        self._writer = writer
        self._meter = meter
        self._notices = notices
        self._logs = self.new_logs(app)
        config = app.config
        self.main = Server(app.router, config.limits, config.timeouts, clock, self._observer(MAIN))
        self._auth_servers = [
            Server(
                app.auth_router(listener.address),
                auth_limits(config.limits),
                config.timeouts,
                clock,
                self._observer(listener.address),
            )
            for listener in auth_listeners
        ]
        self._watch_buffers()
        self.secure(config.tls.context)

    @property
    def _servers(self) -> list[Server]:
        return [self.main, *self._auth_servers]

    @property
    def connection_count(self) -> int:
        """Open connections, including those that wait and those that were only accepted so far."""
        return sum(server.connection_count for server in self._servers)

    @property
    def connections_max(self) -> int:
        """The maximum number of connections."""
        return sum(server.limits.connections for server in self._servers)

    def new_logs(self, app: App) -> dict[str | None, AccessLog]:
        """Make the access logs of another configuration, for `use`. None: access logs are off."""
        log, trusted = app.config.log, app.config.trusted_proxies
        if not log.access:
            return {}
        client_behind = Proxies(trusted).client if trusted else None

        def new_log(address: str | None) -> AccessLog:
            routes = app.paths if address is MAIN else ()
            return AccessLog(
                self._writer,
                as_json=log.format == "json",
                routes=routes,
                asked=app.asked_at(address),
                client_behind=client_behind,
            )

        return {
            address: new_log(address) for address in (MAIN, *(listener.address for listener in self._auth_listeners))
        }

    def _observer(self, address: str | None) -> Observer | None:
        meter = self._meter
        log = self._logs.get(address)
        return as_one(log, meter if meter is None or address is MAIN else AuthMeter(meter))

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept clients on `sockets`, and on the dedicated addresses."""
        await self.main.listen(sockets)
        for listener, server in zip(self._auth_listeners, self._auth_servers, strict=True):
            await server.listen(listener.sockets)

    def secure(self, tls: ssl.SSLContext | None) -> None:
        """Use TLS, or plain text, for clients that connect from now on."""
        for server in self._servers:
            server.secure(tls, self._notices.handshake_failed)

    def use(self, app: App, logs: dict[str | None, AccessLog]) -> None:
        """Use another configuration from the next request on. `logs` are from `new_logs`."""
        self.flush()
        self._logs = logs
        config = app.config
        self.main.use(app.router, config.limits, config.timeouts, self._observer(MAIN))
        for listener, server in zip(self._auth_listeners, self._auth_servers, strict=True):
            server.use(
                app.auth_router(listener.address),
                auth_limits(config.limits),
                config.timeouts,
                self._observer(listener.address),
            )
        self._watch_buffers()

    def _watch_buffers(self) -> None:
        for server in self._servers:
            held_max = server.limits.buffered_bytes
            server.buffers.on_shed = lambda clients, held, held_max=held_max: self._notices.buffers_are_full(
                held_max, clients, held
            )

    def sweep(self, now: float) -> bool:
        """Act on expired deadlines. `now` is loop time. Returns whether much memory has become free."""
        for server in self._servers:
            server.sweep(now)
        eased = [server.buffers.has_eased() for server in self._servers]  # each call resets it, so call all
        return any(eased)

    def flush(self) -> None:
        """Write the collected access lines."""
        for log in self._logs.values():
            log.flush()

    def take_deferred(self) -> int:
        """Return how many connections had to wait for a place since the last call."""
        count = 0
        for server in self._servers:
            count += server.places.deferred
            server.places.deferred = 0
        return count

    def take_handshakes_failed(self) -> int:
        """Return how many TLS handshakes failed since the last call."""
        count = 0
        for server in self._servers:
            count += server.places.handshakes_failed
            server.places.handshakes_failed = 0
        return count

    async def drain(self) -> None:
        """Close the sockets, let running requests finish within their time, and abort the rest."""
        at_listeners = [asyncio.ensure_future(server.drain()) for server in self._auth_servers]
        # It begins now: the next answers already say that they are the last ones.
        await self.main.drain()
        await asyncio.gather(*at_listeners)

    def abort(self) -> None:
        """Abort everything at once."""
        for server in self._servers:
            server.abort()
        self.flush()
