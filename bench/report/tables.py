"""A result as tables: goals, what a request costs each service, one scenario in all figures, one host beside three.

Knows which figure stands where and how it is written; whether a table becomes Markdown or HTML is not its business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bench.judge.claims import PERCENT, is_near, written
from bench.judge.goals import CPU, Goal, Judged, Standing, standings
from bench.judge.intervals import Estimate, Interval
from bench.measure.figures import SHOWN, Measurement, paired
from bench.measure.results import Result
from bench.measure.scenarios import FLOOR, NAMES, SCENARIOS, SUBJECT

SMALL: Final = 0.0995  # a smaller ratio has two digits of its own


class Kind(Enum):
    """What a cell means beside its number."""

    PLAIN = "plain"
    UNDECIDED = "undecided"
    VOID = "void"
    REACHED = "reached"
    MISSED = "missed"
    AHEAD = "ahead"  # the subject needs less, with the whole interval of their ratio
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Cell:
    """One of them. `value` is what it is sorted by, `detail` what stands smaller beside its text."""

    text: str
    value: float | None = None
    detail: str = ""
    kind: Kind = Kind.PLAIN
    is_best: bool = False  # of its figure
    standing: Standing | None = None  # an interval beside its bound, where it can be drawn


@dataclass(frozen=True, slots=True)
class Column:
    """The head of one."""

    title: str
    is_number: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below heads. The first cell of a row is its own head."""

    name: str  # of the place on a page
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()  # what a reader has to know about a row


def name_of(service: str) -> str:
    """What people call a service."""
    return NAMES.get(service, service)


def goal_table(result: Result, goals: Sequence[Goal], name: str, title: str) -> Table:
    """Make the table of some goals. Those that were not measured are notes."""
    judged = standings(result, goals)
    rows = tuple(_goal_row(one) for one in judged if one.must is not Judged.UNKNOWN)
    missing: dict[str, list[str]] = {}
    for one in judged:
        if one.must is Judged.UNKNOWN:
            missing.setdefault(one.why, []).append(one.goal.title)
    notes = tuple(f"Not measured: {'; '.join(titles)} ({why})." for why, titles in missing.items())
    columns = (*_words("goal", "against", "must", "aim"), Column("measured"), *_words(f"{PERCENT} interval", "verdict"))
    return Table(name, title, columns, rows, notes)


def cost_table(result: Result) -> Table:
    """Make the table of CPU time: a row a scenario, a column a service, and how the subject stands to each."""
    services = result.services
    rows = []
    for name in result.scenarios:
        found = {one.service: one for one in result.measurements if one.scenario == name}
        if len(found) < 2 or not any(any(one.values(CPU)) for one in found.values()):
            continue
        best = _best(list(found.values()), CPU, more_is_better=False)
        cells = [_cost(found.get(service), found.get(SUBJECT), is_best=service == best) for service in services]
        rows.append((Cell(name, detail=SCENARIOS[name].title if name in SCENARIOS else ""), *cells))
    columns = (*_words("scenario"), *(Column(name_of(service).partition(" (")[0]) for service in services))
    return Table("cost", "CPU µs per request", columns, tuple(rows))


def scenario_table(result: Result, name: str, *, fields: Sequence[str] = ()) -> Table:
    """Make the table of one scenario: a row a service. `fields`: only these figures."""
    measured = [one for one in result.measurements if one.scenario == name]
    rates = sorted({one.settings["rate_per_s"] for one in measured if "rate_per_s" in one.settings})
    about = [SCENARIOS[name].title] if name in SCENARIOS else []
    figures = [shown for shown in SHOWN if _is_shown(shown[0], fields, measured)]
    best = {field: _best(measured, field, more_is_better=more) for field, _, more in figures}
    subject = next((one for one in measured if one.service == SUBJECT), None)
    compares = subject is not None and len(measured) > 1 and any(field == CPU for field, _, _ in figures)
    rows = []
    for one in measured:
        cells = [_figure(one, field, is_best=best[field] == one.service) for field, _, _ in figures]
        ratio = [_ratio(subject, one)] if compares and subject is not None else []
        rows.append((Cell(name_of(one.service)), *cells, *ratio))
    heads = [title for _, title, _ in figures] + (["CPU, txtoken to it"] if compares else [])
    columns = (*_words("service"), *(Column(head) for head in heads))
    notes = tuple(f"{name_of(one.service)}: {mark}" for one in measured for mark in one.marks)
    return Table(name, ", ".join([*about, *(f"{rate:,.0f}/s" for rate in rates)]), columns, tuple(rows), notes)


def own_table(result: Result, *, fields: Sequence[str] = ()) -> Table:
    """Make the table of what only the subject was measured in: a row a scenario."""
    names = [name for name in result.scenarios if not is_shared(result, name)]
    measured = [one for one in result.measurements if one.scenario in names]
    figures = [shown for shown in SHOWN if _is_shown(shown[0], fields, measured)]
    rows = tuple(
        (
            Cell(one.scenario, detail=SCENARIOS[one.scenario].title if one.scenario in SCENARIOS else ""),
            *(_figure(one, field, is_best=False) for field, _, _ in figures),
        )
        for one in measured
    )
    notes = tuple(f"{one.scenario}: {mark}" for one in measured for mark in one.marks)
    subject = name_of(measured[0].service) if measured else ""
    columns = (*_words("scenario"), *(Column(title) for _, title, _ in figures))
    return Table("alone", f"{subject} alone", columns, rows, notes)


def is_shared(result: Result, scenario: str) -> bool:
    """Whether several services were measured in a scenario."""
    return sum(one.scenario == scenario for one in result.measurements) > 1


def hosts_table(one: Result, three: Result) -> Table:
    """Make the table of what the subject costs against each peer, on one host and on three. Each ratio is of one run."""
    rows = []
    for there in three.measurements:
        here = one.find(there.service, there.scenario)
        subject_here, subject_there = (result.find(SUBJECT, there.scenario) for result in (one, three))
        if there.service != SUBJECT and here is not None and subject_here is not None and subject_there is not None:
            ratios = _ratio(subject_here, here), _ratio(subject_there, there)
            rows.append((Cell(there.scenario), Cell(name_of(there.service)), *ratios))
    columns = (*_words("scenario", "against"), Column("one host"), Column("three hosts"))
    return Table("hosts", "CPU, txtoken to its peers, on one host and on three", columns, tuple(rows))


def verdict(standing: Standing) -> str:
    """Say what came of a goal, in a word or three."""
    if standing.must is Judged.REACHED and standing.aim is Judged.REACHED:
        return "reached, with its aim"
    return standing.must.value


def _words(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title, is_number=False) for title in titles)


def _goal_row(one: Standing) -> tuple[Cell, ...]:
    goal, by = one.goal, one.judged_by
    assert by is not None
    kind = {Judged.REACHED: Kind.REACHED, Judged.MISSED: Kind.MISSED}.get(one.must, Kind.UNDECIDED)
    measured = f"{_number(by.value, goal)} {goal.unit}"
    if one.by_cpu is not None and one.estimate is not None:
        measured += f" by CPU, {_number(one.estimate.value, goal)} {goal.unit} by requests/s"
    ends = "" if by.between is None else f"{_number(by.between[0], goal)} to {_number(by.between[1], goal)}"
    return (
        Cell(goal.what),
        Cell(goal.rival),
        Cell(goal.bound(goal.must)),
        Cell(goal.bound(goal.aim)),
        Cell(measured, by.value),
        Cell(ends, standing=one),
        Cell(verdict(one), detail=one.why, kind=kind),
    )


def _number(value: float, goal: Goal) -> str:
    return f"{value:.2f}" if goal.unit == "×" else written(value)


def _cost(one: Measurement | None, subject: Measurement | None, *, is_best: bool) -> Cell:
    if one is None:
        return Cell("")
    estimate = Estimate.of(one.values(CPU))
    if estimate is None:
        return Cell("void", kind=Kind.VOID)
    ratio = Cell("") if subject is None or subject is one else _ratio(subject, one)
    return Cell(written(estimate.value), estimate.value, ratio.text, ratio.kind, is_best)


def _ratio(subject: Measurement, other: Measurement) -> Cell:
    """Say what the subject needs as a multiple of what the other one does."""
    ratio = Estimate.of(paired(subject, other, CPU)) if other is not subject else None
    if ratio is None:
        return Cell("")
    kind = Kind.PLAIN
    if other.service != FLOOR and ratio.between is not None:
        kind = Kind.AHEAD if ratio.between[1] < 1 else Kind.BEHIND if ratio.between[0] > 1 else Kind.UNDECIDED
    text = f"{ratio.value:.2f}" if ratio.value >= SMALL else f"{ratio.value:.2g}"
    return Cell(f"{text} ×", ratio.value, _ends(ratio.between), kind)


def _figure(one: Measurement, field: str, *, is_best: bool) -> Cell:
    if one.is_void:
        return Cell("void", kind=Kind.VOID)
    estimate = Estimate.of(one.values(field))
    if estimate is None:
        return Cell("")
    if _is_undecided(estimate):
        assert estimate.between is not None
        ends = " to ".join(written(end) for end in estimate.between)
        return Cell(ends, estimate.value, kind=Kind.UNDECIDED)
    text = f"{estimate.value:,.0f}" if estimate.value >= 1000 else f"{estimate.value:.3g}"
    return Cell(text, estimate.value, _either_side(estimate), is_best=is_best)


def _is_shown(field: str, fields: Sequence[str], measured: Sequence[Measurement]) -> bool:
    return (not fields or field in fields) and any(one.median(field) for one in measured)


def _either_side(estimate: Estimate) -> str:
    """Write half of an interval as a share of its figure."""
    if estimate.between is None or not estimate.value:
        return ""
    return f"± {(estimate.between[1] - estimate.between[0]) / 2 / abs(estimate.value):.0%}"


def _best(measured: Sequence[Measurement], field: str, *, more_is_better: bool) -> str:
    """Return the service with the best figure, "" where there is nothing to be better than."""
    known = []
    for one in measured:
        estimate = Estimate.of(one.values(field))
        if one.service != FLOOR and estimate is not None and not _is_undecided(estimate):
            known.append((estimate.value, one.service))
    if len(known) < 2:
        return ""
    return (max if more_is_better else min)(known)[1]


def _is_undecided(estimate: Estimate) -> bool:
    """Return whether the rounds lie too far apart for one number. Too few of them are shown as they are."""
    return estimate.between is not None and not is_near(estimate.value, estimate.between)


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"
