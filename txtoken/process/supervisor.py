"""Several workers as one service: it binds, forks, replaces, passes signals on and reaps. Knows no request and runs no loop.

Each worker has a listening socket of its own (SO_REUSEPORT), which the supervisor made and keeps open: when a worker dies,
who waits in its backlog waits for the next one. Unix sockets, and such as were passed to the service, all workers share.
Workers are forked before any loop or thread exists. A worker that dies is replaced, at once if it had lived for a while,
else a little later each time, and so is one that hangs; one that cannot even start ends the service, until all have served.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from types import FrameType
from typing import Final, NoReturn

from txtoken.errors import StartError
from txtoken.observe.logs import DirectWriter, open_log
from txtoken.process import running
from txtoken.process.admin import AdminPort
from txtoken.process.agreement import Agreement
from txtoken.process.beats import HANG_S, Beats, BeatWatch
from txtoken.process.descriptors import require_files
from txtoken.process.reload import Reload
from txtoken.process.running import STDOUT_FD, announce, leave, open_admin
from txtoken.process.signals import AT_ONCE, BLOCKED_SIGNALS, WorkerContext, end_at_next_signal
from txtoken.process.sockets import bind, take_passed, unix_sockets
from txtoken.settings import Config

OK: Final = 0
FAILED: Final = 1
LIVED_S: Final = 0.5  # a worker that lived that long did not die of its start
BACK_OFF_S: Final = 0.1  # doubled with every worker that did not
BACK_OFF_S_MAX: Final = 5.0
SHORT_LIVES_MAX: Final = (
    10  # past it the back-off has long been at its end: a power of a number without bound is no time
)
KILL_AFTER_S: Final = 5.0  # past the time that a worker has to end
KILL_AT_ONCE_S: Final = 2.0  # for workers that are to end at once
_HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def serve(config: Config, load: Callable[[], Config], passed: Sequence[int] = ()) -> NoReturn:
    """Run the service with as many workers as it says, until a signal ends it, and end the process with the exit code.

    `load` reads the configuration again, as it was read at first. Sockets that were `passed` to this process (their file
    descriptors) are listened on in place of what the configuration names.

    One worker needs no supervisor: it is this process. When the service has run this does not return: the process ends.

    Raises:
        StartError: the service cannot start.
    """
    require_files()
    leave(_serve(config, load, passed))


def _serve(config: Config, load: Callable[[], Config], passed: Sequence[int]) -> int:
    listen = () if passed else config.process.addresses
    with unix_sockets(listen) as unix:
        shared = [*take_passed(passed), *unix]
        if config.process.workers == 1:
            return running.serve(config, load, [*bind(listen, config.process.port), *shared])
        alone = bind(
            listen, config.process.port
        )  # not to be shared with anybody: a port that another service shares is in use
        port = alone[0].getsockname()[1] if alone else config.process.port
        for sock in alone:
            sock.close()
        # The kernel spreads clients over sockets with the same address and port; all others are one for all workers.
        places = [
            [*bind(listen, port, is_shared=True), *(sock.dup() for sock in shared)]
            for _ in range(config.process.workers)
        ]
        for sock in shared:
            sock.close()
        admin_port = open_admin(config)
        writer = DirectWriter(STDOUT_FD)
        log = open_log(writer, level=config.log.level, as_json=config.log.format == "json")
        try:
            return Supervisor(config, load, places, admin_port, log, writer=writer).run()
        finally:
            writer.close()


@dataclass(slots=True)
class Place:
    """A worker's place: its sockets, who is in it, and when the next one may come."""

    number: int
    sockets: list[socket.socket]
    pid: int = 0
    ready_fd: int = -1  # one byte comes when the worker serves
    is_ready: bool = False
    started: float = 0.0  # by time.monotonic, as the next
    start_at: float = 0.0
    short_lives: int = 0


class Supervisor:
    """The parent of all workers. Call `run` once."""

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        places: list[list[socket.socket]],
        admin_port: AdminPort | None,
        log: logging.Logger,
        *,
        hang_s: float = HANG_S,
        writer: DirectWriter | None = None,
    ) -> None:
        self._config = config
        self._load = load
        self._agreement = Agreement()
        self._reload = Reload(load, config, log, agreement=self._agreement)
        self._look_at = inf if config.reload_s is None else time.monotonic() + config.reload_s
        self._log = log
        self._writer = writer  # of the log
        self._dropped = 0  # lines of the log whose loss was logged
        self._admin_port = admin_port
        self._places = [Place(number, sockets) for number, sockets in enumerate(places)]
        self._beats = Beats(len(places))
        self._watch = BeatWatch(self._beats, hang_s)
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []  # signals that came
        self._lifeline = os.pipe()  # its end means to the workers that nobody supervises them any more
        self._wake_up = socket.socketpair()
        self._is_stopping = False
        self._is_announced = False  # that the service listens
        self._watch_at = 0.0  # when the beats are looked at
        self._close_at = inf  # when the sockets are closed, at the end
        self._kill_at = inf  # when workers that did not end are killed
        self._code = OK

    def run(self) -> int:
        """Supervise until no worker is left. Returns the exit code."""
        self._listen_to_signals()
        if self._admin_port is not None:
            self._admin_port.board.service.set_gauge("pid", os.getpid())
        gc.collect()
        gc.freeze()  # the workers share what is here now, and no collection writes to it
        while any(place.pid for place in self._places) or not self._is_stopping:
            self._start_workers()
            due = [place.start_at for place in self._places if not place.pid and not self._is_stopping]
            wait_s = min([*due, self._close_at, self._look_at, self._kill_at, self._watch_at]) - time.monotonic()
            for key, _ in self._selector.select(None if wait_s == inf else max(0.0, wait_s)):
                if key.data is None:
                    self._wake_up[0].recv(4096)
                else:
                    self._note_ready(key.data)
            while self._signals:
                self._act_on(self._signals.pop(0))
            self._reap()
            if time.monotonic() >= self._close_at:
                self._close_sockets()
            if time.monotonic() >= self._look_at:
                self._look_for_change()
            if time.monotonic() >= self._watch_at:
                self._write_kept_lines()
                self._kill_hanging()
            if time.monotonic() >= self._kill_at:
                self._kill_at = inf
                self._signal_workers(signal.SIGKILL)
        end_at_next_signal()
        self._log.info("stopped")
        return self._code

    # Signals

    def _listen_to_signals(self) -> None:
        for end in self._wake_up:
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake_up[1].fileno(), warn_on_full_buffer=False)
        for number in _HANDLED:
            signal.signal(number, self._note_signal)
        self._selector.register(self._wake_up[0], selectors.EVENT_READ)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)  # what came before comes now

    def _note_signal(self, number: int, _: FrameType | None) -> None:
        # Ten reloads that were asked for are one. Who sends a thousand does not keep the end waiting for each.
        if number in (signal.SIGTERM, signal.SIGINT) or number not in self._signals:
            self._signals.append(number)

    def _act_on(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._take_over(at_once=True)
            self._plan_look()
        elif number != signal.SIGCHLD:
            if self._is_stopping:
                self._code = FAILED
            self._stop()

    def _look_for_change(self) -> None:
        if self._reload.has_changed():
            self._take_over(at_once=False)
        self._plan_look()

    def _plan_look(self) -> None:
        wait_s = self._reload.wait_s
        self._look_at = inf if wait_s is None or self._is_stopping else time.monotonic() + wait_s

    def _take_over(self, *, at_once: bool) -> None:
        """Read the configuration again; when it is good the workers do the same, and new ones begin with it."""
        if self._is_stopping:
            return
        config = self._reload.read_again(at_once=at_once)
        board = None if self._admin_port is None else self._admin_port.board
        if config is None:
            if board is not None and self._reload.has_failed:
                board.note_failed_reload(board.service)
            return
        if board is not None:
            board.note_reload(has_new_key=config.keys != self._config.keys)
        self._config = config
        self._log.setLevel(config.log.level.upper())
        self._signal_workers(signal.SIGHUP)

    def _stop(self) -> None:
        """Ask the workers to end; a second time, to end at once. Who does not is killed in the end."""
        timeouts = self._config.timeouts
        number, patience_s = AT_ONCE, KILL_AT_ONCE_S
        if not self._is_stopping:
            self._log.info("draining", extra={"fields": {"workers": sum(1 for place in self._places if place.pid)}})
            number, patience_s = signal.SIGTERM, timeouts.drain_delay + timeouts.drain + KILL_AFTER_S
            if timeouts.drain_delay:
                self._close_at = time.monotonic() + timeouts.drain_delay
            else:
                self._close_sockets()
        self._is_stopping = True
        self._kill_at = time.monotonic() + patience_s
        self._signal_workers(number)

    def _signal_workers(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.pid:
                os.kill(place.pid, number)

    def _close_sockets(self) -> None:
        self._close_at = inf
        for place in self._places:
            for sock in place.sockets:
                sock.close()
        if self._admin_port is not None:
            for sock in self._admin_port.sockets:
                sock.close()

    # Workers

    def _start_workers(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if not place.pid and not self._is_stopping and place.start_at <= now:
                try:
                    self._start(place)
                except OSError as error:  # no process, memory or descriptor is left: the others serve on
                    if not self._is_announced:
                        raise StartError(f"no worker can be started: {error.strerror}") from error
                    self._log.error(f"no worker can be started: {error.strerror}")
                    self._back_off(place)

    def _start(self, place: Place) -> None:
        reading, writing = os.pipe()
        # A signal that comes before the worker can handle it waits until it can.
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_SIGNALS)
        try:
            pid = os.fork()
        except OSError:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)
            os.close(reading)
            os.close(writing)
            raise
        if pid == 0:
            os.close(reading)
            self._become_worker(place, writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)
        os.close(writing)
        place.pid, place.ready_fd, place.is_ready = pid, reading, False
        place.started = time.monotonic()
        self._watch.begin(place.number, place.started)
        self._selector.register(reading, selectors.EVENT_READ, place)

    def _become_worker(self, place: Place, ready_fd: int) -> None:
        """Be a worker from here on, and end with it."""
        code = FAILED
        try:
            signal.set_wakeup_fd(-1)
            for number in _HANDLED:
                signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
            self._selector.close()
            for end in self._wake_up:
                end.close()
            os.close(self._lifeline[1])
            for other in self._places:
                if other is not place:
                    # A socket lives as long as anybody has it open: at the end it has to be this worker alone.
                    for sock in other.sockets:
                        sock.close()
                    if other.ready_fd >= 0:
                        os.close(other.ready_fd)
            code = running.serve_as(
                WorkerContext(
                    place.number,
                    on_ready=lambda: os.write(ready_fd, b"1"),
                    lifeline_fd=self._lifeline[0],
                    on_beat=lambda: self._beats.beat(place.number),
                    agreement=self._agreement,
                ),
                self._config,
                self._load,
                place.sockets,
                self._admin_port,
            )
        except BaseException:  # noqa: BLE001 - whatever it is: this process ends here, and must not return into its parent's code
            traceback.print_exc()
        finally:
            os._exit(code)

    def _note_ready(self, place: Place) -> None:
        said = os.read(place.ready_fd, 1)
        self._forget_ready_fd(place)
        if not said:
            return  # it died before, which `_reap` finds
        place.is_ready = True
        self._log.debug("worker ready", extra={"fields": {"worker": place.number, "pid": place.pid}})
        if not self._is_announced and not self._is_stopping and all(other.is_ready for other in self._places):
            self._is_announced = True
            announce(self._log, self._config, self._places[0].sockets, self._admin_port)

    def _forget_ready_fd(self, place: Place) -> None:
        self._selector.unregister(place.ready_fd)
        os.close(place.ready_fd)
        place.ready_fd = -1

    def _write_kept_lines(self) -> None:
        if self._writer is not None:
            self._writer.flush()
            lines = self._writer.dropped - self._dropped
            if lines and not self._writer.is_stuck:
                self._dropped += lines
                self._log.warning("nobody took these lines of the log in time", extra={"fields": {"lines": lines}})

    def _kill_hanging(self) -> None:
        """End the workers whose loop has stopped: `_bury` replaces them. At the end `_kill_at` does it."""
        now = time.monotonic()
        self._watch_at = inf if self._is_stopping else now + self._watch.period_s
        for number in self._watch.look(now):
            place = self._places[number]
            if not self._is_stopping:
                fields = {"worker": number, "pid": place.pid}
                self._log.error("a worker hangs and is killed", extra={"fields": fields})
                os.kill(place.pid, signal.SIGKILL)  # which ends a stopped process too

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for place in self._places:
                if place.pid == pid:
                    self._bury(place, os.waitstatus_to_exitcode(status))

    def _bury(self, place: Place, code: int) -> None:
        was_ready, place.is_ready, place.pid = place.is_ready, False, 0
        self._watch.end(place.number)
        if place.ready_fd >= 0:
            was_ready = was_ready or bool(os.read(place.ready_fd, 1))
            self._forget_ready_fd(place)
        if self._admin_port is not None:
            self._admin_port.board.workers[place.number].clear_gauges()
        if self._is_stopping:
            if code != OK:
                self._code = FAILED
            return
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        fields: dict[str, object] = {"worker": place.number, "how": how}
        if not was_ready and not self._is_announced:
            self._log.error("a worker could not start: the service ends", extra={"fields": fields})
            self._code = FAILED
            self._stop()
            return
        if self._admin_port is not None:
            self._admin_port.board.service.event("workers_replaced")
        if was_ready and time.monotonic() - place.started >= LIVED_S:
            place.short_lives, place.start_at = 0, 0.0
        else:
            self._back_off(place)
        self._log.error("a worker ended and is replaced", extra={"fields": fields})

    def _back_off(self, place: Place) -> None:
        place.start_at = time.monotonic() + min(BACK_OFF_S * 2**place.short_lives, BACK_OFF_S_MAX)
        place.short_lives = min(place.short_lives + 1, SHORT_LIVES_MAX)
