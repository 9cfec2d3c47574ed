"""The timer of a process, for deadlines and for the start of each second. Knows nothing of the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from txtoken.clock import Clock


class Heartbeat:
    """One timer for the process, instead of one for each request. `start` it once.

    Every `period_s()` seconds, and at the start of each second, it calls `work` with the loop's time and the beat's delay in
    seconds. Exceptions go to `on_crash`: without the next beat, no deadline would be met.
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
        """Start to beat."""
        second_left = self._clock.tick()
        now = self._loop.time()
        try:
            self._work(now, max(0.0, now - self._due))
        except Exception as error:  # noqa: BLE001 - see above
            self._on_crash(error)
        # Waking up right after the start of a second keeps `exp` and Date accurate to a few milliseconds.
        wait_s = min(self._period_s(), second_left + 0.001)
        self._due = self._loop.time() + wait_s
        self._timer = self._loop.call_later(wait_s, self.start)

    def stop(self) -> None:
        """Stop beating."""
        if self._timer is not None:
            self._timer.cancel()
