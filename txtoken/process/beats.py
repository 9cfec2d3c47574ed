"""Finds workers that hang, by heartbeats in shared memory. Kills none of them.

At each beat the loop of a worker adds one to its count. The supervisor measures with its own clock how long a count stays the
same, so no clocks are compared across processes. If the supervisor itself did not run (stopped, or the machine was suspended), it
starts measuring again.
"""

from __future__ import annotations

import mmap
from typing import Final

CELL_BYTES: Final = 8
HANG_S: Final = 10.0  # a worker without a beat for this long is replaced (contract §4.3)
LOOKS_PER_HANG: Final = 10  # often enough to notice that the supervisor itself did not run


class Beats:
    """One count for each worker. Make it before the workers are forked."""

    __slots__ = ("_counts",)

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, workers * CELL_BYTES)).cast("Q")  # anonymous and shared

    def beat(self, number: int) -> None:
        """Count a beat of this worker: its loop runs."""
        self._counts[number] = (self._counts[number] + 1) & 0xFFFF_FFFF

    def count(self, number: int) -> int:
        """Return the count of this worker. Only its changes matter: it wraps around."""
        return self._counts[number]


class BeatWatch:
    """Finds workers whose beat has stopped. Call `look` every `period_s`. All times are in seconds of one clock."""

    __slots__ = ("_beats", "_hang_s", "_last_look", "_seen", "period_s")

    def __init__(self, beats: Beats, hang_s: float) -> None:
        self._beats = beats
        self._hang_s = hang_s
        self.period_s = hang_s / LOOKS_PER_HANG
        self._last_look: float | None = None
        self._seen: dict[int, tuple[int, float]] = {}  # by worker: its last count, and its time

    def begin(self, number: int, now: float) -> None:
        """Watch this worker, which has just started."""
        self._seen[number] = self._beats.count(number), now

    def end(self, number: int) -> None:
        """Stop watching this worker: it has ended."""
        self._seen.pop(number, None)

    def look(self, now: float) -> list[int]:
        """Return the workers that have not beaten for `hang_s`. Each is returned once."""
        was_late = self._last_look is not None and now - self._last_look > 2 * self.period_s
        self._last_look = now
        hanging = []
        for number, (count, since) in tuple(self._seen.items()):
            found = self._beats.count(number)
            if was_late or found != count:
                self._seen[number] = found, now
            elif now - since >= self._hang_s:
                hanging.append(number)
                del self._seen[number]
        return hanging
