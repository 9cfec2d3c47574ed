"""Signals to a serving process, and what a worker shares with its supervisor. Serves nothing.

The first SIGTERM or SIGINT means drain and exit, the second exit at once, SIGHUP reload. If a process does not react to the
second one within `ALARM_S`, the kernel ends it by SIGALRM, which has no handler.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

from txtoken.process.agreement import Agreement

AT_ONCE: Final = signal.SIGUSR1  # from the supervisor to a worker: exit at once
# Blocked in a new worker until it can handle them.
BLOCKED_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP, AT_ONCE)
ALARM_S: Final = 1.0  # from the second signal to SIGALRM
ENDED_AT_ONCE: Final = 1


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What one of several workers shares with its supervisor."""

    number: int  # the number of its place
    on_ready: Callable[[], object]  # call it when the worker serves
    lifeline_fd: int  # end of file: the supervisor is gone, so the worker drains and exits
    on_beat: Callable[[], object]  # call it at every beat of the loop
    agreement: Agreement  # on the bytes of the configuration


class Signals:
    """Received requests: `first` means drain and exit, `second` exit at once, `reload` reload the configuration. Make it inside
    the running loop, in the main thread. One of several workers passes its `context`.
    """

    def __init__(self, context: WorkerContext | None = None) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.reload = asyncio.Event()
        self._asked = 0
        self.is_forced = False
        self._loop = loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        # Handlers by `signal.signal` must end even a hanging loop, which does not call its own handlers.
        if context is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._count)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)
        else:
            # SIGINT stays ignored: Ctrl-C reaches every process of a terminal, and the supervisor stops its workers.
            # A second SIGTERM has no further meaning: systemd sends one to all processes, and the supervisor another.
            loop.add_signal_handler(signal.SIGTERM, self.first.set)
            signal.signal(AT_ONCE, self._end_at_once)
            loop.add_reader(context.lifeline_fd, self._lose_supervisor, loop, context.lifeline_fd)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)

    def _lose_supervisor(self, loop: asyncio.AbstractEventLoop, lifeline_fd: int) -> None:
        loop.remove_reader(lifeline_fd)
        self.first.set()

    def _count(self, number: int, frame: FrameType | None) -> None:
        if self._loop.is_closed():  # nothing is left to drain
            raise KeyboardInterrupt
        self._asked += 1
        if self._asked == 1:
            self._loop.call_soon_threadsafe(self.first.set)
        else:
            self._end_at_once(number, frame)

    def _end_at_once(self, number: int, frame: FrameType | None) -> None:
        if self.is_forced:
            return  # a further signal must not postpone the alarm
        self.is_forced = True
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, ALARM_S)
        self._loop.call_soon_threadsafe(self.first.set)
        self._loop.call_soon_threadsafe(self.second.set)


def end_at_next_signal(context: WorkerContext | None = None) -> None:
    """After the drain: let the next SIGTERM or SIGINT exit at once, even if something is not written or closed yet."""
    # One of several workers may get more than one SIGTERM for the same request (see `Signals`).
    for number in (signal.SIGTERM, signal.SIGINT) if context is None else (AT_ONCE,):
        signal.signal(number, _leave_at_once)


def _leave_at_once(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(ENDED_AT_ONCE)
