"""A result as a page: bench/results/README.md, written from the JSON and from nothing else.

Knows tables and words. `plots` draws the pictures, `judge.claims` computes the sentences, `judge.goals` judges the goals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.judge.claims import APART_MAX, LEVEL, PERCENT, Claim, is_near, written
from bench.judge.goals import Standing, in_short, standings
from bench.judge.intervals import Estimate, interval
from bench.judge.table import GOALS, INTERNAL
from bench.measure import results
from bench.measure.figures import SHOWN, Measurement
from bench.measure.results import FOLDER, Result
from bench.measure.scenarios import FLOOR, INTERPRETED, NAMES, SCENARIOS, SUBJECT
from bench.report import plots

PAGE: Final = "README.md"


def make(paths: Sequence[Path], folder: Path = FOLDER) -> list[Path]:
    """Write the page and its pictures. Without `paths`: of the newest full result of every architecture.

    Raises:
        BenchError: there is none, or one cannot be read.
    """
    chosen = [(path, results.read(path)) for path in paths] or newest(folder)
    if not chosen:
        raise BenchError("there is no full result yet: bench run")
    made = []
    texts = []
    for path, result in chosen:
        drawn = plots.draw(result, path.parent)
        made += [picture for _, picture in drawn]
        place = path.parent.resolve()
        where = f"{place.relative_to(folder.resolve())}/" if place.is_relative_to(folder.resolve()) else f"{place}/"
        pictures = [(claim, f"{where}{picture.name}") for claim, picture in drawn]
        texts.append("\n".join(page_of(result, f"{where}{path.name}", pictures)))
    page = folder / PAGE
    page.write_text("\n".join(("\n".join(HEAD), *texts, "\n".join(reading_guide()))).rstrip() + "\n")
    return [*made, page]


def newest(folder: Path) -> list[tuple[Path, Result]]:
    """Find the newest full result of every architecture, smoke runs left aside."""
    found: dict[str, tuple[Path, Result]] = {}
    for path in sorted(folder.glob("*/*.json")):
        result = results.read(path)
        arch = path.parent.name
        if not result.is_smoke and (arch not in found or result.started > found[arch][1].started):
            found[arch] = path, result
    return list(found.values())


HEAD: Final = (
    "# Bench results",
    "",
    "`scripts/bench report` writes this page and its pictures from the JSON files beside it. Do not edit them: measure again.",
    "",
)
GUIDE: Final = (
    "Each figure is the median of its rounds; ± is half of the distance between the lowest and the highest round. Bold is",
    "the best of a column, hello left aside. CPU is user and system time of the service's whole process tree, divided by",
    "the number of answered requests: it depends least on what else the machine does. Every service has one process and,",
    "where the machine has two cores or more, one core of its own. wrk sends as fast as answers come (closed loop), so its",
    "latencies are those of a service at its limit. Latencies of the open loop count from when a request was due.",
    "",
    "The sentences at the top compare txtoken with the best peer. The interval of a ratio comes from the ratios of single",
    "turns, by the bootstrap.",
    "",
    f"- A ratio is published if its interval excludes 1 and ends within {APART_MAX * 100:g} % of it.",
    f"- Two services are level if the whole interval is within {LEVEL * 100:g} % of 1.",
    "- Anything else is undecided. Fewer than six rounds have no interval.",
    f"- So is a figure whose own interval ends more than {APART_MAX * 100:g} % from its median; its interval is shown.",
    "",
)
ABOUT: Final = {
    SUBJECT: "this project, compiled",
    INTERPRETED: "this project, run from its sources",
    FLOOR: "a server that does nothing but answer, on the same event loop and parser: the floor",
}


def reading_guide() -> Iterator[str]:
    """Say what the figures are, and what the command line calls the services."""
    yield "## How to read this page"
    yield ""
    yield from GUIDE
    yield "| service | `--service` | what it is |"
    yield "|---|---|---|"
    yield from (f"| {name} | `{service}` | {ABOUT.get(service, 'a peer')} |" for service, name in NAMES.items())


def page_of(result: Result, source: str, pictures: Sequence[tuple[Claim, str]]) -> Iterator[str]:
    """Write one result's part of the page. `source` and those beside the claims are paths as the page sees them."""
    machine = result.machine
    yield f"## {machine.arch}: {machine.cpu}, {machine.cores} cores"
    yield ""
    if machine.emulated:
        yield "**The CPU is emulated. These figures show that the suite works there, and nothing about speed.**"
        yield ""
    if result.is_smoke:
        yield "**A smoke run: too short for its figures to mean anything.**"
        yield ""
    yield from (f"- {claim.sentence}" for claim, _ in pictures)
    if SUBJECT in result.services:
        yield f"- Goals: {in_short(standings(result, GOALS))}"
    yield ""
    where = f"Linux {machine.kernel}, {machine.memory_mib:,} MiB"
    yield f"Revision {result.revision}, {result.started[:10]}, {where}. [{source}]({source})"
    yield ""
    yield from (f"![{claim.title}]({picture})" for claim, picture in pictures)
    yield ""
    if SUBJECT in result.services:
        for title, goals in (("Goals", GOALS), ("Internal goals", INTERNAL)):
            yield f"### {title}"
            yield ""
            yield from _goals(standings(result, goals))
            yield ""
    for name in result.scenarios:
        yield from _scenario(result, name)
    yield from _left_out(result)
    yield "### How it was measured"
    yield ""
    yield (
        ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in result.settings.items() if value is not None)
        + "."
    )
    yield ""
    yield ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items())) + "."
    yield ""


def _goals(judged: Sequence[Standing]) -> Iterator[str]:
    yield f"| | against | must | aim | measured | {PERCENT} interval | must | aim | |"
    yield "|---|---|---:|---:|---:|---:|---|---|---|"
    for one in judged:
        goal, by = one.goal, one.judged_by
        bounds = f"{goal.bound(goal.must)} | {goal.bound(goal.aim)}"
        measured = " | " if by is None else f"{by.value:.3g} {goal.unit} | {_between(by)}"
        yield f"| {goal.what} | {goal.rival} | {bounds} | {measured} | {one.must.value} | {one.aim.value} | {one.why} |"


def _between(estimate: Estimate) -> str:
    return "" if estimate.between is None else f"{estimate.between[0]:.3g} to {estimate.between[1]:.3g}"


def _scenario(result: Result, name: str) -> Iterator[str]:
    measured = [one for one in result.measurements if one.scenario == name]
    scenario = SCENARIOS.get(name)
    rates = {one.settings["rate_per_s"] for one in measured if "rate_per_s" in one.settings}
    yield f"### `{name}`" + (f": {scenario.title}" if scenario else "") + "".join(f", {rate:,.0f}/s" for rate in rates)
    yield ""
    figures = [shown for shown in SHOWN if any(one.median(shown[0]) is not None for one in measured)]
    yield "| | " + " | ".join(title for _, title, _ in figures) + " |"
    yield "|---|" + "---:|" * len(figures)
    best = {field: _best(measured, field, more_is_better=more) for field, _, more in figures}
    for one in measured:
        cells = [
            "void" if one.is_void else _cell(one, field, is_best=best[field] == one.service) for field, _, _ in figures
        ]
        yield f"| {NAMES.get(one.service, one.service)} | " + " | ".join(cells) + " |"
    yield ""
    for one in measured:
        for mark in one.marks:
            yield f"- {NAMES.get(one.service, one.service)}: {mark}"
    if any(one.marks for one in measured):
        yield ""


def _best(measured: Sequence[Measurement], field: str, *, more_is_better: bool) -> str:
    known = [
        (value, one.service)
        for one in measured
        if one.service != FLOOR and (value := one.median(field)) is not None and not _is_undecided(one, field)
    ]
    if len(known) < 2:
        return ""
    return (max if more_is_better else min)(known)[1]


def _cell(one: Measurement, field: str, *, is_best: bool) -> str:
    value, apart = one.median(field), one.spread(field)
    if value is None:
        return ""
    if _is_undecided(one, field):
        low, high = interval(one.values(field)) or (min(one.values(field)), max(one.values(field)))
        return f"undecided: {written(low)} to {written(high)}"
    text = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    if is_best:
        text = f"**{text}**"
    return text if apart is None else f"{text} ± {apart / 2:.0%}"


def _is_undecided(one: Measurement, field: str) -> bool:
    """Return whether the rounds lie too far apart. Too few of them for an interval are shown with their ±."""
    value, between = one.median(field), interval(one.values(field))
    return value is not None and between is not None and not is_near(value, between)


def _left_out(result: Result) -> Iterator[str]:
    if result.skipped or result.notes:
        yield "### Not measured"
        yield ""
        for service, scenario, why in result.skipped:
            yield f"- {NAMES.get(service, service)}{f', `{scenario}`' if scenario else ''}: {why}"
        yield from (f"- {note}" for note in result.notes)
        yield ""
