"""The composition root of one process: builds one of each thing, serves, drains, leaves. Decides nothing about a request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import select
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from txtoken.clock import Clock
from txtoken.errors import RemoteError, StartError
from txtoken.http1 import parser
from txtoken.http1.messages import Handler, Router
from txtoken.http1.proxies import Proxies
from txtoken.http1.server import Server
from txtoken.observe.access_log import AccessLog
from txtoken.observe.logs import LineWriter, Repeats, open_log
from txtoken.process.admin import Admin, AdminPort, make_admin_port
from txtoken.process.descriptors import with_room
from txtoken.process.reload import Reload
from txtoken.process.sockets import Passed, address, bind
from txtoken.service.cors import CrossOriginRoutes, Preflight
from txtoken.service.failures import Failures
from txtoken.service.handlers import CheckToken, GetToken
from txtoken.service.keys import HmacKey
from txtoken.service.remote import Remote
from txtoken.service.routes import Routes, health_routes
from txtoken.service.tokens import TokenIssuer, TokenVerifier
from txtoken.settings import Config, Timeouts
from txtoken.values import LOOPBACK, UNIX_PREFIX
from txtoken.version import VERSION

try:
    import uvloop
except ImportError:  # no wheel for this machine: 32-bit ARM, say
    LOOP_NAME = "asyncio"
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    LOOP_NAME = "uvloop"
    new_event_loop = uvloop.new_event_loop

BUILD: Final = "interpreted" if parser.__file__.endswith(".py") else "compiled"  # see setup.py
STDOUT_FD: Final = 1
AT_ONCE: Final = signal.SIGUSR1  # what a supervisor sends to a worker that is to end without draining
HELD_BACK: Final = (
    signal.SIGTERM,
    signal.SIGHUP,
    AT_ONCE,
)  # blocked in a new worker of several until it can handle them
# Objects that come to life before the collector looks for cycles. Requests make none, but those of a few hundred that are
# on their way count as well: with Python's 700 it would look every few milliseconds, for 1 % of the CPU time.
GARBAGE_OBJECTS: Final = 50_000
CACHED_TOKENS: Final = 4096  # verified tokens of each of two generations: 10 MB at most with tokens of 300 bytes
BEAT_S_MAX: Final = 0.25  # between two looks at the deadlines
BEAT_S_MIN: Final = 0.01  # each looks at every connection
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
    ) -> None:
        self._config = config
        self._log = log
        self._life_level = life_level  # of the lines that tell of its end
        self._loop = asyncio.get_running_loop()
        self._clock = Clock()
        self._repeats = Repeats()
        self._beat_s = _beat_s(config.timeouts)
        self._beat_timer: asyncio.TimerHandle | None = None
        self._beat_due = self._loop.time()
        self._ready = False
        self._writer = writer
        self._dropped = 0  # lines of the log that were told to be lost
        self._remote = self._new_remote()
        self._closing: set[asyncio.Task[None]] = set()
        self._retired: list[Remote] = []  # of earlier configurations, with exchanges that still run
        self._access_log = self._new_access_log()
        self._verifier = self._new_verifier()
        self.admin: Admin | None = None
        if admin_port is not None:
            self.admin = Admin(admin_port, number, _paths(config), self._clock, self._publish, self._note_crash)
        meter = None if self.admin is None else self.admin.meter
        self._server = Server(self._routes(), config.limits, config.timeouts, self._clock, self._access_log, meter)
        self._server.buffers.on_shed = self._note_shed
        self._server.secure(config.tls.context, self._note_tls_failure)

    def _new_remote(self) -> Remote:
        config = self._config
        bearer = TokenIssuer(HmacKey(config.request_key.reveal()), config.request_token_s)
        return Remote(
            config.remote,
            lambda second: bearer.issue(config.request_token_data, second),
            config.limits,
            config.timeouts,
            self._clock,
            f"txtoken/{VERSION}",
            tls=config.remote_tls.context,
            server_name=config.remote_tls.server_name,
        )

    def _new_access_log(self) -> AccessLog | None:
        log, trusted = self._config.log, self._config.trusted_proxies
        if not log.access:
            return None
        client_behind = Proxies(trusted).client if trusted else None
        return AccessLog(self._writer, as_json=log.format == "json", client_behind=client_behind)

    def _new_verifier(self) -> TokenVerifier:
        config = self._config
        return TokenVerifier(
            HmacKey(config.enc_key.reveal()),
            config.verify,
            check_response=config.check_response,
            cache_entries=CACHED_TOKENS,
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
            on_failure=self._note_remote_failure,
            on_crash=self._note_crash,
        )
        check_token = CheckToken(self._verifier, self._clock)
        health = health_routes(lambda: True, lambda: self._ready) if config.admin_port is None else {}
        routes: dict[str, dict[str, Handler]] = {
            config.get_token_route: {"POST": get_token},
            config.check_token_route: {"GET": check_token, "POST": check_token},
        }
        table = {**health, **routes}
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
            if _of_remote(before[0]) != _of_remote(config):
                self._remote = self._new_remote()
            self._access_log = self._new_access_log()
            self._verifier = self._new_verifier()
            routes = self._routes()
        except Exception:
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
        self._server.use(routes, config.limits, config.timeouts, self._access_log)
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
        for remote in (self._remote, *self._retired):
            await remote.close()
        if self._access_log is not None:
            self._access_log.flush()

    def _beat(self) -> None:
        """Do all that is due by time: one timer for the process in place of one a request."""
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
        self._remote.sweep(monotonic())
        if self._retired:
            self._sweep_retired()
        if self._access_log is not None:
            self._access_log.flush()
        if self._writer.dropped != self._dropped:
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


@dataclass(frozen=True, slots=True)
class Family:
    """What a worker that is one of several has to know of the others."""

    number: int  # its place
    on_ready: Callable[[], object]  # to be called when it serves
    lifeline_fd: int  # at its end: the supervisor is gone, so this worker drains and ends


def tell_start(
    log: logging.Logger, config: Config, sockets: Sequence[socket.socket], admin_port: AdminPort | None = None
) -> None:
    """Say that the service listens, where, and what it does not like about its configuration."""
    for warning in config.warnings:
        log.warning(warning)
    if LOOP_NAME != "uvloop":
        log.warning("uvloop is not installed: serving on asyncio's own loop, which is slower")
    if any(isinstance(sock, Passed) for sock in sockets):
        log.info("sockets that were passed to this process (LISTEN_FDS) take the place of listen and port")
    fields = {
        "addresses": [address(sock) for sock in sockets],
        "version": VERSION,
        "workers": config.workers,
        "loop": LOOP_NAME,
        "build": BUILD,
        "get_token": config.get_token_route,
        "check_token": config.check_token_route,
        "token_hours": round(config.token_ttl_s / 3600, 4),
    }
    if admin_port is not None:
        fields["admin_addresses"] = [address(sock) for sock in admin_port.sockets]
    log.info("listening", extra={"fields": fields})


def serve(config: Config, load: Callable[[], Config], sockets: Sequence[socket.socket]) -> int:
    """Run the service in this process until a signal ends it. `load` reads its configuration again. Returns the exit code.

    Raises:
        StartError: `adminPort` cannot be had.
    """
    try:
        admin_port = open_admin(config)
    except StartError:
        for sock in sockets:
            sock.close()
        raise
    return serve_as(None, config, load, sockets, admin_port)


def open_admin(config: Config) -> AdminPort | None:
    """Bind `adminPort`, if there is to be one, and make ready what is shown there. It has the addresses of `listen`; where
    these are Unix sockets alone it is for this machine alone.

    Raises:
        StartError: an address cannot be bound.
    """
    if config.admin_port is None:
        return None
    hosts = [place for place in config.listen if not place.startswith(UNIX_PREFIX)] or [LOOPBACK]
    sockets = bind(hosts, config.admin_port, key="adminPort")
    return make_admin_port(sockets, config.workers, loop=LOOP_NAME, build=BUILD)


def serve_as(
    family: Family | None,
    config: Config,
    load: Callable[[], Config],
    sockets: Sequence[socket.socket],
    admin_port: AdminPort | None,
) -> int:
    """Be one worker of several, or without `family` the only one, until a signal ends it. Returns the process's exit code."""
    # Several processes that write to one pipe mix their lines up, but for pieces that the kernel takes whole.
    writer = LineWriter(STDOUT_FD, piece_bytes_max=select.PIPE_BUF if family else None)
    log = open_log(writer, level=config.log.level, as_json=config.log.format == "json")
    try:
        reload = Reload(load, config, log, tells=family is None)
        return run(_serve(with_room(config, log), reload, sockets, log, writer, family, admin_port))
    finally:
        for sock in (*sockets, *(admin_port.sockets if admin_port is not None else ())):
            sock.close()
        writer.close()


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine to its end on the fastest loop there is."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


async def _serve(
    config: Config,
    reload: Reload,
    sockets: Sequence[socket.socket],
    log: logging.Logger,
    writer: LineWriter,
    family: Family | None,
    admin_port: AdminPort | None,
) -> int:
    signals = Signals(family)
    level, number = (logging.INFO, 0) if family is None else (logging.DEBUG, family.number)
    worker = Worker(config, log, writer, life_level=level, admin_port=admin_port, number=number)
    await worker.start(sockets)
    if family is None:
        tell_start(log, config, sockets, admin_port)
    else:
        family.on_ready()
    # Of several workers none looks at files by itself: the supervisor does, and sends a SIGHUP.
    watching = asyncio.ensure_future(_watch(worker, reload, signals, log, looks=family is None))
    await signals.first.wait()
    watching.cancel()
    stopping = asyncio.ensure_future(worker.stop())
    forced = asyncio.ensure_future(signals.second.wait())
    await asyncio.wait((stopping, forced), return_when=asyncio.FIRST_COMPLETED)
    forced.cancel()
    if stopping.done():
        stopping.result()
        return 0
    stopping.cancel()
    log.warning("ended at once by a second signal")
    await worker.abandon()
    return 1


async def _watch(worker: Worker, reload: Reload, signals: Signals, log: logging.Logger, *, looks: bool) -> None:
    """Take a changed configuration over, for ever. Without `looks` only when a signal says so, or the last time failed."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                signals.reload.wait(), reload.config.reload_s if looks or reload.has_failed else None
            )
        asked = signals.reload.is_set()
        signals.reload.clear()
        if not asked and not reload.has_changed():
            continue
        before = reload.config
        config = reload.read_again()
        is_taken_over = False
        if config is not None:
            try:
                worker.take_over(with_room(config, log))
                is_taken_over = True
            except Exception as error:  # whatever cannot be built of it, the old configuration is in use
                reload.config = before
                log.error("the new configuration cannot be taken over, the old one stays in use", exc_info=error)
        if worker.admin is not None:
            if not is_taken_over:
                worker.admin.note_failed_reload()
            elif looks:
                worker.admin.note_reload(has_new_key=reload.config.enc_key != before.enc_key)


class Signals:
    """What the process is told by signals: `first` asks it to end in order, `second` to end at once, `reload` to read its
    configuration again.
    """

    def __init__(self, family: Family | None = None) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.reload = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        if family is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._end)
        else:
            # Ctrl-C reaches every process of a terminal: to end is the supervisor's to say, or its end says it.
            # Nor does SIGTERM mean more when it comes twice: systemd sends it to all, and the supervisor passes its own on.
            loop.add_signal_handler(signal.SIGTERM, self.first.set)
            loop.add_signal_handler(AT_ONCE, self._end_at_once)
            loop.add_reader(family.lifeline_fd, self._lose_supervisor, loop, family.lifeline_fd)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)

    def _lose_supervisor(self, loop: asyncio.AbstractEventLoop, lifeline_fd: int) -> None:
        loop.remove_reader(lifeline_fd)
        self.first.set()

    def _end_at_once(self) -> None:
        self.first.set()
        self.second.set()

    def _end(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _paths(config: Config) -> dict[bytes, str]:
    """Say which paths are counted as which route."""
    return {
        config.get_token_route.encode("ascii"): "get_token",
        config.check_token_route.encode("ascii"): "check_token",
    }


def _of_remote(config: Config) -> tuple[object, ...]:
    """What the exchange with the remote depends on."""
    limits, timeouts = config.limits, config.timeouts
    return (
        *(config.remote, config.remote_tls, config.request_key, config.request_token_data, config.request_token_s),
        *(limits.reply_bytes, limits.remote_connections, limits.waiting),
        *(timeouts.connect, timeouts.remote, timeouts.remote_idle),
    )


def _beat_s(timeouts: Timeouts) -> float:
    shortest = min(timeouts.head, timeouts.body, timeouts.idle, timeouts.remote, timeouts.remote_idle)
    return max(BEAT_S_MIN, min(BEAT_S_MAX, shortest / BEATS_PER_TIMEOUT))
