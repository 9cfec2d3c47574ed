"""The supervisor of several workers: starts, reloads, replaces, drains and kills them. Knows no request.

It has no loop and no threads, because it forks at any time. It replaces a worker that dies or hangs, after a back-off if it died
early. A worker that cannot start ends the service, unless all have served once. A single worker has no supervisor.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final, NoReturn

from txtoken.errors import StartError
from txtoken.http1.messages import Handler
from txtoken.observe.logs import DirectWriter, open_log
from txtoken.process import revoked, running
from txtoken.process.agreement import Agreement
from txtoken.process.auth_listeners import open_auth_listeners
from txtoken.process.descriptors import require_files
from txtoken.process.events import Events
from txtoken.process.inheritance import Inheritance
from txtoken.process.places import Ending, Places
from txtoken.process.reload import Reload
from txtoken.process.running import STDOUT_FD, announce, leave, open_admin
from txtoken.process.signals import AT_ONCE, WorkerContext, end_at_next_signal
from txtoken.process.sockets import bind, take_passed, unix_sockets
from txtoken.service.throttle.table import Table
from txtoken.settings import Config

OK: Final = 0
FAILED: Final = 1
KILL_AFTER_S: Final = 5.0  # after a worker's time to drain
KILL_AT_ONCE_S: Final = 2.0  # after the second SIGTERM or SIGINT
NO_PAGES: Final[Mapping[str, Mapping[str, Handler]]] = {}


def serve(config: Config, load: Callable[[], Config], passed: Sequence[int] = ()) -> NoReturn:
    """Run the service with the configured number of workers until a signal, then exit with the exit code. Does not return.

    `load` reads the configuration again. `passed` are file descriptors of sockets that were passed to this process: then the
    service listens on these, and `listen` and `port` are ignored.

    A single worker needs no supervisor: it is this process.

    Raises:
        StartError: the service cannot start.
    """
    require_files()
    leave(_serve(config, load, passed))


def serve_pages(config: Config, sockets: Sequence[socket.socket], pages: Mapping[str, Mapping[str, Handler]]) -> int:
    """Run the service as `serve` does, on `sockets` in place of `listen` and `port`, with `pages` beside the routes of the
    configuration. Returns the exit code. The process has to end by `leave`: its loop and threads stay as they are.

    Raises:
        StartError: the service cannot start.
    """
    require_files()
    return _serve(config, lambda: config, (), sockets, pages)


def _serve(
    config: Config,
    load: Callable[[], Config],
    passed: Sequence[int],
    given: Sequence[socket.socket] = (),
    pages: Mapping[str, Mapping[str, Handler]] = NO_PAGES,
) -> int:
    listen = () if passed or given else config.process.addresses
    revocations = revoked.load(config)
    with unix_sockets(listen) as unix, open_auth_listeners(config.process.auth_addresses) as auth_listeners:
        inheritance = Inheritance(
            revocations=revocations, auth_listeners=auth_listeners, throttle_table=Table(), pages=pages
        )
        shared = [*given, *take_passed(passed), *unix]
        if config.process.workers == 1:
            return running.serve(config, load, [*bind(listen, config.process.port), *shared], inheritance)
        # Bound without SO_REUSEPORT first: with it, a port of another service's workers would seem free.
        alone = bind(listen, config.process.port)
        port = alone[0].getsockname()[1] if alone else config.process.port
        for sock in alone:
            sock.close()
        # The kernel distributes clients over sockets that are bound to the same address. All workers share any other socket.
        sockets = [
            [*bind(listen, port, is_shared=True), *(sock.dup() for sock in shared)]
            for _ in range(config.process.workers)
        ]
        for sock in shared:
            sock.close()
        inheritance = replace(inheritance, admin_port=open_admin(config))
        writer = DirectWriter(STDOUT_FD)
        log = open_log(writer, level=config.log.level, as_json=config.log.format == "json")
        try:
            return Supervisor(config, load, sockets, inheritance, log, writer=writer).run()
        finally:
            writer.close()


class Supervisor:
    """The parent of all workers. Each has its own `sockets`. Call `run` once. `writer` is the log's."""

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        sockets: Sequence[Sequence[socket.socket]],
        inheritance: Inheritance,
        log: logging.Logger,
        *,
        writer: DirectWriter | None = None,
    ) -> None:
        def serve_worker(context: WorkerContext, own: Sequence[socket.socket]) -> int:
            return running.serve_as(context, self._config, load, own, inheritance)

        agreement = Agreement()
        self._config = config
        self._reload = Reload(load, config, log, agreement=agreement)
        self._look_at = inf if config.reload_s is None else time.monotonic() + config.reload_s
        self._log = log
        self._writer = writer
        self._dropped = 0  # log lines that were reported as lost
        self._inheritance = inheritance
        self._events = Events()
        self._places = Places(sockets, self._events, agreement, serve_worker)
        self._is_stopping = False
        self._is_announced = False  # the start line was logged
        self._watch_at = 0.0  # when to check for hanging workers
        self._close_at = inf  # when to close the sockets, at shutdown
        self._kill_at = inf  # when to kill workers that have not exited
        self._code = OK

    def run(self) -> int:
        """Supervise until no worker is left. Returns the exit code."""
        self._events.listen()
        if self._inheritance.admin_port is not None:
            self._inheritance.admin_port.board.service.set_gauge("pid", os.getpid())
        gc.enable()
        gc.collect()
        gc.freeze()  # workers share the memory of all current objects: garbage collection must not write to it
        while self._places.worker_count or not self._is_stopping:
            self._start_workers()
            for fd in self._events.wait(self._next_at()):
                self._note_ready(fd)
            for number in self._events.take_signals():
                self._act_on(number)
            for ending in self._places.reap():
                self._note_ending(ending)
            if time.monotonic() >= self._close_at:
                self._close_sockets()
            if time.monotonic() >= self._look_at:
                self._look_for_change()
            if time.monotonic() >= self._watch_at:
                self._write_kept_lines()
                self._kill_hanging()
            if time.monotonic() >= self._kill_at:
                self._kill_workers()
        end_at_next_signal()
        self._log.info("stopped")
        return self._code

    def _next_at(self) -> float:
        """Return the time of the next action, if nothing happens before."""
        start_at = inf if self._is_stopping else self._places.next_start_at
        return min(start_at, self._close_at, self._look_at, self._kill_at, self._watch_at)

    # Start and replacement

    def _start_workers(self) -> None:
        if self._is_stopping:
            return
        for place in self._places.due(time.monotonic()):
            try:
                self._places.start(place)
            except OSError as error:  # no process, memory or descriptor is left: the other workers keep serving
                if not self._is_announced:
                    raise StartError(f"a worker cannot start: {error.strerror}") from error
                self._log.error(f"a worker cannot start: {error.strerror}")
                place.back_off()

    def _note_ready(self, fd: int) -> None:
        place = self._places.note_ready(fd)
        if place is None:
            return
        self._log.debug("worker ready", extra={"fields": {"worker": place.number, "pid": place.pid}})
        if not self._is_announced and not self._is_stopping and self._places.are_ready:
            self._is_announced = True
            announce(self._log, self._config, self._places.sockets, self._inheritance)

    def _kill_hanging(self) -> None:
        """Kill the workers whose loop has stopped: `_note_ending` follows. At shutdown, `_kill_at` does this."""
        now = time.monotonic()
        self._watch_at = inf if self._is_stopping else now + self._places.watch_period_s
        for place in self._places.take_hanging(now):
            if not self._is_stopping:
                fields = {"worker": place.number, "pid": place.pid}
                self._log.error("a worker hangs and is killed", extra={"fields": fields})
                os.kill(place.pid, signal.SIGKILL)  # also ends a stopped process

    def _note_ending(self, ending: Ending) -> None:
        """Plan the replacement of a worker that has ended, or stop the service."""
        place = ending.place
        if self._inheritance.admin_port is not None:
            self._inheritance.admin_port.board.workers[place.number].clear_gauges()
        if self._inheritance.throttle_table is not None:
            self._inheritance.throttle_table.forget_open()
        if self._is_stopping:
            if ending.code != OK:
                self._code = FAILED
            return
        fields: dict[str, object] = {"worker": place.number, "how": ending.how}
        if not ending.has_served and not self._is_announced:
            self._log.error("a worker could not start: the service stops", extra={"fields": fields})
            self._code = FAILED
            self._stop()
            return
        if self._inheritance.admin_port is not None:
            self._inheritance.admin_port.board.service.event("workers_replaced")
        place.plan_next(has_served=ending.has_served)
        self._log.error("a worker ended and is replaced", extra={"fields": fields})

    # Reload

    def _look_for_change(self) -> None:
        if self._reload.has_changed():
            self._take_over(at_once=False)
        self._plan_look()

    def _plan_look(self) -> None:
        wait_s = self._reload.wait_s
        self._look_at = inf if wait_s is None or self._is_stopping else time.monotonic() + wait_s

    def _take_over(self, *, at_once: bool) -> None:
        """Reload the configuration. If it is valid, workers reload it too, and new ones start with it."""
        if self._is_stopping:
            return
        config = self._reload.read_again(at_once=at_once)
        board = None if self._inheritance.admin_port is None else self._inheritance.admin_port.board
        if config is None:
            if board is not None and self._reload.has_failed:
                board.note_failed_reload(board.service)
            return
        if board is not None:
            board.note_reload(has_new_key=config.keys != self._config.keys)
        self._config = config
        self._log.setLevel(config.log.level.upper())
        self._places.send(signal.SIGHUP)

    # The end

    def _act_on(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._take_over(at_once=True)
            self._plan_look()
        elif number != signal.SIGCHLD:
            if self._is_stopping:
                self._code = FAILED
            self._stop()

    def _stop(self) -> None:
        """Tell the workers to drain; the second time, to exit at once. Workers that do not exit are killed later."""
        timeouts = self._config.timeouts
        number, patience_s = AT_ONCE, KILL_AT_ONCE_S
        if not self._is_stopping:
            self._log.info("draining", extra={"fields": {"workers": self._places.worker_count}})
            number, patience_s = signal.SIGTERM, timeouts.drain_delay + timeouts.drain + KILL_AFTER_S
            if timeouts.drain_delay:
                self._close_at = time.monotonic() + timeouts.drain_delay
            else:
                self._close_sockets()
        self._is_stopping = True
        self._kill_at = time.monotonic() + patience_s
        self._places.send(number)

    def _close_sockets(self) -> None:
        self._close_at = inf
        self._places.close_sockets()
        self._inheritance.close()

    def _kill_workers(self) -> None:
        self._kill_at = inf
        self._places.send(signal.SIGKILL)

    # The log

    def _write_kept_lines(self) -> None:
        if self._writer is not None:
            self._writer.flush()
            lines = self._writer.dropped - self._dropped
            if lines and not self._writer.is_stuck:
                self._dropped += lines
                self._log.warning(
                    "log lines were dropped because their reader is too slow", extra={"fields": {"lines": lines}}
                )
