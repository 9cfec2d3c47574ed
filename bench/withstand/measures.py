"""What was measured of a row, as values. Knows no process and no verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Honest:
    """What the honest client saw in one stretch of time."""

    requests: int
    latencies_ms: Sequence[float] = ()  # ascending, of those that did not fail
    reasons: Mapping[str, int] = field(default_factory=dict)  # of failures
    # Failures that no service can prevent: on a connection to a killed worker, or by a stray reply that looked like the answer.
    excused: int = 0

    @property
    def p50_ms(self) -> float:
        """The median."""
        return percentile(self.latencies_ms, 0.5)

    @property
    def p99_ms(self) -> float:
        """What one in a hundred is above."""
        return percentile(self.latencies_ms, 0.99)

    @property
    def max_ms(self) -> float:
        """The longest."""
        return percentile(self.latencies_ms, 1.0)

    @property
    def failures(self) -> int:
        """How many requests failed."""
        return sum(self.reasons.values())


@dataclass(frozen=True, slots=True)
class Usage:
    """What the largest process of the service holds. `peak_kib` is VmHWM, `resident_kib` VmRSS (proc_pid_status(5))."""

    resident_kib: int
    peak_kib: int
    files: int  # open in all of its processes


@dataclass(frozen=True, slots=True)
class Done:
    """What an attack did. `void` says why it was none: it could not connect, it died, it did too little."""

    counts: Mapping[str, int] = field(default_factory=dict)
    void: str = ""
    wrong: str = ""  # answers that were not what they should be


@dataclass(frozen=True, slots=True)
class Run:
    """One time of an attack."""

    honest: Honest
    done: Done
    files_most: int
    after: Usage  # a second after its end
    service_share: float  # of one core, while it lasted
    other_share: float  # of the core with the honest client
    idle_share: float | None  # of one core, a second after its end; None: not measured
    foreign_share: float = 0.0  # of one core, that was used by what the battery did not start


@dataclass(frozen=True, slots=True)
class Row:
    """One attack with its runs. A trial has no runs: it brings its verdict along."""

    name: str
    about: str
    unloaded_p50_ms: float = 0.0
    before: Usage | None = None
    runs: Sequence[Run] = ()
    problems: Sequence[str] = ()  # that were found by the row itself
    void: str = ""
    note: str = ""


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the ordered values that at least this share is not above. 0 when there is none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
