"""The composition root of one process: builds one of each thing, serves, drains, leaves. Decides nothing about a request."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from txtoken.clock import Clock
from txtoken.errors import RemoteError
from txtoken.http1 import parser
from txtoken.http1.messages import Handler, Observer, Router
from txtoken.http1.proxies import Proxies
from txtoken.http1.server import Server
from txtoken.observe.access_log import AccessLog
from txtoken.observe.logs import LineWriter, Repeats
from txtoken.observe.observers import as_one
from txtoken.process import heap
from txtoken.process.admin import Admin, AdminPort
from txtoken.service.cors import CrossOriginRoutes, Preflight
from txtoken.service.failures import Failures
from txtoken.service.handlers import CheckToken, GetToken
from txtoken.service.keys import HmacKey
from txtoken.service.remote import Remote
from txtoken.service.routes import Routes, health_routes
from txtoken.service.success import Success
from txtoken.service.tokens import TokenIssuer, TokenVerifier
from txtoken.settings import Config, RemoteSettings, Timeouts
from txtoken.version import VERSION

BUILD: Final = "interpreted" if parser.__file__.endswith(".py") else "compiled"  # see setup.py
# Objects that come to life before the collector looks for cycles. Requests make none, but those of a few hundred that are
# on their way count as well: with Python's 700 it would look every few milliseconds, for 1 % of the CPU time.
GARBAGE_OBJECTS: Final = 50_000
CACHED_TOKENS: Final = 4096  # verified tokens of each of two generations, and of 8 MiB: see there
LARGE_TOKENS_S: Final = 60.0  # between two warnings of them
BEAT_S_MAX: Final = 0.25  # between two looks at the deadlines
BEAT_S_MIN: Final = 0.01  # each looks at every connection
CLOSE_S: Final = 1.0  # for connections to the remote to close in order; a look-up that hangs must not hold the end up
BEATS_PER_TIMEOUT: Final = 10  # a deadline is met to a tenth of the shortest timeout


class Worker:
    """One process's service. Make it inside a running loop, `start` it once, `stop` it once."""

    def __init__(
        self,
        config: Config,
        log: logging.Logger,
        writer: LineWriter,
        *,
        life_level: int = logging.INFO,
        admin_port: AdminPort | None = None,
        number: int = 0,
        on_beat: Callable[[], object] | None = None,
    ) -> None:
        self._config = config
        self._log = log
        self._life_level = life_level  # of the lines about its end
        self._on_beat = on_beat  # a sign of life, for a supervisor
        self._loop = asyncio.get_running_loop()
        self._clock = Clock()
        self._repeats = Repeats()
        self._large_tokens = Repeats(LARGE_TOKENS_S)
        self._beat_s = _beat_s(config.timeouts)
        self._beat_timer: asyncio.TimerHandle | None = None
        self._beat_due = self._loop.time()
        self._ready = False
        self._writer = writer
        self._dropped = 0  # lines of the log that were reported as lost
        self._remote = new_remote(RemoteSettings.of(config), self._clock, self._in_turn)
        self._closing: set[asyncio.Task[None]] = set()
        self._retired: list[Remote] = []  # of earlier configurations, with exchanges that still run
        self._verifier = self._new_verifier()
        self.admin: Admin | None = None
        if admin_port is not None:
            self.admin = Admin(admin_port, number, _paths(config), self._clock, self._publish, self._note_crash)
        self._paths: frozenset[bytes] = frozenset()  # of all routes
        routes = self._routes()
        self._access_log = self._new_access_log()
        self._server = Server(routes, config.limits, config.timeouts, self._clock, self._observer())
        self._server.buffers.on_shed = self._note_shed
        self._server.secure(config.tls.context, self._note_tls_failure)

    def _in_turn(self, work: Callable[[], object]) -> None:
        self._server.turns.call(work)

    def _observer(self) -> Observer | None:
        return as_one(self._access_log, None if self.admin is None else self.admin.meter)

    def _new_access_log(self) -> AccessLog | None:
        log, trusted = self._config.log, self._config.trusted_proxies
        if not log.access:
            return None
        client_behind = Proxies(trusted).client if trusted else None
        return AccessLog(self._writer, as_json=log.format == "json", routes=self._paths, client_behind=client_behind)

    def _new_verifier(self) -> TokenVerifier:
        config = self._config
        return TokenVerifier(
            HmacKey(config.enc_key.reveal()),
            config.verify,
            check_response=config.check_response,
            cache_entries=CACHED_TOKENS,
            token_bytes_max=config.limits.token_bytes,
        )

    def _routes(self) -> Router:
        config = self._config
        get_token = GetToken(
            self._remote,
            TokenIssuer(HmacKey(config.enc_key.reveal()), config.token_ttl_s),
            Failures(config.status_map, passes_bodies=config.pass_remote_errors),
            self._clock,
            forward_headers=config.forward_headers,
            forwarded_lines=Proxies(config.trusted_proxies).forwarded_lines if config.forwarded_for else None,
            validate_body=config.validate_body,
            token_bytes_max=config.limits.token_bytes,
            success=Success(config.success.members) if config.success.members else None,
            on_failure=self._note_remote_failure,
            on_large_token=self._note_large_token,
            on_crash=self._note_crash,
        )
        check_token = CheckToken(self._verifier, self._clock)
        health = health_routes(lambda: True, lambda: self._ready) if config.admin_port is None else {}
        routes: dict[str, dict[str, Handler]] = {
            config.get_token_route: {"POST": get_token},
            config.check_token_route: {"GET": check_token, "POST": check_token},
        }
        table = {**health, **routes}
        self._paths = frozenset(path.encode("ascii") for path in table)
        if not config.cors.origins:
            return Routes(table, self._note_crash)
        for handlers in table.values():
            handlers["OPTIONS"] = Preflight(tuple(handlers), config.cors)
        return CrossOriginRoutes(Routes(table, self._note_crash), config.cors)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Begin to serve on sockets that are bound. `stop` closes them."""
        self._beat()
        await self._server.listen(sockets)
        self._ready = True
        if self.admin is not None:
            self._publish()
            await self.admin.start()
        gc.collect()
        gc.freeze()  # what lives as long as the process is not looked at by the collector again
        gc.set_threshold(GARBAGE_OBJECTS)

    def take_over(self, config: Config) -> None:
        """Serve by another configuration from the next request on. Those that run finish by the old one, and connections
        keep the limits that they began with.
        """
        if config == self._config:
            return
        self._publish()
        before = self._config, self._remote, self._access_log, self._verifier
        try:
            self._config = config
            settings = RemoteSettings.of(config)
            if settings != RemoteSettings.of(before[0]):
                self._remote = new_remote(settings, self._clock, self._in_turn)
            if _of_verifier(before[0]) != _of_verifier(config):
                self._verifier = self._new_verifier()  # else it goes on, with all the tokens that it knows
            routes = self._routes()
            self._access_log = self._new_access_log()
        except Exception:
            if self._remote is not before[1]:
                self._close(self._remote)
            self._config, self._remote, self._access_log, self._verifier = before
            raise
        if self.admin is not None:
            self.admin.meter.use(_paths(config))
        if self._remote is not before[1]:
            self._retired.append(before[1])
        if before[2] is not None:
            before[2].flush()
        self._log.setLevel(config.log.level.upper())
        self._beat_s = _beat_s(config.timeouts)
        self._server.use(routes, config.limits, config.timeouts, self._observer())
        if before[0].tls != config.tls:
            self._server.secure(config.tls.context, self._note_tls_failure)
        self._log.debug("serving by another configuration")

    async def stop(self) -> None:
        """Drain (contract §4.3): not ready, `drainDelay`, then nobody new, and up to `timeouts.drain` for who is here."""
        self._ready = False
        self._publish()
        fields = {"connections": self._server.connection_count}
        self._log.log(self._life_level, "draining", extra={"fields": fields})
        if self._config.timeouts.drain_delay:
            await asyncio.sleep(self._config.timeouts.drain_delay)
        await self._server.drain()
        if self.admin is not None:
            await self.admin.server.drain()  # only now: until here it told that this worker drains
        await self.abandon()
        self._log.log(self._life_level, "stopped")

    async def abandon(self) -> None:
        """Let go of everything at once."""
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        self._server.abort()
        if self.admin is not None:
            self.admin.server.abort()
        if self._access_log is not None:
            self._access_log.flush()
        for remote in (self._remote, *self._retired):
            self._close(remote)
        if self._closing:
            await asyncio.wait(tuple(self._closing), timeout=CLOSE_S)

    def _beat(self) -> None:
        """Do all that is due by time: one timer for the process in place of one a request."""
        if self._on_beat is not None:
            self._on_beat()
        second_left = self._clock.tick()
        now = self._loop.time()
        try:
            if self.admin is not None:
                self.admin.meter.note_beat(max(0.0, now - self._beat_due))
            self._sweep(now)
        except Exception as error:  # noqa: BLE001 - the next beat must come, or time stands still for all deadlines
            self._note_crash(error)
        # Waking up just behind the turn of a second keeps `exp` and Date right to a few milliseconds.
        wait_s = min(self._beat_s, second_left + 0.001)
        self._beat_due = self._loop.time() + wait_s
        self._beat_timer = self._loop.call_later(wait_s, self._beat)

    def _sweep(self, now: float) -> None:
        if self.admin is not None:
            self._publish()  # before anything is let go of that was counting
            self.admin.server.sweep(now)
        self._server.sweep(now)
        if self._server.buffers.has_eased():
            heap.give_back()
        self._remote.sweep(monotonic())
        if self._retired:
            self._sweep_retired()
        if self._access_log is not None:
            self._access_log.flush()
        if self._writer.dropped != self._dropped and not self._writer.is_stuck:
            lines = self._writer.dropped - self._dropped
            self._dropped += lines
            self._log.warning("nobody took these lines of the log in time", extra={"fields": {"lines": lines}})

    def _publish(self) -> None:
        """Show every process of the service what is so in this one."""
        if self.admin is not None:
            self.admin.publish(
                self._server,
                (self._remote, *self._retired),
                self._verifier,
                self._writer.dropped,
                ready=self._ready,
            )

    def _sweep_retired(self) -> None:
        for remote in tuple(self._retired):
            remote.sweep(monotonic())
            if not remote.active_count:
                self._retired.remove(remote)
                self._close(remote)

    def _close(self, remote: Remote) -> None:
        closing = self._loop.create_task(remote.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _note_remote_failure(self, error: RemoteError) -> None:
        kept_back = self._repeats.due(error.code)
        if kept_back is not None:
            fields: dict[str, object] = {"error": error.code, "text": error.public}
            if error.__cause__ is not None:
                fields["cause"] = str(error.__cause__)  # names addresses: for the log alone
            if kept_back:
                fields["repeated"] = kept_back
            self._log.warning("the remote failed", extra={"fields": fields})

    def _note_large_token(self, size: int) -> None:
        kept_back = self._large_tokens.due("token")
        if kept_back is not None:
            fields: dict[str, object] = {"bytes": size}
            if kept_back:
                fields["repeated"] = kept_back
            text = "a token is longer than many servers take in a header (8 KiB): a shorter reply of the remote makes it shorter"
            self._log.warning(text, extra={"fields": fields})

    def _note_tls_failure(self, cause: str) -> None:
        if self._repeats.due("handshake") is not None:  # on every open port somebody knocks who is no client
            self._log.debug("a client's TLS handshake failed", extra={"fields": {"cause": cause}})

    def _note_shed(self, clients: int, held_bytes: int) -> None:
        if self._repeats.due("buffered_bytes") is not None:
            fields = {"limit": self._config.limits.buffered_bytes, "clients": clients, "bytes": held_bytes}
            self._log.warning(
                "limits.bufferedBytes is reached: those who hold most are closed", extra={"fields": fields}
            )

    def _note_crash(self, error: Exception) -> None:
        if self._repeats.due(type(error).__name__) is not None:
            self._log.error("a request made the service fail", exc_info=error)


def _paths(config: Config) -> dict[bytes, str]:
    """Say which paths are counted as which route."""
    return {
        config.get_token_route.encode("ascii"): "get_token",
        config.check_token_route.encode("ascii"): "check_token",
    }


def new_remote(settings: RemoteSettings, clock: Clock, in_turn: Callable[[Callable[[], object]], object]) -> Remote:
    """Make the remote. All that it depends on is in `settings`, so that a change of any of it makes another one."""
    bearer = TokenIssuer(HmacKey(settings.request_key.reveal()), settings.request_token_s)
    return Remote(
        settings, lambda second: bearer.issue(settings.request_token_data, second), clock, f"txtoken/{VERSION}", in_turn
    )


def _of_verifier(config: Config) -> tuple[object, ...]:
    """What a verdict on a token depends on."""
    return config.enc_key, config.verify, config.check_response, config.limits.token_bytes


def _beat_s(timeouts: Timeouts) -> float:
    shortest = min(timeouts.head, timeouts.body, timeouts.idle, timeouts.remote, timeouts.remote_idle)
    return max(BEAT_S_MIN, min(BEAT_S_MAX, shortest / BEATS_PER_TIMEOUT))
