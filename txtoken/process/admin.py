"""The admin port: health and metrics for operators, never for clients. Decides nothing about a token.

All processes share its socket, so any free worker answers, and a dead or hanging worker delays no probe. Every answer describes
the whole service, from the shared memory.
"""

from __future__ import annotations

import importlib
import os
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from txtoken.clock import Clock
from txtoken.http1.messages import Handler
from txtoken.http1.server import Server
from txtoken.observe.metrics import KEY_REASONS, KEY_USES, Board, Meter
from txtoken.process.key_watch import KeyWatch
from txtoken.process.revoked import RevocationFile
from txtoken.process.servers import Servers
from txtoken.service.app import App
from txtoken.service.handlers.health import Metrics
from txtoken.service.routes import Routes, health_routes
from txtoken.settings import KIB, MIB, Limits, Timeouts
from txtoken.version import VERSION

# Probes and scrapers are few, send very little, and are quick. Shutdown does not wait for them. A client that fills the port with
# silent connections replaces its own (`http1/room`).
ADMIN_TIMEOUTS: Final = Timeouts(head=5.0, body=5.0, idle=5.0, drain=1.0)
ADMIN_LIMITS: Final = Limits(head_bytes=16 * KIB, body_bytes=KIB, buffered_bytes=MIB, connections=32)
EXPOSITION: Final = "txtoken.observe.exposition"


@dataclass(frozen=True, slots=True)
class AdminPort:
    """The shared parts of the admin port: the bound sockets, the counters, and the exposition."""

    sockets: Sequence[socket.socket]
    board: Board
    render: Callable[[], bytes]
    content_type: str


def make_admin_port(sockets: Sequence[socket.socket], workers: int, *, loop: str, build: str) -> AdminPort:
    """Make the counters of so many workers, and load the exposition. Call it before the workers are forked."""
    exposition = importlib.import_module(EXPOSITION)
    board = Board(workers)
    board.note_start()
    labels = {"version": VERSION, "python": platform.python_version(), "loop": loop, "build": build}
    return AdminPort(sockets, board, exposition.Exposition(board, labels).render, exposition.CONTENT_TYPE)


class Admin:
    """One worker's part of the admin port: answers requests there, and counts what the worker does elsewhere.

    `paths` and `asked` map paths to `metrics.ROUTES`; `publish` is called before metrics are rendered.
    """

    def __init__(
        self,
        port: AdminPort,
        number: int,
        paths: Mapping[bytes, str],
        asked: Sequence[bytes],
        clock: Clock,
        publish: Callable[[], None],
        on_crash: Callable[[Exception], None],
    ) -> None:
        self._board = port.board
        self._block = port.board.workers[number]
        self.meter = Meter(self._block, paths, asked)
        self._sockets = port.sockets
        self._render = port.render
        self._publish = publish
        self._clock = clock
        self._keys = KeyWatch(self._block)
        self._dropped = 0  # log lines that were reported as lost
        routes: dict[str, dict[str, Handler]] = health_routes(lambda: True, port.board.is_ready)
        routes["/metrics"] = {"GET": Metrics(self._show, port.content_type)}
        self.server = Server(Routes(routes, on_crash), ADMIN_LIMITS, ADMIN_TIMEOUTS, clock, None)

    async def start(self) -> None:
        """Start to answer."""
        await self.server.listen(self._sockets)

    def publish(
        self, servers: Servers, app: App, dropped: int, revocation_file: RevocationFile | None, *, ready: bool
    ) -> None:
        """Copy the current state, and the counts of other modules, to the shared memory.

        `dropped` is the number of lost log lines so far, `revocation_file` has the list of revocations in use.
        """
        remotes, memory = app.remotes, app.verifier.memory
        cancelled = sum(remote.cancelled for remote in remotes)
        refused = app.verifier.refused
        more = [
            *(
                memory.hits,
                cancelled,
                dropped - self._dropped,
                servers.take_deferred(),
                servers.take_handshakes_failed(),
                app.counts.cut.count,
                app.counts.renewed.count,
            ),
            *app.counts.logins.take(),
            *(refused.get((reason, use), 0) for reason in KEY_REASONS for use in KEY_USES),
        ]
        self._dropped = dropped
        memory.hits = app.counts.cut.count = app.counts.renewed.count = 0
        refused.clear()
        for remote in remotes:
            remote.cancelled = 0
        idle = sum(remote.idle_count for remote in remotes)
        dialling = sum(remote.dialling_count for remote in remotes)
        busy = sum(remote.open_count for remote in remotes) - idle - dialling
        active = sum(remote.active_count for remote in remotes)
        waiting = sum(remote.waiting_count for remote in remotes)
        count = len(app.in_use)
        gauges = [
            *(os.getpid(), int(ready), servers.connection_count, active, waiting),
            *(idle, busy, dialling),
            *(servers.connections_max, app.config.remote.connections * count, app.config.remote.waiting * count),
            *self._keys.publish(app.ring, app.config.issue.life_s, self._clock.second),
            *((0, 0) if revocation_file is None else (revocation_file.current.count, int(revocation_file.has_failed))),
        ]
        self.meter.publish(more, gauges)

    def note_reload(self, *, has_new_key: bool) -> None:
        """The configuration was reloaded and is in use."""
        self._board.note_reload(has_new_key=has_new_key)

    def note_failed_reload(self) -> None:
        """The configuration was reloaded but rejected, at least here."""
        self._board.note_failed_reload(self._block)

    def _show(self) -> bytes:
        self._publish()
        return self._render()
