"""Results as one page of HTML: bench/results/index.html, which loads nothing and needs no script to be read.

Knows the page's order. Its parts are made by `tables` and `grids`, `curves`, `trends`, `plots`; page.css is how they look, and
page.js sorts.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from bench.judge.claims import Claim
from bench.judge.table import GOALS, INTERNAL
from bench.measure.results import Result
from bench.measure.scenarios import NAMES, SUBJECT
from bench.report import curves, trends
from bench.report.grids import grid
from bench.report.guide import A_PEER, ABOUT, EMULATED, PARAGRAPHS, POINTS, SMOKE
from bench.report.html import document, element
from bench.report.sources import Source, one_host
from bench.report.summary import summary
from bench.report.tables import (
    Cell,
    Column,
    Table,
    cost_table,
    goal_table,
    hosts_table,
    is_shared,
    name_of,
    own_table,
    scenario_table,
)

FILE: Final = "index.html"
TITLE: Final = "txtoken beside its peers"
STYLE: Final = Path(__file__).with_name("page.css")
SCRIPT: Final = Path(__file__).with_name("page.js")
OPENED: Final = ("get_token", "check_token", "open_loop")  # scenarios that are shown at once
LEGEND: Final = (
    "With each figure its interval: what is left of the bound (the thick line) reaches the goal, what is left of the dotted "
    "line its aim. The drawing ends at a factor of 1.5."
)
COSTS: Final = (
    "User and system time of the whole process tree. Below it, what txtoken needs as a multiple of it: green is less, red is "
    "more, with the whole interval; a question mark is undecided."
)

NO_BREAK_HYPHEN: Final = "\N{NON-BREAKING HYPHEN}"


def text_of(
    sources: Sequence[Source],
    drawn: Sequence[Sequence[tuple[Claim, Path]]],
    folder: Path,
    histories: trends.Histories | None = None,
) -> str:
    """Write the page."""
    parts = []
    for source, pictures in zip(sources, drawn, strict=True):
        beside = one_host(source, sources)
        parts.append(_part(source, pictures, folder, None if beside is source else beside))
    histories = {arch: series for arch, series in (histories or {}).items() if series}
    parts += [_history(arch, series) for arch, series in histories.items()]
    places = [(source.name, source.heading) for source in sources]
    places += [(f"history-{arch}", f"{arch}: instructions by revision") for arch in histories]
    links = [
        element("li", element("a", heading, href=f"#{name}"))
        for name, heading in (*places, ("guide", "How to read this page"))
    ]
    header = element(
        "header",
        element("h1", TITLE),
        element(
            "p",
            "CPU time, latency and memory of a service that signs and checks tokens. Made by ",
            element("code", "scripts/bench report"),
            " from JSON alone.",
        ),
        element("nav", element("ul", *links), aria_label="Parts"),
    )
    return document(
        f"{TITLE}: bench results", STYLE.read_text(), SCRIPT.read_text(), header, element("main", *parts, _guide())
    )


def _part(source: Source, pictures: Sequence[tuple[Claim, Path]], folder: Path, beside: Source | None) -> ET.Element:
    result, machine = source.result, source.result.machine
    path = f"{source.place(folder)}{source.path.name}"
    made = element("section", element("h2", source.heading), id=source.name)
    for warning in (*([EMULATED] if machine.emulated else []), *([SMOKE] if result.is_smoke else [])):
        made.append(element("p", warning, class_="warning", role="note"))
    lines = [element("li", *_emphasised(line)) for line in summary(result)]
    if lines:
        made.append(element("ul", *lines, class_="summary"))
    about = f"Revision {result.revision}, {result.started[:10]}, Linux {machine.kernel}, {machine.memory_mib:,} MiB. "
    made.append(element("p", about, element("a", path, href=path), class_="about"))
    if pictures:
        made.append(element("div", *(_picture(*pair) for pair in pictures), class_="pictures"))
    if not machine.emulated and SUBJECT in result.services:
        for goals, name, title in ((GOALS, "goals", "Goals"), (INTERNAL, "internal", "Internal goals")):
            _append(made, source, goal_table(result, goals, name, title), LEGEND)
    if beside is not None:
        _append(made, source, hosts_table(beside.result, result))
    _append(made, source, cost_table(result), COSTS, "dense")
    shared = [name for name in result.scenarios if is_shared(result, name)]
    if shared:
        made.append(element("h3", "Scenarios", id=f"{source.name}-scenarios"))
        made.extend(_scenario(source, result, name) for name in shared)
    _append(made, source, own_table(result), look="wide")
    if result.skipped or result.notes:
        skipped = [
            f"{name_of(service)}{f', {scenario}' if scenario else ''}: {why}"
            for service, scenario, why in result.skipped
        ]
        made.append(element("h3", "Not measured"))
        made.append(element("ul", *(element("li", line) for line in (*skipped, *result.notes)), class_="notes"))
    made.append(_method(result))
    heads = [head for head in made.iterfind("h3") if head.get("id")]
    if len(heads) > 1:
        links = [element("li", element("a", head.text, href=f"#{head.get('id')}")) for head in heads]
        made.insert(1, element("nav", element("ul", *links), aria_label=source.heading))
    return made


def _append(made: ET.Element, source: Source, table: Table, legend: str = "", look: str = "") -> None:
    """Add a table below its heading, unless it is empty."""
    if not table.rows and not table.notes:
        return
    made.append(element("h3", table.title, id=f"{source.name}-{table.name}"))
    if legend and table.rows:
        made.append(element("p", legend, class_="about"))
    made.extend(grid(table, source.heading, look))


def _scenario(source: Source, result: Result, name: str) -> ET.Element:
    table = scenario_table(result, name)
    plot = curves.plot([one for one in result.measurements if one.scenario == name and not one.values("start_ms")])
    return element(
        "details",
        element("summary", element("h4", element("code", name), f" {table.title}", id=f"{source.name}-{name}")),
        *([] if plot is None else [plot]),
        *grid(table, f"{source.heading}: {name}", "wide"),
        open="open" if name in OPENED else None,
    )


def _method(result: Result) -> ET.Element:
    settings = [(name.replace("_", " "), f"{value}") for name, value in result.settings.items() if value is not None]
    rows = [
        element("div", element("dt", name), element("dd", value))
        for name, value in (*settings, *sorted(result.versions.items()))
    ]
    return element(
        "details", element("summary", element("h3", "How it was measured")), element("dl", *rows, class_="method")
    )


def _picture(claim: Claim, path: Path) -> ET.Element:
    data = b64encode(path.read_bytes()).decode()
    return element("img", src=f"data:image/svg+xml;base64,{data}", alt=claim.short, width="360")


def _emphasised(line: str) -> Iterator[ET.Element | str]:
    """Split a line of the summary: each message stands out, what it rests on does not."""
    message, bracket, rest = line.partition(" (")
    if not bracket:
        message, bracket, rest = line.partition(", ")
        yield element("b", message)
        yield element("span", f"{bracket}{rest}")
        return
    yield element("b", message)
    said, end, more = rest.partition("). ")
    yield element("span", f" ({said}{end}" if end else f" ({rest}")
    if more:
        yield from _emphasised(more)


def _history(arch: str, series: Sequence[tuple[trends.Series, str]]) -> ET.Element:
    """Make the part of an architecture. Conditions of earlier times are folded."""
    newest = max(point.committed for one, _ in series for point in one.points)
    made = element("section", element("h2", f"{arch}: instructions by revision"), id=f"history-{arch}")
    for conditions in dict.fromkeys(conditions for _, conditions in series):
        equal = [one for one, its_conditions in series if its_conditions == conditions]
        is_newest = any(point.committed == newest for one in equal for point in one.points)
        details = element("details", element("summary", element("h3", conditions)), open="open" if is_newest else None)
        for one in equal:
            details.append(trends.plot(one))
            details.extend(grid(_revisions(one), f"{arch}, {conditions}"))
        made.append(details)
    return made


def _revisions(series: trends.Series) -> Table:
    rows = tuple(
        (
            Cell(point.revision),
            Cell(point.committed[:10].replace("-", NO_BREAK_HYPHEN)),
            Cell(f"{point.instructions:,.0f}", point.instructions),
            Cell(trends.change(point), point.growth),
            Cell(f"{point.system_calls:g}", point.system_calls),
            Cell("" if point.time_us is None else f"{point.time_us:.3g}", point.time_us),
        )
        for point in series.points
    )
    heads = ("revision", "date", "instructions", "change", "system calls", "CPU µs")
    columns = tuple(Column(head, is_number=number > 1) for number, head in enumerate(heads))
    return Table("trend", f"{series.case}, {series.parameters}", columns, rows)


def _guide() -> ET.Element:
    rows = tuple((Cell(name), Cell(service), Cell(ABOUT.get(service, A_PEER))) for service, name in NAMES.items())
    columns = tuple(Column(title, is_number=False) for title in ("service", "--service", "what it is"))
    return element(
        "section",
        element("h2", "How to read this page"),
        *(element("p", paragraph) for paragraph in PARAGRAPHS),
        element("ul", *(element("li", point) for point in POINTS)),
        *grid(Table("services", "Services", columns, rows), "Guide"),
        id="guide",
    )
