"""Results as a page of Markdown: bench/results/README.md, written from the JSON and from nothing else.

Knows the page's order and its words. `tables` and `summary` say what stands in it, `plots` draws the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Final

from bench.count.history import FOLDER as HISTORY
from bench.errors import BenchError
from bench.judge.claims import Claim
from bench.judge.table import GOALS, INTERNAL
from bench.measure.results import FOLDER
from bench.measure.scenarios import NAMES, SUBJECT
from bench.report import plots, sentences, site
from bench.report.guide import A_PEER, ABOUT, EMULATED, PARAGRAPHS, POINTS, SMOKE
from bench.report.histories import histories
from bench.report.sources import Source, chosen, one_host
from bench.report.summary import summary
from bench.report.tables import (
    Cell,
    Table,
    cost_table,
    goal_table,
    hosts_table,
    is_shared,
    name_of,
    own_table,
    scenario_table,
)

WIDTH: Final = 125  # columns of text
PAGE: Final = "README.md"
# The figures of a scenario. The JSON has all of them.
FIELDS: Final = (
    "requests_per_s",
    "cpu_us",
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "memory_kib",
    "idle_connection_bytes",
    "start_ms",
)
HEAD: Final = (
    "# Bench results",
    "",
    "`scripts/bench report` writes this page, its pictures, and [index.html](index.html) with every figure, sortable, and the",
    "percentile curves. Do not edit them: measure again.",
    "",
)


def make(paths: Sequence[Path], folder: Path = FOLDER, history: Path = HISTORY) -> list[Path]:
    """Write the pages, their pictures, and the claims on other pages. Without `paths`: of the newest full results.

    Raises:
        BenchError: there is none, one or a history cannot be read, or it does not make a claim that a page has.
    """
    sources = chosen(paths, folder)
    if not sources:
        raise BenchError("there is no full result yet: bench run")
    drawn = [plots.draw(one.result, one.path.parent) if one.is_claimed else [] for one in sources]
    texts = text_of(sources, drawn, folder), site.text_of(sources, drawn, folder, histories(history))
    pages = folder / PAGE, folder / site.FILE
    for page, text in zip(pages, texts, strict=True):
        page.write_text(text)
    made = [*(picture for pictures in drawn for _, picture in pictures), *pages]
    if folder == FOLDER and any(drawn):
        made += sentences.write(next(pictures for pictures in drawn if pictures))
    return made


def text_of(sources: Sequence[Source], drawn: Sequence[Sequence[tuple[Claim, Path]]], folder: Path) -> str:
    """Return the page's text."""
    lines = [*HEAD]
    for source, pictures in zip(sources, drawn, strict=True):
        links = [(claim, f"{source.place(folder)}{picture.name}") for claim, picture in pictures]
        lines += part_of(source, links, f"{source.place(folder)}{source.path.name}", one_host(source, sources))
    return "\n".join((*lines, *reading_guide())).rstrip() + "\n"


def part_of(
    source: Source, pictures: Sequence[tuple[Claim, str]], link: str, beside: Source | None = None
) -> Iterator[str]:
    """Write one result's part of the page. `link` is the path of its file, `beside` the result of one host for one of three."""
    result, machine = source.result, source.result.machine
    yield f"## {source.heading}"
    yield ""
    for warning in (*([EMULATED] if machine.emulated else []), *([SMOKE] if result.is_smoke else [])):
        yield f"**{warning}**"
        yield ""
    yield from (f"- {line}" for line in summary(result))
    yield ""
    where = f"Linux {machine.kernel}, {machine.memory_mib:,} MiB"
    yield f"Revision {result.revision}, {result.started[:10]}, {where}. [{link}]({link})"
    yield ""
    yield from (f"![{claim.title}]({picture})" for claim, picture in pictures)
    if pictures:
        yield ""
    if not machine.emulated and SUBJECT in result.services:
        yield from _section(goal_table(result, GOALS, "goals", "Goals"))
        yield from _section(goal_table(result, INTERNAL, "internal", "Internal goals"))
    if beside is not None and beside is not source:
        yield from _section(hosts_table(beside.result, result))
    yield from _section(cost_table(result))
    for name in result.scenarios:
        if is_shared(result, name):
            table = scenario_table(result, name, fields=FIELDS)
            yield from _section(table, f"`{name}`{f': {table.title}' if table.title else ''}")
    yield from _section(own_table(result, fields=FIELDS))
    if result.skipped or result.notes:
        yield "### Not measured"
        yield ""
        for service, scenario, why in result.skipped:
            yield f"- {name_of(service)}{f', `{scenario}`' if scenario else ''}: {why}"
        yield from (f"- {note}" for note in result.notes)
        yield ""
    yield "### How it was measured"
    yield ""
    shown = [(name.replace("_", " "), value) for name, value in result.settings.items() if value is not None]
    yield f"{', '.join(f'{name}: {value}' for name, value in shown)}."
    yield ""
    yield f"{', '.join(f'{name} {version}' for name, version in sorted(result.versions.items()))}."
    yield ""


def reading_guide() -> Iterator[str]:
    """Say what the figures are, and what the command line calls the services."""
    yield "## How to read this page"
    yield ""
    for paragraph in PARAGRAPHS:
        yield from wrap(paragraph, WIDTH)
        yield ""
    for point in POINTS:
        yield from wrap(point, WIDTH, initial_indent="- ", subsequent_indent="  ")
    yield ""
    yield "| service | `--service` | what it is |"
    yield "|---|---|---|"
    yield from (f"| {name} | `{service}` | {ABOUT.get(service, A_PEER)} |" for service, name in NAMES.items())


def _section(table: Table, heading: str = "") -> Iterator[str]:
    """Write a table below its heading, and its notes below that."""
    if not table.rows and not table.notes:
        return
    yield f"### {heading or table.title}"
    yield ""
    if table.rows:
        yield f"| {' | '.join(column.title for column in table.columns)} |"
        yield f"|{'|'.join('---:' if column.is_number else '---' for column in table.columns)}|"
        yield from (f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows)
        yield ""
    if table.notes:
        yield from (f"- {note}" for note in table.notes)
        yield ""


def _cell(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.is_best else cell.text
    detail = cell.detail if cell.detail.startswith("±") else f"({cell.detail})"
    return (f"{text} {detail}" if cell.detail else text).replace("|", "\\|")
