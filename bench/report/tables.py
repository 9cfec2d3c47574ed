"""A result as tables: goals, what a request costs each service, one scenario in all figures, one host beside three.

Knows which figure stands where and how it is written; whether a table becomes Markdown or HTML is not its business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bench.judge.claims import NO_BREAK, is_near, written
from bench.judge.goals import CPU, WITHOUT_REASON, Goal, Judged, Standing, standings
from bench.judge.intervals import Estimate
from bench.measure.figures import SHOWN, Measurement, paired
from bench.measure.results import Result
from bench.measure.scenarios import FLOOR, NAMES, SCENARIOS, SUBJECT

# What is shown in another unit than it is measured in: its title, and the factor.
UNITS: Final = {"memory_kib": ("memory MiB", 1 / 1024)}
OF_STARTS: Final = ("start_ms", "cpu_us", "memory_kib")
COUNTED: Final = re.compile(r"(?P<mark>.*) \(in (?P<rounds>\d+ of \d+ rounds)\)")
RATIO: Final = "CPU, txtoken to it"  # the head of a column
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
    """What people call a service, without what it does."""
    return NAMES.get(service, service).partition(" (")[0]


def goal_table(result: Result, goals: Sequence[Goal], name: str, title: str) -> Table:
    """Make the table of some goals. Those that were not measured are notes."""
    judged = standings(result, goals)
    rows = tuple(_goal_row(one) for one in judged if one.must is not Judged.UNKNOWN)
    missing: dict[str, list[str]] = {}
    for one in judged:
        if one.must is Judged.UNKNOWN:
            # What this run did not ask for needs no reason.
            why = "" if WITHOUT_REASON in one.why else f" ({one.why})"
            missing.setdefault(why, []).append(one.goal.title)
    notes = tuple(f"Not measured: {'; '.join(titles)}{why}." for why, titles in missing.items())
    columns = (*_words("goal", "verdict"), Column("measured"), Column("must"), Column("aim"))
    return Table(name, title, columns, rows, notes)


def cost_table(result: Result) -> Table:
    """Make the table of CPU time: a row a scenario, a column a service, and how the subject stands to each.

    It has no rows where the CPU is emulated: there nothing is compared.
    """
    services = result.services
    rows = []
    for name in [] if result.machine.emulated else result.scenarios:
        found = {one.service: one for one in result.measurements if one.scenario == name}
        if len(found) < 2 or _starts(list(found.values())) or not any(any(one.values(CPU)) for one in found.values()):
            continue
        best = _best(list(found.values()), CPU, more_is_better=False)
        cells = [_cost(found.get(service), found.get(SUBJECT), is_best=service == best) for service in services]
        rows.append((Cell(name, detail=SCENARIOS[name].title if name in SCENARIOS else ""), *cells))
    columns = (*_words("scenario"), *(Column(name_of(service)) for service in services))
    return Table("cost", "CPU µs per request", columns, tuple(rows))


def scenario_table(result: Result, name: str, *, fields: Sequence[str] = ()) -> Table:
    """Make the table of one scenario: a row a service. `fields`: only these figures."""
    measured = [one for one in result.measurements if one.scenario == name]
    rates = sorted({one.settings["rate_per_s"] for one in measured if "rate_per_s" in one.settings})
    about = [SCENARIOS[name].title] if name in SCENARIOS else []
    figures = _figures(fields, measured)
    compares = not result.machine.emulated
    best = {field: _best(measured, field, more_is_better=more) if compares else "" for field, _, more in figures}
    subject = result.find(SUBJECT, name) if compares else None
    rows = [[_figure(one, field, is_best=best[field] == one.service) for field, _, _ in figures] for one in measured]
    heads = [_title(*shown) for shown in figures]
    if subject is not None and len(measured) > 1 and CPU in best:
        after = list(best).index(CPU) + 1
        heads.insert(after, RATIO)
        for one, row in zip(measured, rows, strict=True):
            row.insert(after, _ratio(subject, one))
    columns = (*_words("service"), *(Column(head) for head in heads))
    notes = _notes((name_of(one.service), one.marks) for one in measured)
    titled = tuple((Cell(name_of(one.service)), *row) for one, row in zip(measured, rows, strict=True))
    return Table(name, ", ".join([*about, *(f"{rate:,.0f}/s" for rate in rates)]), columns, titled, notes)


def own_table(result: Result, *, fields: Sequence[str] = ()) -> Table:
    """Make the table of the scenarios that one service alone was measured in, which is the subject in a whole run."""
    measured = [one for one in result.measurements if not is_shared(result, one.scenario)]
    figures = _figures(fields, measured)
    rows = []
    for one in measured:
        about = [] if one.service == SUBJECT else [name_of(one.service)]
        about += [SCENARIOS[one.scenario].title] if one.scenario in SCENARIOS else []
        cells = (_figure(one, field, is_best=False) for field, _, _ in figures)
        rows.append((Cell(one.scenario, detail=": ".join(about)), *cells))
    notes = _notes((one.scenario, one.marks) for one in measured)
    columns = (*_words("scenario"), *(Column(_title(*shown)) for shown in figures))
    return Table("alone", f"{name_of(SUBJECT)} alone", columns, tuple(rows), notes)


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
    details = [] if by.between is None else [" to ".join(_number(end, goal) for end in by.between)]
    if one.by_cpu is not None and one.estimate is not None:
        details.append(f"by requests/s {_number(one.estimate.value, goal)} {goal.unit}")
    return (
        Cell(goal.what, detail=f"against {goal.rival}" if goal.rival else ""),
        Cell(verdict(one), detail=one.why, kind=kind),
        Cell(f"{_number(by.value, goal)} {goal.unit}", by.value, "; ".join(details), standing=one),
        Cell(goal.bound(goal.must), goal.must),
        Cell(goal.bound(goal.aim), goal.aim),
    )


def _number(value: float, goal: Goal) -> str:
    return _times(value) if goal.unit == "×" else written(value)


def _cost(one: Measurement | None, subject: Measurement | None, *, is_best: bool) -> Cell:
    if one is None:
        return Cell("")
    estimate = Estimate.of(one.values(CPU))
    if estimate is None:
        return Cell("void", kind=Kind.VOID)
    ratio = Cell("") if subject is None or subject is one else _ratio(subject, one)
    doubt = f"{NO_BREAK}?" if ratio.kind is Kind.UNDECIDED else ""
    return Cell(written(estimate.value), estimate.value, f"{ratio.text}{doubt}", ratio.kind, is_best)


def _ratio(subject: Measurement, other: Measurement) -> Cell:
    """Say what the subject needs as a multiple of what the other one does."""
    ratio = Estimate.of(paired(subject, other, CPU)) if other is not subject else None
    if ratio is None:
        return Cell("")
    kind = Kind.PLAIN
    if other.service != FLOOR and ratio.between is not None:
        kind = Kind.AHEAD if ratio.between[1] < 1 else Kind.BEHIND if ratio.between[0] > 1 else Kind.UNDECIDED
    ends = "" if ratio.between is None else " to ".join(_times(end) for end in ratio.between)
    return Cell(f"{_times(ratio.value)}{NO_BREAK}×", ratio.value, ends, kind)


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= SMALL else f"{ratio:.2g}"


def _figure(one: Measurement, field: str, *, is_best: bool) -> Cell:
    if one.is_void:
        return Cell("void", kind=Kind.VOID)
    _, scale = UNITS.get(field, ("", 1))
    estimate = Estimate.of([value * scale for value in one.values(field)])
    if estimate is None:
        return Cell("")
    if _is_undecided(estimate):
        assert estimate.between is not None
        ends = " to ".join(written(end) for end in estimate.between)
        return Cell(ends, estimate.value, kind=Kind.UNDECIDED)
    text = f"{estimate.value:,.0f}" if estimate.value >= 1000 else f"{estimate.value:.3g}"
    return Cell(text, estimate.value, _either_side(estimate), is_best=is_best)


def _notes(marked: Iterable[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Say each mark once, with all that have it."""
    found: dict[str, list[str]] = {}
    for name, marks in marked:
        for mark in marks:
            counted = COUNTED.fullmatch(mark)
            names = found.setdefault(counted["mark"] if counted else mark, [])
            names.append(f"{name}, {counted['rounds']}" if counted else name)
    return tuple(f"{text} ({'; '.join(names)})" for text, names in found.items())


def _figures(fields: Sequence[str], measured: Sequence[Measurement]) -> list[tuple[str, str, bool]]:
    """Return what is shown: of the given fields, those that any of them has. Where all is void, the first two say so."""
    only = OF_STARTS if all(one.is_void or one.values("start_ms") for one in measured) else ()
    found = [
        (field, title, more_is_better)
        for field, title, more_is_better in SHOWN
        if field in (fields or (field,)) and field in (only or (field,)) and any(one.median(field) for one in measured)
    ]
    return found or list(SHOWN[:2])


def _starts(measured: Sequence[Measurement]) -> bool:
    """Whether these are starts, of which each has one answer: no rate, no percentiles, and no requests to compare with."""
    return any(one.values("start_ms") for one in measured)


def _title(field: str, title: str, _: bool) -> str:
    return UNITS[field][0] if field in UNITS else title


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
