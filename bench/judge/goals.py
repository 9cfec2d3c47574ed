"""A goal: which figure has to stand how against which, and whether a result shows it. Every number is computed from the result.

`bench.judge.table` lists all goals. Knows no files and no pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bench.judge.intervals import Estimate
from bench.measure.figures import BUSY_MARK, Measurement, paired
from bench.measure.results import Result
from bench.measure.scenarios import NAMES, SUBJECT

RATE: Final = "requests_per_s"
CPU: Final = "cpu_us"
P99: Final = "p99_ms"
WITHOUT_REASON: Final = "was not measured in"
BY_CPU: Final = "by CPU time: the load generator or the remote was at its limit"
QUEUED_ELSEWHERE: Final = (
    "the load generator or the remote was at its limit, and requests queued there; a lower --rate decides"
)


class Judged(Enum):
    """Whether a figure keeps a bound."""

    REACHED = "reached"  # its whole interval does
    MISSED = "not reached"  # its whole interval does not
    UNDECIDED = "undecided"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Side:
    """One service in one scenario."""

    service: str
    scenario: str

    @property
    def name(self) -> str:
        """What people call the service, without what it does."""
        return NAMES.get(self.service, self.service).partition(" (")[0]


@dataclass(frozen=True, slots=True)
class Goal:
    """One row: a figure of `mine`, or its ratio to that of `theirs`."""

    what: str
    mine: Side
    theirs: Side | None
    field: str  # of a round
    must: float
    aim: float
    at_most: bool = True  # else at least
    unit: str = "×"
    scale: float = 1.0  # of the field in the unit
    against: str = ""  # for people; else the name of `theirs`

    @property
    def rival(self) -> str:
        """What it is compared with, empty where it stands alone."""
        return self.against or (self.theirs.name if self.theirs else "")

    @property
    def title(self) -> str:
        """What it is about, in one line."""
        return f"{self.what} against {self.rival}" if self.rival else self.what

    def bound(self, value: float) -> str:
        """Write what is required."""
        return f"{'≤' if self.at_most else '≥'} {value:g} {self.unit}"

    def judge(self, estimate: Estimate, bound: float) -> Judged:
        """Judge by the interval."""
        if estimate.between is None:
            return Judged.UNDECIDED
        low, high = estimate.between
        if high <= bound if self.at_most else low >= bound:
            return Judged.REACHED
        if low > bound if self.at_most else high < bound:
            return Judged.MISSED
        return Judged.UNDECIDED


@dataclass(frozen=True, slots=True)
class Standing:
    """A goal and what came of it."""

    goal: Goal
    estimate: Estimate | None  # of the figure, or of the ratios of all turns
    must: Judged
    aim: Judged
    by_cpu: Estimate | None = None  # where requests/s say too little: the same ratio by CPU time, and judged by it
    why: str = ""  # it is undecided, not measured, or judged by something else

    @property
    def judged_by(self) -> Estimate | None:
        """The figure that the verdict comes from."""
        return self.by_cpu or self.estimate


def standings(result: Result, goals: Sequence[Goal]) -> list[Standing]:
    """Judge a result by some goals."""
    return [stand(goal, result) for goal in goals]


def stand(goal: Goal, result: Result) -> Standing:
    """Judge it by one goal."""
    mine, theirs = (
        None if side is None else result.find(side.service, side.scenario) for side in (goal.mine, goal.theirs)
    )
    estimate = None if mine is None else Estimate.of(_values(goal, goal.field, mine, theirs))
    if mine is None or estimate is None:
        return Standing(goal, None, Judged.UNKNOWN, Judged.UNKNOWN, why=_missing(goal, result))
    by_cpu, why = None, ""
    limited = theirs is not None and (is_limited(result, mine) or is_limited(result, theirs))
    if limited and goal.field == RATE:
        by_cpu, why = Estimate.of([1 / ratio for ratio in _values(goal, CPU, mine, theirs) if ratio]), BY_CPU
    if nothing_decided := undecidable(result) or (QUEUED_ELSEWHERE if limited and goal.field == P99 else ""):
        return Standing(goal, estimate, Judged.UNDECIDED, Judged.UNDECIDED, by_cpu, nothing_decided)
    judged_by = by_cpu or estimate
    if judged_by.between is None:
        why = f"too few rounds for an interval: {judged_by.count}"
    return Standing(goal, estimate, goal.judge(judged_by, goal.must), goal.judge(judged_by, goal.aim), by_cpu, why)


def undecidable(result: Result) -> str:
    """Say why no figure of this result decides anything; empty if they may."""
    if result.machine.emulated:
        return "the CPU is emulated: its speed says nothing"
    return "a smoke run is too short for figures" if result.is_smoke else ""


def is_limited(result: Result, measured: Measurement) -> bool:
    """Whether the load generator or the remote was at its limit: a faster service would not have had more requests/s."""
    generator, remote = (measured.median(field) or 0.0 for field in ("generator_cores", "remote_cores"))
    threads, shared = (result.settings.get(name) or 0 for name in ("threads", "load_cores"))
    return (
        generator >= BUSY_MARK * max(1, threads)
        or remote >= BUSY_MARK
        or (shared > 0 and generator + remote >= BUSY_MARK * shared)
    )


def in_short(judged: Sequence[Standing]) -> str:
    """Count them in a sentence or two, and name those that are not reached."""
    known = [one for one in judged if one.must is not Judged.UNKNOWN]
    if not known:
        return "none was measured."
    reached = [one for one in known if one.must is Judged.REACHED]
    aimed = sum(one.aim is Judged.REACHED for one in reached)
    parts = [f"{len(reached)} of {len(known)} reached, {aimed} of them with their aim"]
    undecided = sum(one.must is Judged.UNDECIDED for one in known)
    parts += [f"{undecided} undecided"] if undecided else []
    parts += [f"{len(judged) - len(known)} not measured"] if len(known) < len(judged) else []
    missed = [one.goal.title for one in known if one.must is Judged.MISSED]
    return f"{', '.join(parts)}." + (f" Not reached: {'; '.join(missed)}." if missed else "")


def _values(goal: Goal, field: str, mine: Measurement, theirs: Measurement | None) -> list[float]:
    if goal.theirs is None:
        return [value * goal.scale for value in mine.values(field)]
    return [] if theirs is None else paired(mine, theirs, field)


def _missing(goal: Goal, result: Result) -> str:
    """Say what a figure lacks."""
    for side in (goal.mine, goal.theirs):
        if side is None:
            continue
        found = result.find(side.service, side.scenario)
        if found is None:
            skipped = [
                why
                for service, scenario, why in result.skipped
                if service == side.service and scenario in ("", side.scenario)
            ]
            return f"{side.name}: {skipped[0]}" if skipped else f"{side.name} {WITHOUT_REASON} {side.scenario}"
        if found.is_void:
            return f"{side.name}: every round of {side.scenario} is void{f', {found.marks[0]}' if found.marks else ''}"
    return "no turn has both" if goal.theirs else f"{goal.mine.scenario} has no such figure"


def cost(what: str, scenario: str, peer: str, must: float, aim: float, *, field: str = CPU) -> Goal:
    """Make a goal on the subject's CPU time a request, or another figure of which less is better, against a peer."""
    return Goal(what, Side(SUBJECT, scenario), Side(peer, scenario), field, must, aim)


def rate(what: str, scenario: str, peer: str, must: float, aim: float, *, subject: str = SUBJECT) -> Goal:
    """Make a goal on requests/s against a peer."""
    return Goal(what, Side(subject, scenario), Side(peer, scenario), RATE, must, aim, at_most=False)


def within(what: str, scenario: str, other: str, against: str, must: float, aim: float) -> Goal:
    """Make a goal on what one scenario costs the subject against another one."""
    return Goal(what, Side(SUBJECT, scenario), Side(SUBJECT, other), CPU, must, aim, against=against)


def alone(what: str, scenario: str, field: str, must: float, aim: float, unit: str, scale: float = 1.0) -> Goal:
    """Make a goal on a figure of the subject itself."""
    return Goal(what, Side(SUBJECT, scenario), None, field, must, aim, unit=unit, scale=scale)
