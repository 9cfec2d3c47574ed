"""The places of workers: a fork fills a place, and the end of its worker frees it. Does not decide about replacements.

Each place has its own listening sockets (SO_REUSEPORT), which stay open here: the next worker serves the clients in the backlog
of a dead one. All workers share Unix sockets and passed sockets.
"""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from txtoken.process.agreement import Agreement
from txtoken.process.beats import HANG_S, Beats, BeatWatch
from txtoken.process.events import Events
from txtoken.process.signals import BLOCKED_SIGNALS, WorkerContext

LIVED_S: Final = 0.5  # a worker that lived this long did not fail at start
BACK_OFF_S: Final = 0.1  # doubled after each worker with a shorter life
BACK_OFF_S_MAX: Final = 5.0
# The back-off reaches its maximum long before. Without this limit the power would overflow.
SHORT_LIVES_MAX: Final = 10
CRASHED: Final = 1  # exit code of a worker after an exception

Serve = Callable[[WorkerContext, Sequence[socket.socket]], int]


@dataclass(slots=True)
class Place:
    """A worker's place: its sockets, its process, and when the next worker may start. Times are of `time.monotonic`."""

    number: int
    sockets: Sequence[socket.socket]
    pid: int = 0  # 0: the place is free
    ready_fd: int = -1  # one byte arrives when the worker serves
    is_ready: bool = False
    started: float = 0.0
    start_at: float = 0.0
    short_lives: int = 0  # in a row

    def plan_next(self, *, has_served: bool) -> None:
        """After a worker has ended: start the next one at once if this one served for a while, else after the back-off."""
        if has_served and time.monotonic() - self.started >= LIVED_S:
            self.short_lives, self.start_at = 0, 0.0
        else:
            self.back_off()

    def back_off(self) -> None:
        """Start the next worker later, twice as late each time."""
        self.start_at = time.monotonic() + min(BACK_OFF_S * 2**self.short_lives, BACK_OFF_S_MAX)
        self.short_lives = min(self.short_lives + 1, SHORT_LIVES_MAX)


@dataclass(frozen=True, slots=True)
class Ending:
    """A worker that has ended. Its place is free."""

    place: Place
    code: int  # exit code, or the negative number of a signal
    has_served: bool

    @property
    def how(self) -> str:
        """Describe the end for the log."""
        return f"by signal {-self.code}" if self.code < 0 else f"with exit code {self.code}"


class Places:
    """All places of a service. Make it before any loop or thread exists.

    `serve` runs in a worker's process, with the sockets of its place. It returns the exit code.
    """

    __slots__ = ("_agreement", "_beats", "_events", "_lifeline", "_places", "_serve", "_watch")

    def __init__(
        self, sockets: Sequence[Sequence[socket.socket]], events: Events, agreement: Agreement, serve: Serve
    ) -> None:
        self._places = [Place(number, own) for number, own in enumerate(sockets)]
        self._events = events
        self._agreement = agreement
        self._serve = serve
        self._beats = Beats(len(sockets))
        self._watch = BeatWatch(self._beats, HANG_S)
        self._lifeline = os.pipe()  # at end of file, workers know that their supervisor is gone

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets of one worker. Those of all others have the same addresses."""
        return self._places[0].sockets

    @property
    def worker_count(self) -> int:
        """How many workers there are."""
        return sum(1 for place in self._places if place.pid)

    @property
    def are_ready(self) -> bool:
        """Whether every place has a worker that serves."""
        return all(place.is_ready for place in self._places)

    @property
    def next_start_at(self) -> float:
        """When the next worker is to start."""
        return min((place.start_at for place in self._places if not place.pid), default=inf)

    @property
    def watch_period_s(self) -> float:
        """How often `take_hanging` is to be called."""
        return self._watch.period_s

    def due(self, now: float) -> Iterator[Place]:
        """Return the free places in which a worker should start now."""
        return (place for place in self._places if not place.pid and place.start_at <= now)

    def start(self, place: Place) -> None:
        """Fork a worker into a free place. The worker does not return from here: its process ends.

        Raises:
            OSError: the system has no process, memory or descriptor left. The place is still free.
        """
        reading, writing = os.pipe()
        # A signal waits until the worker can handle it.
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
        self._events.watch(reading)

    def note_ready(self, fd: int) -> Place | None:
        """Read this descriptor: return the place of its worker when that serves. None: the worker ended, and `reap` finds it."""
        place = next(place for place in self._places if place.ready_fd == fd)
        place.is_ready = self._read_ready(place)
        return place if place.is_ready else None

    def take_hanging(self, now: float) -> list[Place]:
        """Return the places whose workers' loops have stopped. Each is returned once."""
        return [self._places[number] for number in self._watch.look(now)]

    def reap(self) -> Iterator[Ending]:
        """Free the places of workers that have ended, one by one."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for place in self._places:
                if place.pid == pid:
                    yield self.free(place, os.waitstatus_to_exitcode(status))

    def free(self, place: Place, code: int) -> Ending:
        """Note that the worker in this place has ended, with this exit code or (negative) signal."""
        has_served, place.is_ready, place.pid = place.is_ready, False, 0
        self._watch.end(place.number)
        if place.ready_fd >= 0:
            has_served = self._read_ready(place)
        return Ending(place, code, has_served)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all workers."""
        for place in self._places:
            if place.pid:
                os.kill(place.pid, number)

    def close_sockets(self) -> None:
        """Close all sockets here. Workers keep their own."""
        for place in self._places:
            for sock in place.sockets:
                sock.close()

    def _become_worker(self, place: Place, ready_fd: int) -> None:
        """Run a worker in this process, then exit."""
        code = CRASHED
        try:
            self._events.close_in_child()
            os.close(self._lifeline[1])
            for other in self._places:
                if other is not place:
                    # A socket stays open as long as any process has it open. A worker must be the only process with its sockets.
                    for sock in other.sockets:
                        sock.close()
                    if other.ready_fd >= 0:
                        os.close(other.ready_fd)
            context = WorkerContext(
                place.number,
                on_ready=lambda: os.write(ready_fd, b"1"),
                lifeline_fd=self._lifeline[0],
                on_beat=lambda: self._beats.beat(place.number),
                agreement=self._agreement,
            )
            code = self._serve(context, place.sockets)
        except BaseException:  # noqa: BLE001 - a worker must never return into the supervisor's code
            traceback.print_exc()
        finally:
            os._exit(code)

    def _read_ready(self, place: Place) -> bool:
        said = os.read(place.ready_fd, 1)
        self._events.forget(place.ready_fd)
        os.close(place.ready_fd)
        place.ready_fd = -1
        return bool(said)
