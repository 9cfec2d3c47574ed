"""A row: an attack by a swarm, or interference with the service's files, signals and processes.

Knows no attack by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.withstand.measures import Row
from bench.withstand.stage import Stage
from bench.withstand.swarm import Plan


@dataclass(frozen=True, slots=True)
class Scale:
    """How long and how often."""

    seconds: float  # of an attack that has no count of its own
    share: float = 1.0  # of all counts of answers and connections

    def count(self, number: int) -> int:
        """Scale a count."""
        return max(1, round(number * self.share))

    def time(self, seconds: float) -> float:
        """Scale the time in which a count has to be reached."""
        return seconds * max(1.0, self.share)


@dataclass(frozen=True, slots=True)
class Attack:
    """A row that is attacked twice or more while the honest client measures itself."""

    name: str
    about: str
    plan: Callable[[Stage, Scale], Plan] | None = None
    meddle: Callable[[Stage, float], Mapping[str, int]] | None = None
    first_share: float = 1.0  # of the counts, in the first run
    expected: frozenset[int] = frozenset()  # statuses that attackers may get; none named: any
    lanes: str = ""  # of the honest client: those that begin so
    workers: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""  # where stdout goes: `full`, a full device; `stuck`, a pipe without a reader; else nowhere
    may_break: bool = False  # connections of the honest client, because their worker is killed
    is_quick: bool = False  # represents its kind in a quick run


@dataclass(frozen=True, slots=True)
class Trial:
    """A row that is tried once and judges itself."""

    name: str
    about: str
    run: Callable[[str, Scale], Row]  # the interpreter with the build
    is_quick: bool = False
