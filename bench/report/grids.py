"""Tables as HTML: a region that scrolls by itself, numbers to sort by, an interval drawn beside its bound.

Knows cells and classes (page.css), not what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log2
from typing import Final
from xml.etree import ElementTree as ET

from bench.judge.goals import Goal, Standing
from bench.report.html import Child, element
from bench.report.tables import Cell, Column, Kind, Table

OCTAVES: Final = 0.6  # that a drawn interval reaches to either side of its bound: a factor of 1.5


def grid(table: Table, place: str, look: str = "") -> Iterator[ET.Element]:
    """Make a table and its notes. `place` is the name of the part of the page, which makes names unique; `look` a class."""
    if table.rows:
        heads = [_head(column) for column in table.columns]
        body = [element("tr", *_row(row, table.columns)) for row in table.rows]
        made = element("table", element("thead", element("tr", *heads)), element("tbody", *body), class_=look or None)
        label = f"{place}: {table.title}"
        yield element("div", made, class_="scroll", role="region", aria_label=label, tabindex="0")
    if table.notes:
        yield element("ul", *(element("li", note) for note in table.notes), class_="notes")


def _head(column: Column) -> ET.Element:
    return element("th", column.title, scope="col", class_="number" if column.is_number else None)


def _row(row: tuple[Cell, ...], columns: tuple[Column, ...]) -> Iterator[ET.Element]:
    for number, (cell, column) in enumerate(zip(row, columns, strict=True)):
        looks = [*(["number"] if column.is_number else []), *([cell.kind.value] if cell.kind is not Kind.PLAIN else [])]
        yield element(
            "td" if number else "th",
            *_inside(cell),
            scope=None if number else "row",
            class_=" ".join(looks) or None,
            data_value=None if cell.value is None else f"{cell.value:.6g}",
        )


def _inside(cell: Cell) -> Iterator[Child]:
    if cell.is_best:
        yield element("b", cell.text)
    else:
        yield from _breakable(cell.text)
    if cell.detail:
        yield " "
        yield element("small", cell.detail)
    if cell.standing is not None and (drawn := _interval(cell.standing)) is not None:
        yield drawn


def _breakable(text: str) -> Iterator[Child]:
    """Let a long name break after its underscores."""
    first, *others = text.split("_")
    yield first
    for other in others:
        yield "_"
        yield element("wbr")
        yield other


def _interval(standing: Standing) -> ET.Element | None:
    """Draw an interval beside its bound and its aim: what is left of the bound reaches it, whichever way the goal goes."""
    estimate, goal = standing.judged_by, standing.goal
    if estimate is None or estimate.between is None or estimate.value <= 0:
        return None
    ends = sorted(_place(goal, end) for end in estimate.between)
    return element(
        "span",
        element("i", class_="bound", style="left:50%"),
        element("i", class_="aim", style=f"left:{_place(goal, goal.aim):.1%}"),
        element("i", class_="extent", style=f"left:{ends[0]:.1%};right:{1 - ends[1]:.1%}"),
        element("i", class_="middle", style=f"left:{_place(goal, estimate.value):.1%}"),
        class_="interval",
        aria_hidden="true",
    )


def _place(goal: Goal, value: float) -> float:
    octaves = log2(value / goal.must) * (1 if goal.at_most else -1) if value > 0 else -OCTAVES
    return 0.5 + max(-1.0, min(1.0, octaves / OCTAVES)) / 2
