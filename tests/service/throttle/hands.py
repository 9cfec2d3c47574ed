"""A clock that is set by hand, and a throttle by it."""

from __future__ import annotations

from typing import Final

from txtoken.service.throttle.counts import LoginCounts
from txtoken.service.throttle.table import Table
from txtoken.service.throttle.throttle import Throttle
from txtoken.settings import ThrottleSettings

START_S: Final = 1000.25  # of the clock
RULES: Final = ThrottleSettings("/user")
NAME: Final = 0x1_5678_9ABC  # keys
ADDRESS: Final = 0x0_CBA9_8765
OTHER_NAME: Final = 0x1_1112_2223


class Hand:
    """A clock that goes on when somebody turns it."""

    def __init__(self, now: float = START_S) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds


class Room:
    """A throttle, its table, its clock and what it counts."""

    def __init__(self, rules: ThrottleSettings = RULES, *, buckets: int = 64, now: float = START_S) -> None:
        self.hand = Hand(now)
        self.table = Table(buckets, clock=self.hand)
        self.counts = LoginCounts()
        self.throttle = Throttle(rules, self.table, self.counts)

    def waits(self, keys: list[int] | None = None) -> int:
        """Return for how long an attempt would be refused now. It is not counted."""
        attempt = self.throttle.begin(keys or [NAME, ADDRESS], clears=True)
        self.throttle.take_back(attempt)
        return attempt.wait_s

    def fail(self, times: int, keys: list[int] | None = None) -> None:
        """Fail so many times, one after the other. None of them is refused."""
        for number in range(times):
            attempt = self.throttle.begin(keys or [NAME, ADDRESS], clears=True)
            assert attempt.wait_s == 0, f"after {number} failures"
            self.throttle.fail(attempt)

    def words(self) -> list[int]:
        """Return all that is in the table."""
        return [word for word in self.table._words if word]
