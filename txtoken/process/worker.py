"""One process's service: an `App`, its servers, and the heartbeat for both. Decides nothing about a request."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Final

from txtoken.clock import Clock
from txtoken.config.revocation_file import Signature, carried_by
from txtoken.http1 import parser
from txtoken.http1.proxies import Proxies
from txtoken.observe.logs import LineWriter
from txtoken.observe.notices import Notices
from txtoken.process import heap
from txtoken.process.admin import Admin
from txtoken.process.heartbeat import Heartbeat
from txtoken.process.inheritance import NOTHING, Inheritance
from txtoken.process.revoked import Loaded, RevocationFile
from txtoken.process.servers import Servers
from txtoken.process.threads import Threads
from txtoken.service.app import App, ProcessContext
from txtoken.service.revocations import Revocations
from txtoken.service.throttle.table import Table
from txtoken.settings import Config

BUILD: Final = "interpreted" if parser.__file__.endswith(".py") else "compiled"  # see setup.py
# New objects before the garbage collector looks for cycles. Requests make no cycles, but the objects of a few hundred active ones
# count as well: with Python's 700 it would run every few milliseconds, for 1 % of the CPU time.
GARBAGE_OBJECTS: Final = 50_000
BEAT_S_MAX: Final = 0.25  # between two checks of the deadlines
BEAT_S_MIN: Final = 0.01  # each check visits every connection
BEATS_PER_TIMEOUT: Final = 10  # deadlines are accurate to a tenth of the shortest timeout


class Worker:
    """One process's service. Make it inside a running loop, `start` it once, `stop` it once."""

    def __init__(
        self,
        config: Config,
        log: logging.Logger,
        writer: LineWriter,
        *,
        life_level: int = logging.INFO,
        number: int = 0,
        on_beat: Callable[[], object] | None = None,
        inheritance: Inheritance = NOTHING,
    ) -> None:
        self._log = log
        self._number = number
        self._life_level = life_level  # level of the log lines about its shutdown
        self._on_beat = on_beat  # reports a beat to the supervisor
        clock = Clock()
        self._ready = False
        self._preparing: set[asyncio.Task[None]] = set()
        self._writer = writer
        self._dropped = 0  # log lines that were reported as lost
        self._notices = notices = Notices(log)
        self._surroundings = ProcessContext(
            clock=clock,
            in_turn=lambda work: self._servers.main.turns.call(work),
            in_thread=Threads().run,
            is_ready=lambda: self._ready and self._app.can_sign(),
            forwarded_lines=lambda trusted: Proxies(trusted).forwarded_lines,
            asked_origin=lambda trusted: Proxies(trusted).asked_origin,
            client_behind=lambda trusted: Proxies(trusted, notices.proxy_is_untrusted).client_behind,
            throttle_table=inheritance.throttle_table or Table(),
            on_remote_failure=notices.remote_failed,
            on_large_token=self._note_large_token,
            on_dropped_claims=notices.claims_are_dropped,
            on_crash=notices.crashed,
            pages=inheritance.pages,
        )
        self._app = app = App.build(config, self._surroundings)
        self._revocation_file: RevocationFile | None = None
        if config.revocations is not None:
            revocations = inheritance.revocations
            # A reload has configured another file since.
            if revocations is None or revocations.path != config.revocations:
                revocations = Loaded(config.revocations, Revocations(carried_by(config)), None)
            self._revocation_file = self._new_revocation_file(config, revocations.revocations, revocations.signature)
            self._revocation_file.catch_up()
            self._use_revocations(self._revocation_file.current)
        self.admin: Admin | None = None
        if inheritance.admin_port is not None:
            self.admin = Admin(
                inheritance.admin_port,
                number,
                app.route_names,
                app.asked_at(None),
                clock,
                self._publish,
                notices.crashed,
            )
        meter = None if self.admin is None else self.admin.meter
        self._servers = Servers(app, inheritance.auth_listeners, clock, writer, meter, notices)
        self._heartbeat = Heartbeat(clock, lambda: _beat_s(self._app.config), self._beat, notices.crashed)

    def _new_revocation_file(
        self, config: Config, current: Revocations, seen: Signature | None = None
    ) -> RevocationFile:
        return RevocationFile(config, current, seen, self._log, self._surroundings.in_turn, self._use_revocations)

    def _use_revocations(self, revocations: Revocations | None) -> None:
        """Reject the tokens of this list from now on. One of several workers logs warnings about the list."""
        self._app.revoke(revocations)
        if revocations is not None and self._number == 0:
            for doubt in self._app.doubts(revocations):
                self._log.warning("revocations: %s", doubt)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Start to serve on bound sockets. `stop` closes them."""
        self._heartbeat.start()
        await self._servers.listen(sockets)
        self._ready = True
        if self.admin is not None:
            self._publish()
            await self.admin.start()
        if gc.isenabled():
            gc.collect()
        else:  # the process was just loaded: of 28 000 objects 550 are garbage, and a search would take 19 ms of its start
            gc.enable()
        gc.freeze()  # the garbage collector skips these objects, which live as long as the process
        gc.set_threshold(GARBAGE_OBJECTS)
        self._prepare()

    def _prepare(self) -> None:
        """Prepare what only the first login needs. Other requests are already answered."""
        preparing = [asyncio.ensure_future(remote.prepare()) for remote in self._app.in_use]
        self._preparing.update(preparing)
        for task in preparing:
            task.add_done_callback(self._preparing.discard)

    def take_over(self, config: Config) -> None:
        """Use another configuration from the next request on. Running requests finish with the old one, and connections keep
        their limits.
        """
        before = self._app
        if config == before.config:
            return
        self._publish()
        app = App.build(config, self._surroundings, before)
        try:
            logs = self._servers.new_logs(app)
        except Exception:
            app.discard(before)
            raise
        # Nothing can fail from here on.
        app.replace(before)
        self._app = app
        self._take_over_revocations(before.config)
        if self.admin is not None:
            self.admin.meter.use(app.route_names, app.asked_at(None))
        self._log.setLevel(config.log.level.upper())
        self._servers.use(app, logs)
        if before.config.tls != config.tls:
            self._servers.secure(config.tls.context)
        self._prepare()
        self._log.debug("another configuration is in use")

    def _take_over_revocations(self, before: Config) -> None:
        """Use the list of the new configuration. Another file is read in steps, and the old list is used until then."""
        config, file = self._app.config, self._revocation_file
        if config.revocations is None:
            file = None
        elif file is None or config.revocations != before.revocations or carried_by(config) != carried_by(before):
            file = self._new_revocation_file(config, Revocations(carried_by(config)) if file is None else file.current)
            file.read_again()
        if self._revocation_file is not None and self._revocation_file is not file:
            self._revocation_file.stop()
        self._revocation_file = file
        self._use_revocations(None if file is None else file.current)

    def read_revocations_again(self) -> None:
        """Reload the list of revocations at once."""
        if self._revocation_file is not None:
            self._revocation_file.read_again()

    async def stop(self) -> None:
        """Drain (contract §4.3): not ready, `drainDelay`, then no new clients, and up to `timeouts.drain` for the present
        ones.
        """
        self._ready = False
        self._publish()
        fields = {"connections": self._servers.connection_count}
        self._log.log(self._life_level, "draining", extra={"fields": fields})
        if self._app.config.timeouts.drain_delay:
            await asyncio.sleep(self._app.config.timeouts.drain_delay)
        await self._servers.drain()
        if self.admin is not None:
            await self.admin.server.drain()  # only now: until here it reported that this worker drains
        await self.abandon()
        self._log.log(self._life_level, "stopped")

    async def abandon(self) -> None:
        """Abort everything at once."""
        self._heartbeat.stop()
        for task in self._preparing:
            task.cancel()
        self._servers.abort()
        if self.admin is not None:
            self.admin.server.abort()
        await self._app.close()

    def _note_large_token(self, size: int) -> None:
        self._notices.token_is_large(size)
        heap.keep_for_large_tokens()

    def _beat(self, now: float, late_s: float) -> None:
        """Do everything that is due."""
        if self._on_beat is not None:
            self._on_beat()
        if self.admin is not None:
            self.admin.meter.note_beat(late_s)
        self._sweep(now)

    def _sweep(self, now: float) -> None:
        if self.admin is not None:
            self._publish()  # before any counting part is released
            self.admin.server.sweep(now)
        if self._servers.sweep(now):
            heap.give_back()
        self._app.sweep()
        if self._revocation_file is not None:
            self._revocation_file.look()
        self._servers.flush()
        if self._writer.dropped != self._dropped and not self._writer.is_stuck:
            lines = self._writer.dropped - self._dropped
            self._dropped += lines
            self._log.warning(
                "log lines were dropped because their reader is too slow", extra={"fields": {"lines": lines}}
            )

    def _publish(self) -> None:
        """Publish the state of this process to all processes of the service."""
        if self.admin is not None:
            ready = self._ready and self._app.can_sign()
            self.admin.publish(self._servers, self._app, self._writer.dropped, self._revocation_file, ready=ready)


def _beat_s(config: Config) -> float:
    timeouts, remote = config.timeouts, config.remote
    shortest = min(timeouts.head, timeouts.body, timeouts.idle, remote.timeout_s, remote.idle_s)
    return max(BEAT_S_MIN, min(BEAT_S_MAX, shortest / BEATS_PER_TIMEOUT))
