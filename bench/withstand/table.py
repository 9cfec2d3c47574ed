"""Rows for people and as JSON. Knows texts, no measurement.

One line for each run: the second one shows what the first one left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.withstand.measures import Row
from bench.withstand.verdict import held, problems, void

HEADS: Final = (
    "attack",
    "p50 ms",
    "p99 ms",
    "max ms",
    "failed",
    "MiB before",
    "at most",
    "after",
    "files",
    "most",
    "after",
    "CPU idle",
    "verdict",
)
KIB: Final = 1024
NAME_WIDTH: Final = 30
ABOUT: Final = (
    "p50, p99, max, failed: of the honest client. MiB: VmRSS before, VmHWM, VmRSS one second afterwards. files: open in the "
    "service. CPU idle: share of one core, one second afterwards."
)


def verdict(row: Row) -> str:
    """Return a row's verdict as one word."""
    if void(row):
        return "void"
    return "held" if held(row) else "FAILED"


def lines(row: Row) -> list[str]:
    """Write one row: its figures, then its problems."""
    said = [_line(cells) for cells in _cells(row)]
    if reason := void(row):
        said.append(f"    void: {reason}")
    said += (f"    {problem}" for problem in problems(row))
    return said


def table(rows: Sequence[Row]) -> list[str]:
    """Write all rows and how many held."""
    said = [_line(HEADS), "-" * len(_line(HEADS))]
    for row in rows:
        said += lines(row)
    words = [verdict(row) for row in rows]
    said += ["", ABOUT, ", ".join(f"{words.count(word)} {word}" for word in ("held", "FAILED", "void"))]
    return said


def to_json(rows: Sequence[Row], about: dict[str, Any]) -> str:
    """Write everything that was measured."""
    return json.dumps({**about, "rows": [_whole(row) for row in rows]}, indent=2) + "\n"


def _whole(row: Row) -> dict[str, Any]:
    made = {**asdict(row), "verdict": verdict(row), "problems": problems(row), "void": void(row)}
    for run, measured in zip(made["runs"], row.runs, strict=True):
        honest = measured.honest
        del run["honest"]["latencies_ms"]  # thousands
        run["honest"] |= {"p50_ms": honest.p50_ms, "p99_ms": honest.p99_ms, "max_ms": honest.max_ms}
    return made


def _cells(row: Row) -> list[tuple[str, ...]]:
    word = verdict(row)
    if not row.runs or row.before is None:
        note = f" ({row.note})" if row.note else ""
        return [(row.name, *[""] * (len(HEADS) - 2), word + note)]
    made: list[tuple[str, ...]] = []
    for number, run in enumerate(row.runs):
        honest, after = run.honest, run.after
        before = row.before if number == 0 else row.runs[number - 1].after
        made.append(
            (
                row.name if number == 0 else "  again",
                f"{honest.p50_ms:.2f}",
                f"{honest.p99_ms:.1f}",
                f"{honest.max_ms:.0f}",
                str(honest.failures),
                f"{before.resident_kib / KIB:.1f}",
                f"{after.peak_kib / KIB:.1f}",
                f"{after.resident_kib / KIB:.1f}",
                str(before.files),
                str(run.files_most),
                str(after.files),
                "" if run.idle_share is None else f"{run.idle_share:.1%}",
                word if number == len(row.runs) - 1 else "",
            )
        )
    return made


def _line(cells: Sequence[str]) -> str:
    name, *figures, word = cells
    return f"{name:<{NAME_WIDTH}}" + "".join(f"{figure:>11}" for figure in figures) + f"  {word}"
