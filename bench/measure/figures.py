"""What was measured: a round, the rounds of one service in one scenario, their median and spread.

Knows no files and no clock; every unit is part of a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

# What is shown and compared, in reading order: the field of a round, its title, and whether more is better.
SHOWN: Final = (
    ("requests_per_s", "requests/s", True),
    ("cpu_us", "CPU µs per request", False),
    ("cpu_user_us", "of it user", False),
    ("cpu_system_us", "of it system", False),
    ("p50_ms", "p50 ms", False),
    ("p90_ms", "p90 ms", False),
    ("p99_ms", "p99 ms", False),
    ("p999_ms", "p99.9 ms", False),
    ("max_ms", "max ms", False),
    ("memory_kib", "memory KiB", False),
    ("idle_connection_bytes", "bytes per idle connection", False),
    ("start_ms", "start ms", False),
)
# The percentiles of a curve. wrk and the open loop are asked for the same ones.
PERCENTILES: Final = (10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0)
# Of the cores that a load generator can use: above it, the generator may be the limit.
BUSY_MARK: Final = 0.95

_NUMBER: Final = re.compile(r"\d[\d.,]*")

Curve = tuple[tuple[float, float], ...]  # percentile, milliseconds


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator saw."""

    requests: int
    seconds: float
    curve: Curve
    errors: int
    generator_cpu_s: float
    marks: tuple[str, ...] = ()

    def at(self, percentile: float) -> float:
        """Return the latency at one of `PERCENTILES`, in milliseconds."""
        return dict(self.curve)[percentile]

    def and_then(self, other: Load) -> Load:
        """Return both as one. Its curve is that of the slower half, which says no less than the truth."""
        slower = self if self.at(99) > other.at(99) else other
        return Load(
            self.requests + other.requests,
            self.seconds + other.seconds,
            slower.curve,
            self.errors + other.errors,
            self.generator_cpu_s + other.generator_cpu_s,
            tuple(dict.fromkeys(self.marks + other.marks)),
        )


@dataclass(frozen=True, slots=True)
class Round:
    """One service in one scenario, once."""

    requests: int
    seconds: float
    requests_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    cpu_us: float  # of the service's whole tree, per request
    cpu_user_us: float
    cpu_system_us: float
    memory_kib: int
    service_cores: float  # that were busy, of the service, the load generator and the remote
    generator_cores: float
    remote_cores: float
    others_cores: float  # busy with other programs
    errors: int
    void: bool  # it had errors, or was disturbed: its figures do not count
    idle_connection_bytes: float | None = None
    start_ms: float | None = None  # from the process's start to its first answer
    marks: tuple[str, ...] = ()  # what a reader has to know about the figure
    turn: int = 0  # rounds of one turn were measured within seconds of each other


@dataclass(frozen=True, slots=True)
class Measurement:
    """All rounds of one service in one scenario."""

    service: str
    scenario: str
    rounds: tuple[Round, ...]
    curve: Curve = ()
    settings: dict[str, float] = field(default_factory=dict)  # of this measurement alone: an open loop's rate

    def by_turn(self) -> dict[int, Round]:
        """Return the rounds that count, by their turn."""
        return {one.turn: one for one in self.rounds if not one.void}

    @property
    def is_void(self) -> bool:
        """Whether no round of it can be used."""
        return all(one.void for one in self.rounds)

    @property
    def marks(self) -> list[str]:
        """The marks of its rounds. Marks that differ only in their numbers are listed once, with their count."""
        found: dict[str, list[str]] = {}
        for one in self.rounds:
            for mark in one.marks:
                found.setdefault(_NUMBER.sub("#", mark), []).append(mark)
        of = f" of {len(self.rounds)} rounds" if len(self.rounds) > 1 else ""
        return [f"{marks[0]}{f' (in {len(marks)}{of})' if of else ''}" for marks in found.values()]

    def values(self, name: str) -> list[float]:
        """Return one figure of every round that is not void and has it."""
        found = (getattr(one, name) for one in self.rounds if not one.void)
        return [value for value in found if value is not None]

    def median(self, name: str) -> float | None:
        """Return the median of one figure, None where it was not measured."""
        values = self.values(name)
        return median(values) if values else None

    def spread(self, name: str) -> float | None:
        """Return how far the rounds lie apart, as a share of their median."""
        return spread(self.values(name))


def paired(mine: Measurement, theirs: Measurement, name: str) -> list[float]:
    """Return the ratio of one figure for each turn in which both have it: what slowed both cancels out."""
    others = theirs.by_turn()
    pairs = [
        (getattr(one, name), getattr(others[turn], name)) for turn, one in mine.by_turn().items() if turn in others
    ]
    return [one / other for one, other in pairs if one is not None and other]


def spread(values: Sequence[float]) -> float | None:
    """Return (largest - smallest) / median; None for fewer than two values or a median of 0."""
    if len(values) < 2:
        return None
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else None


def median_curve(curves: Sequence[Curve]) -> Curve:
    """Return the curve whose every point is the median of those of the given ones."""
    if not curves:
        return ()
    return tuple(
        (percentile, round(median(dict(curve)[percentile] for curve in curves), 4)) for percentile, _ in curves[0]
    )
