"""Two results of one machine beside each other: how each figure changed, and a verdict by its intervals.

Two results come from different times, so nothing of one pairs with the other, and the machine may have been slower at one of
them. Where both measured the same reference in the same turns (the floor, or else a peer), each figure is taken as its ratio to
the reference's: what slowed both cancels out. Knows no files and no reasons for a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bench.errors import Incomparable
from bench.judge.intervals import FEWEST, Estimate
from bench.measure.figures import Measurement, paired
from bench.measure.machine import check_comparable
from bench.measure.results import Result
from bench.measure.scenarios import FLOOR, INTERPRETED, SUBJECT

# What is judged: the field of a round, its title, whether more is better, and whether a slow machine makes it worse.
JUDGED: Final = (
    ("requests_per_s", "requests/s", True, True),
    ("cpu_us", "CPU µs", False, True),
    ("p99_ms", "p99 ms", False, True),
    ("memory_kib", "memory KiB", False, False),
    ("idle_connection_bytes", "bytes per idle connection", False, False),
    ("start_ms", "start ms", False, False),
)
NOISE: Final = 0.02  # a smaller difference is none, however narrow the intervals are
# What makes figures different that no reference takes out. Others are noted.
DECISIVE: Final = ("hosts", "smoke", "connections", "service_cores", "load_cores")
SLICES: Final = "slice_s"  # the setting of a run that measures all services by turns while they stay up
DEFAULTS: Final = {"hosts": "one", "smoke": False}


class Verdict(Enum):
    """What a difference means."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference"  # the intervals leave room for no more than noise
    UNDECIDED = "undecided"
    UNSURE = f"too few rounds to say: {FEWEST} are needed"


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one service in one scenario, before and after."""

    service: str
    scenario: str
    figure: str
    before: Estimate
    after: Estimate
    ratio: float  # of after to before; where there is a reference, of their ratios to it
    reference: str  # the service that both are compared by, or ""
    verdict: Verdict


def compare(one: Result, other: Result) -> list[Change]:
    """Compare all that both have measured.

    Raises:
        Incomparable: they are of different machines, were measured differently, or one CPU is emulated.
    """
    check_comparable(one.machine, other.machine)
    check_same_way(one, other)
    changes = []
    for before in one.measurements:
        after = other.find(before.service, before.scenario)
        if after is None or before.settings != after.settings:
            continue
        for field, title, more_is_better, is_timed in JUDGED:
            first, second = Estimate.of(before.values(field)), Estimate.of(after.values(field))
            if first is None or second is None:
                continue
            reference = _reference(one, other, before, field) if is_timed else ""
            by_reference = (_by(one, before, reference, field), _by(other, after, reference, field))
            judged = by_reference[0] or first, by_reference[1] or second
            ratio = judged[1].value / judged[0].value if judged[0].value else 0.0
            verdict = judge(*judged, more_is_better=more_is_better)
            changes.append(Change(before.service, before.scenario, title, first, second, ratio, reference, verdict))
    return changes


def check_same_way(one: Result, other: Result) -> None:
    """Let only results pass whose settings make the same figures of the same service.

    Raises:
        Incomparable: they do not.
    """
    differing = [
        f"{name.replace('_', ' ')}: {mine} and {theirs}"
        for name in DECISIVE
        if (mine := one.settings.get(name, DEFAULTS.get(name)))
        != (theirs := other.settings.get(name, DEFAULTS.get(name)))
    ]
    if (SLICES in one.settings) != (SLICES in other.settings):
        differing.append("one by slices in turn, the other by rounds of their own start")
    if differing:
        raise Incomparable(f"they were measured differently ({'; '.join(differing)})")


def judge(before: Estimate, after: Estimate, *, more_is_better: bool) -> Verdict:
    """Judge by the intervals: a difference counts when they do not meet and the figures differ by more than noise."""
    if before.between is None or after.between is None:
        return Verdict.UNSURE
    (low, high), (later_low, later_high) = before.between, after.between
    if later_high <= low * (1 + NOISE) and later_low >= high * (1 - NOISE):
        return Verdict.SAME
    apart = later_low > high or later_high < low
    if not apart or abs(after.value - before.value) <= NOISE * abs(before.value):
        return Verdict.UNDECIDED
    return Verdict.BETTER if (after.value > before.value) == more_is_better else Verdict.WORSE


def outline(one: Result, other: Result, changes: Sequence[Change]) -> Iterator[str]:
    """Write it for people."""
    yield f"{one.label} ({one.revision}) against {other.label} ({other.revision})"
    yield f"{one.machine.cpu}, {one.machine.cores} cores"
    if one.machine.kernel != other.machine.kernel:
        yield f"Note: the kernels differ ({one.machine.kernel}, {other.machine.kernel})."
    for name in sorted(one.settings.keys() & other.settings.keys()):
        if one.settings[name] != other.settings[name]:
            yield f"Note: {name} was {one.settings[name]} and {other.settings[name]}."
    for name in sorted(one.versions.keys() & other.versions.keys()):
        if one.versions[name] != other.versions[name]:
            yield f"Note: {name} was {one.versions[name]} and {other.versions[name]}."
    for before in one.measurements:
        after = other.find(before.service, before.scenario)
        if after is not None and before.settings != after.settings:
            settings = f"{_words(before.settings)} and {_words(after.settings)}"
            yield f"Note: {before.scenario} of {before.service} is not compared: its settings were {settings}."
    heading = ""
    for change in changes:
        if heading != (heading := f"{change.scenario} · {change.service}"):
            yield f"\n{heading}"
        ratio = f"{change.ratio:.2f}×" if change.ratio else ""
        by = f", as a ratio to {change.reference}" if change.reference else ""
        yield (
            f"  {change.figure:26}{_figure(change.before)} → {_figure(change.after)}  {ratio:>6}  {change.verdict.value}{by}"
        )
    if not changes:
        yield "The results have no measurement in common."


def _reference(one: Result, other: Result, measured: Measurement, field: str) -> str:
    """Return the service by which both are compared: one that both measured in the same turns as this one, and often enough."""
    candidates = [name for name in one.services if name not in (measured.service, SUBJECT, INTERPRETED)]
    for name in sorted(candidates, key=lambda name: name != FLOOR):
        by = [_by(result, measured, name, field) for result in (one, other)]
        if all(estimate is not None and estimate.between is not None for estimate in by):
            return name
    return ""


def _by(result: Result, measured: Measurement, reference: str, field: str) -> Estimate | None:
    """Estimate a figure's ratio to that of the reference."""
    mine, theirs = (result.find(name, measured.scenario) for name in (measured.service, reference))
    return None if mine is None or theirs is None else Estimate.of(paired(mine, theirs, field))


def _figure(estimate: Estimate) -> str:
    between = "" if estimate.between is None else "({} to {})".format(*(_number(end) for end in estimate.between))
    return f"{_number(estimate.value):>9} {between:20}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _words(settings: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in settings.items()) or "none"
