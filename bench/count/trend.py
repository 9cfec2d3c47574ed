"""How the costs changed from revision to revision, and where they grew too much. Only equal fingerprints are compared.

Knows histories; counts nothing and reads no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.count.fingerprint import Fingerprint
from bench.count.history import Count, Line
from bench.count.names import CLOCKS

GROWTH_MAX: Final = 0.03  # the share of a request's instructions that a revision may add: seeds alone move it by 0.9 %
_BAR: Final = 24  # letters of the longest


@dataclass(frozen=True, slots=True)
class Point:
    """One revision in a series."""

    revision: str
    committed: str
    instructions: float
    system_calls: float  # without clocks, which are none outside the emulator
    time_us: float | None  # CPU time, where it was measured on hardware
    growth: float | None  # as a share of the revision before; None for the first one

    @property
    def is_regression(self) -> bool:
        """Whether it costs too much more than the one before."""
        return self.growth is not None and self.growth > GROWTH_MAX


@dataclass(frozen=True, slots=True)
class Series:
    """One case under one fingerprint: figures that can be compared, oldest first."""

    case: str
    parameters: str
    fingerprint: Fingerprint
    points: tuple[Point, ...]
    differences: tuple[str, ...] = ()  # of its conditions from those of the same case's and build's series before


def trend(lines: Sequence[Line]) -> list[Series]:
    """Make the series of a history, in the order in which they begin."""
    series: dict[tuple[str, str, str], Series] = {}
    latest: dict[tuple[str, str], Fingerprint] = {}
    for line in lines:
        for case, count in line.counts.items():
            key = (case, count.parameters, line.fingerprint.id)
            before = latest.get((case, line.fingerprint.build), line.fingerprint)
            latest[case, line.fingerprint.build] = line.fingerprint
            changed = tuple(line.fingerprint.differences(before))
            known = series.get(key) or Series(case, count.parameters, line.fingerprint, (), changed)
            last = known.points[-1].instructions if known.points else None
            point = Point(
                revision=line.revision,
                committed=line.committed,
                instructions=count.instructions,
                system_calls=round(sum(times for name, times in count.system_calls.items() if name not in CLOCKS), 3),
                time_us=line.times.get(case),
                growth=None if last is None else growth(last, count.instructions),
            )
            series[key] = replace(known, points=(*known.points, point))
    return list(series.values())


def growth(before: float, now: float) -> float:
    """Return how much more it costs now, as a share: rounded, so that exactly the limit is not more than the limit."""
    return round(now / before - 1, 6)


def last_comparable(lines: Sequence[Line], fingerprint: Fingerprint, case: str, count: Count) -> Line | None:
    """Return the last line in which the same was counted under the same conditions, None where there is none."""
    for line in reversed(lines):
        known = line.counts.get(case)
        if line.fingerprint == fingerprint and known is not None and known.parameters == count.parameters:
            return line
    return None


def table(series: Sequence[Series]) -> Iterator[str]:
    """Write series for people, line by line."""
    for one in series:
        yield f"{one.case} ({one.parameters})"
        yield f"  {one.fingerprint.summary}"
        if one.differences:
            yield f"  not comparable with the lines before: {'; '.join(one.differences)}"
        most = max(point.instructions for point in one.points)
        for point in one.points:
            bar = "█" * round(_BAR * point.instructions / most)
            growth = "" if point.growth is None else f"{point.growth:+.1%}"
            time = "" if point.time_us is None else f"  {point.time_us:.1f} µs"
            mark = "  REGRESSION" if point.is_regression else ""
            yield (
                f"  {point.revision}  {point.committed[:16].replace('T', ' ')}  {point.instructions:12,.0f}  {growth:>7}"
                f"  {point.system_calls:5g} calls{time}  {bar}{mark}"
            )
        yield ""
