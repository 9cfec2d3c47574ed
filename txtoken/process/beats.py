"""The signs of life of workers, in memory that they share with their supervisor, and which of them have stopped. Ends nobody.

A beat is a number that a worker's loop raises; only the supervisor's own observations count, so no clocks are compared across
processes, and a supervisor that did not run meanwhile (the machine slept, it was stopped) counts anew.
"""

from __future__ import annotations

import mmap
from typing import Final

CELL_BYTES: Final = 8
HANG_S: Final = 10.0  # without a beat: the worker is replaced (contract §4.3)
LOOKS_PER_HANG: Final = 10  # so that a supervisor that came late is noticed


class Beats:
    """One number a worker. Make it before the workers are forked."""

    __slots__ = ("_counts",)

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, workers * CELL_BYTES)).cast("Q")  # anonymous and shared

    def beat(self, number: int) -> None:
        """The loop of this worker runs."""
        self._counts[number] = (self._counts[number] + 1) & 0xFFFF_FFFF

    def count(self, number: int) -> int:
        """Return how often this worker has beaten: to be compared with what it was."""
        return self._counts[number]


class BeatWatch:
    """Notices workers whose beat has stopped. `look` at them every `period_s`; all times are in seconds of one clock."""

    __slots__ = ("_beats", "_hang_s", "_last_look", "_seen", "period_s")

    def __init__(self, beats: Beats, hang_s: float = HANG_S) -> None:
        self._beats = beats
        self._hang_s = hang_s
        self.period_s = hang_s / LOOKS_PER_HANG
        self._last_look: float | None = None
        self._seen: dict[int, tuple[int, float]] = {}  # by worker: its last count, and since when it is that

    def begin(self, number: int, now: float) -> None:
        """A worker was started in this place: it has its time from now on."""
        self._seen[number] = self._beats.count(number), now

    def end(self, number: int) -> None:
        """The worker in this place is no more."""
        self._seen.pop(number, None)

    def look(self, now: float) -> list[int]:
        """Return the places of those whose beat has stopped for too long. Each is named once."""
        was_away = self._last_look is not None and now - self._last_look > 2 * self.period_s
        self._last_look = now
        hanging = []
        for number, (count, since) in tuple(self._seen.items()):
            found = self._beats.count(number)
            if was_away or found != count:
                self._seen[number] = found, now
            elif now - since >= self._hang_s:
                hanging.append(number)
                del self._seen[number]
        return hanging
