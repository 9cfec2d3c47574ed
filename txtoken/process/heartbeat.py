"""The timer by which a process acts on time: deadlines, and the turn of each second. Knows nothing of what is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from txtoken.clock import Clock


class Heartbeat:
    """One timer for the process, in place of one a request. `start` it once.

    Every `period_s()` seconds, and as each second begins, `work` is called with the loop's time and with how late the beat is, in
    seconds. What it raises goes to `on_crash`: the next beat must come, or time stands still for all deadlines.
    """

    __slots__ = ("_clock", "_due", "_loop", "_on_crash", "_period_s", "_timer", "_work")

    def __init__(
        self,
        clock: Clock,
        period_s: Callable[[], float],
        work: Callable[[float, float], object],
        on_crash: Callable[[Exception], object],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._period_s = period_s
        self._work = work
        self._on_crash = on_crash
        self._due = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Beat, and again and again."""
        second_left = self._clock.tick()
        now = self._loop.time()
        try:
            self._work(now, max(0.0, now - self._due))
        except Exception as error:  # noqa: BLE001 - see above
            self._on_crash(error)
        # Waking up right after the turn of a second keeps `exp` and Date right to a few milliseconds.
        wait_s = min(self._period_s(), second_left + 0.001)
        self._due = self._loop.time() + wait_s
        self._timer = self._loop.call_later(wait_s, self.start)

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
