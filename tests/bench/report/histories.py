"""Series as `bench.count` has them, to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One revision."""

    revision: str
    committed: str
    instructions: float
    system_calls: float
    time_us: float | None
    growth: float | None
    is_regression: bool


@dataclass(frozen=True)
class Series:
    """Revisions of one kind of request."""

    case: str
    parameters: str
    points: Sequence[Point]


def series(*instructions: float) -> Series:
    """Make one of such costs, a day and a revision each."""
    points = []
    before: float | None = None
    for number, cost in enumerate(instructions, 1):
        growth = None if before is None else cost / before - 1
        grew = growth is not None and growth > 0.03
        points.append(Point(f"{number:012x}", f"2026-11-{number:02}", cost, 4.0, None, growth, grew))
        before = cost
    return Series("login", "a login, its reply of 130 B", tuple(points))
