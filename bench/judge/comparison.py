"""Two results of one machine beside each other: medians, how far the rounds lie apart, and a verdict.

Knows no files and no reasons for a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Final

from bench.measure.figures import spread
from bench.measure.machine import check_comparable
from bench.measure.results import Result

# What is judged: the field of a round, its title, whether more is better.
JUDGED: Final = (
    ("requests_per_s", "requests/s", True),
    ("cpu_us", "CPU µs", False),
    ("p99_ms", "p99 ms", False),
    ("memory_kib", "memory KiB", False),
    ("idle_connection_bytes", "bytes per idle connection", False),
)
NOISE: Final = 0.02  # a smaller difference is none, however close together the rounds are


class Verdict(Enum):
    """What the difference of two medians means."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference"
    UNSURE = "too few rounds to say"


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one service in one scenario, before and after."""

    service: str
    scenario: str
    figure: str
    before: float
    after: float
    spread_before: float | None
    spread_after: float | None
    verdict: Verdict


def compare(one: Result, other: Result) -> list[Change]:
    """Compare all that both have measured.

    Raises:
        Incomparable: they are of different machines, or one CPU is emulated.
    """
    check_comparable(one.machine, other.machine)
    changes = []
    for before in one.measurements:
        after = other.find(before.service, before.scenario)
        if after is None:
            continue
        for figure, title, more_is_better in JUDGED:
            values = before.values(figure), after.values(figure)
            if values[0] and values[1]:
                medians = median(values[0]), median(values[1])
                spreads = spread(values[0]), spread(values[1])
                verdict = judge(*values, more_is_better=more_is_better)
                changes.append(Change(before.service, before.scenario, title, *medians, *spreads, verdict))
    return changes


def judge(before: Sequence[float], after: Sequence[float], *, more_is_better: bool) -> Verdict:
    """Judge by the rounds: a difference counts when the two ranges do not touch and the medians differ by more than noise."""
    if len(before) < 2 or len(after) < 2:
        return Verdict.UNSURE
    first, second = median(before), median(after)
    apart = min(after) > max(before) or max(after) < min(before)
    if not apart or abs(second - first) <= NOISE * abs(first):
        return Verdict.SAME
    return Verdict.BETTER if (second > first) == more_is_better else Verdict.WORSE


def outline(one: Result, other: Result, changes: Sequence[Change]) -> Iterator[str]:
    """Write it for people."""
    yield f"{one.label} ({one.revision}) against {other.label} ({other.revision})"
    yield f"{one.machine.cpu}, {one.machine.cores} cores{', EMULATED' if one.machine.emulated else ''}"
    if one.machine.kernel != other.machine.kernel:
        yield f"Note: the kernels differ ({one.machine.kernel}, {other.machine.kernel})."
    for name in sorted(one.settings.keys() & other.settings.keys()):
        if one.settings[name] != other.settings[name]:
            yield f"Note: {name} was {one.settings[name]} and {other.settings[name]}."
    for name in sorted(one.versions.keys() & other.versions.keys()):
        if one.versions[name] != other.versions[name]:
            yield f"Note: {name} was {one.versions[name]} and {other.versions[name]}."
    heading = ""
    for change in changes:
        if heading != (heading := f"{change.scenario} · {change.service}"):
            yield f"\n{heading}"
        ratio = f"{change.after / change.before:.2f}×" if change.before else ""
        yield (
            f"  {change.figure:26}{change.before:12,.2f} {_share(change.spread_before):>7}"
            f"{change.after:12,.2f} {_share(change.spread_after):>7}  {ratio:>6}  {change.verdict.value}"
        )
    if not changes:
        yield "The results have no measurement in common."


def _share(value: float | None) -> str:
    return "" if value is None else f"±{value / 2:.1%}"
