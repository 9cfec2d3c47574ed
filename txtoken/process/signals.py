"""What a process of the service is asked by signals, and what a worker of several shares with its supervisor. Serves nothing.

The first SIGTERM or SIGINT asks for the end in order, the second for the end at once, SIGHUP for a reload. A process that does
not react to the second one within `ALARM_S` is ended by the kernel: by SIGALRM, which nothing handles.
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

AT_ONCE: Final = signal.SIGUSR1  # what a supervisor sends to a worker that is to end without draining
BLOCKED_SIGNALS: Final = (  # in a new worker of several, until it can handle them
    signal.SIGTERM,
    signal.SIGHUP,
    AT_ONCE,
)
ALARM_S: Final = 1.0  # from the second signal to the end by force
ENDED_AT_ONCE: Final = 1


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a worker that is one of several shares with its supervisor."""

    number: int  # its place
    on_ready: Callable[[], object]  # to be called when it serves
    lifeline_fd: int  # at its end: the supervisor is gone, so this worker drains and ends
    on_beat: Callable[[], object]  # to be called with every beat of its loop
    agreement: Agreement  # on the bytes of a configuration that is taken over


class Signals:
    """What the process was asked for: `first` is to end in order, `second` to end at once, `reload` to read its configuration
    again. Make it inside the running loop, in the main thread.
    """

    def __init__(self, context: WorkerContext | None = None) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.reload = asyncio.Event()
        self._asked = 0
        self.is_forced = False
        self._loop = loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        # Python's own handlers, because the loop's are not called while it is busy or hangs.
        if context is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._count)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)
        else:
            # Ctrl-C reaches every process of a terminal: to end is the supervisor's to say, or its end says it.
            # Nor does SIGTERM mean more when it comes twice: systemd sends it to all, and the supervisor passes its own on.
            loop.add_signal_handler(signal.SIGTERM, self.first.set)
            signal.signal(AT_ONCE, self._end_at_once)
            loop.add_reader(context.lifeline_fd, self._lose_supervisor, loop, context.lifeline_fd)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)

    def _lose_supervisor(self, loop: asyncio.AbstractEventLoop, lifeline_fd: int) -> None:
        loop.remove_reader(lifeline_fd)
        self.first.set()

    def _count(self, number: int, frame: FrameType | None) -> None:
        if self._loop.is_closed():  # what ran in it has ended otherwise
            raise KeyboardInterrupt
        self._asked += 1
        if self._asked == 1:
            self._loop.call_soon_threadsafe(self.first.set)
        else:
            self._end_at_once(number, frame)

    def _end_at_once(self, number: int, frame: FrameType | None) -> None:
        if self.is_forced:
            return  # or whoever asks again and again would put the alarm off
        self.is_forced = True
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, ALARM_S)
        self._loop.call_soon_threadsafe(self.first.set)
        self._loop.call_soon_threadsafe(self.second.set)


def end_at_next_signal(context: WorkerContext | None = None) -> None:
    """The work is done, and what is left may take a moment: who asks (again) does not wait for it."""
    # A worker of several gets a SIGTERM from each who sends it to all: that is not a second one.
    for number in (signal.SIGTERM, signal.SIGINT) if context is None else (AT_ONCE,):
        signal.signal(number, _leave_at_once)


def _leave_at_once(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(ENDED_AT_ONCE)
