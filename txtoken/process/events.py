"""Wakes the supervisor: by signals, and by readable descriptors. Acts on none of them.

A handler only records its signal. Every signal ends the wait, by a byte on the wake-up socket (`signal.set_wakeup_fd`).
"""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Iterator
from math import inf
from types import FrameType
from typing import Final

HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_REQUESTS_TO_END: Final = (signal.SIGTERM, signal.SIGINT)


class Events:
    """Pending signals and watched descriptors. For the main thread of a process without an event loop."""

    __slots__ = ("_selector", "_signals", "_wake_up")

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_up = socket.socketpair()
        self._signals: list[int] = []  # pending signals

    def listen(self) -> None:
        """Handle signals from now on, including those that arrived while they were blocked."""
        for end in self._wake_up:
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake_up[1].fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, self._note)
        self._selector.register(self._wake_up[0], selectors.EVENT_READ)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

    def watch(self, fd: int) -> None:
        """End the wait when this descriptor is readable, until `forget`."""
        self._selector.register(fd, selectors.EVENT_READ, fd)

    def forget(self, fd: int) -> None:
        """Stop watching this descriptor. Call it before the descriptor is closed."""
        self._selector.unregister(fd)

    def wait(self, until: float) -> list[int]:
        """Wait for a signal, a descriptor or the time `until` (of `time.monotonic`). Returns the descriptors."""
        wait_s = until - time.monotonic()
        readable: list[int] = []
        for key, _ in self._selector.select(None if wait_s == inf else wait_s):
            if key.data is None:
                self._wake_up[0].recv(4096)
            else:
                readable.append(key.data)
        return readable

    def take_signals(self) -> Iterator[int]:
        """Return the pending signals in order, including those that arrive meanwhile."""
        while self._signals:
            yield self._signals.pop(0)

    def close_in_child(self) -> None:
        """In a new worker: restore the default actions of signals, and close the supervisor's wake-up descriptors.

        SIGINT is ignored: Ctrl-C reaches every process of a terminal, and the supervisor stops its workers.
        """
        signal.set_wakeup_fd(-1)
        for number in HANDLED:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
        self._selector.close()
        for end in self._wake_up:
            end.close()

    def _note(self, number: int, _: FrameType | None) -> None:
        # Every SIGTERM or SIGINT counts. Other signals are recorded once: a thousand reloads must not delay the shutdown.
        if number in _REQUESTS_TO_END or number not in self._signals:
            self._signals.append(number)
