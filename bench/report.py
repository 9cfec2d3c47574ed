"""A result as a page: bench/results/README.md, written from the JSON and from nothing else.

Knows tables and words; the pictures are drawn by `bench.plots`, the goals judged by `bench.goals`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import plots, results
from bench.errors import BenchError
from bench.figures import SHOWN, Measurement
from bench.goals import bound, standings
from bench.results import FOLDER, Result
from bench.scenarios import FLOOR, INTERPRETED, SCENARIOS, SUBJECT

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
        made += drawn
        place = path.parent.resolve()
        where = f"{place.relative_to(folder.resolve())}/" if place.is_relative_to(folder.resolve()) else f"{place}/"
        pictures = [f"{where}{one.name}" for one in drawn if one.suffix == ".svg"]
        texts.append("\n".join(page_of(result, f"{where}{path.name}", pictures)))
    page = folder / PAGE
    page.write_text("\n".join(("\n".join(HEAD), *texts)).rstrip() + "\n")
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
    "# What the benches gave",
    "",
    "Written by `scripts/bench report` from the JSON files beside it. Do not edit: measure again.",
    "",
    "Each figure is the median of its rounds; ± is half of the distance between the lowest and the highest round. CPU is",
    "user and system time of the service's whole process tree, divided by the requests that were answered: the figure",
    "that depends least on what else the machine does. Every service has one process, and where the machine has two cores",
    "or more, a core of its own. wrk sends as fast as answers come, so its latencies are those of a service at its limit",
    "(closed loop); those of the open loop count from the moment at which a request was to be sent.",
    "",
)


def page_of(result: Result, source: str, pictures: Sequence[str]) -> Iterator[str]:
    """Write one result's part of the page. `source` and `pictures` are paths as the page sees them."""
    machine = result.machine
    yield f"## {machine.arch}: {machine.cpu}, {machine.cores} cores"
    yield ""
    if machine.emulated:
        yield "**The CPU is emulated. These figures show that the suite works there, and nothing about speed.**"
        yield ""
    if result.is_smoke:
        yield "**A smoke run: too short for its figures to mean anything.**"
        yield ""
    where = f"Linux {machine.kernel}, {machine.memory_mib:,} MiB"
    yield f"Revision {result.revision}, {result.started[:10]}, {where}. [{source}]({source})"
    yield ""
    yield from (f"![{Path(picture).stem}]({picture})" for picture in pictures)
    yield ""
    for subject, title in ((SUBJECT, "What has to be reached"), (INTERPRETED, "The same, run from its sources")):
        if subject in result.services:
            yield f"### {title}"
            yield ""
            yield from _goals(result, subject)
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


def _goals(result: Result, subject: str) -> Iterator[str]:
    yield f"| {subject}'s | against | must | aim | measured | in single rounds | by CPU time alone | |"
    yield "|---|---|---|---|---:|---:|---:|---|"
    for standing in standings(result, subject):
        goal = standing.goal
        aim = "better" if goal.strict_aim else bound(goal, goal.aim)
        value = "" if standing.value is None else f"{standing.value:.2f} {goal.unit}"
        by_cpu = "" if standing.by_cpu is None else f"{standing.by_cpu:.2f} {goal.unit}"
        singly = f"{min(standing.rounds):.2f} to {max(standing.rounds):.2f}" if standing.rounds else ""
        must, verdict = bound(goal, goal.must), standing.reached.value
        yield f"| {goal.what} | {goal.against} | {must} | {aim} | {value} | {singly} | {by_cpu} | {verdict} |"


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
        yield f"| {one.service} | " + " | ".join(cells) + " |"
    yield ""
    for one in measured:
        for mark in one.marks:
            yield f"- {one.service}: {mark}"
    if any(one.marks for one in measured):
        yield ""


def _best(measured: Sequence[Measurement], field: str, *, more_is_better: bool) -> str:
    known = [
        (value, one.service) for one in measured if one.service != FLOOR and (value := one.median(field)) is not None
    ]
    if len(known) < 2:
        return ""
    return (max if more_is_better else min)(known)[1]


def _cell(one: Measurement, field: str, *, is_best: bool) -> str:
    value, apart = one.median(field), one.spread(field)
    if value is None:
        return ""
    text = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    if is_best:
        text = f"**{text}**"
    return text if apart is None else f"{text} ± {apart / 2:.0%}"


def _left_out(result: Result) -> Iterator[str]:
    if result.skipped or result.notes:
        yield "### Left out"
        yield ""
        for service, scenario, why in result.skipped:
            yield f"- {service}{f', `{scenario}`' if scenario else ''}: {why}"
        yield from (f"- {note}" for note in result.notes)
        yield ""
