"""A clock for turns of the loop that goes on when a test says so: a stall of the machine ends no turn."""

from __future__ import annotations


class Stopwatch:
    """Stands in for `time.perf_counter`."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def passes(self, seconds: float) -> None:
        """Let some time pass."""
        self._now += seconds
