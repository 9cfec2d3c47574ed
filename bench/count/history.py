"""What revisions cost, as values and as the lines of bench/history/<arch>.jsonl.

A line is one revision under one fingerprint. Knows no counting and no judging.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from bench.count.counting import Figure
from bench.count.fingerprint import Fingerprint
from bench.errors import BenchError
from bench.measure.processes import ROOT

SCHEMA: Final = 1
FOLDER: Final = ROOT / "bench" / "history"
_REVISION: Final = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Count:
    """What one request of a case costs. The fields of `counting.Figure` that are kept."""

    parameters: str
    instructions: float
    typical: float
    spread: float
    between: float
    system_calls: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One revision: what was counted of it, and under which conditions."""

    revision: str  # twelve hexadecimal digits
    committed: str  # ISO 8601
    fingerprint: Fingerprint
    counts: Mapping[str, Count]  # by case
    # CPU µs a request by case, where somebody measured them on hardware of this architecture, and which hardware that was.
    times: Mapping[str, float] = field(default_factory=dict)
    machine: str = ""


def line_of(revision: str, committed: str, fingerprint: Fingerprint, figures: Sequence[Figure]) -> Line:
    """Make a revision's line of its figures."""
    counts = {
        one.case: Count(
            parameters=one.parameters,
            instructions=round(one.instructions, 1),
            typical=round(one.typical, 1),
            spread=round(one.spread, 5),
            between=round(one.between, 5),
            system_calls={name: round(times, 3) for name, times in one.system_calls.items()},
        )
        for one in figures
    }
    return Line(revision, committed, fingerprint, counts)


def history_of(arch: str, folder: Path = FOLDER) -> Path:
    """Return where the history of an architecture is."""
    return folder / f"{arch}.jsonl"


def read_history(path: Path) -> list[Line]:
    """Read a history, oldest revision first. One that does not exist yet is empty.

    Raises:
        BenchError: a line is broken, of another schema, or of another architecture than the file's name says.
    """
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{path} cannot be read: {error}") from error
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            line = _parse(text)
        except _Broken as error:
            raise BenchError(f"{path}, line {number}: {error}") from error
        if line.fingerprint.arch != path.stem:
            raise BenchError(f"{path}, line {number}: it is of {line.fingerprint.arch}, not of {path.stem}")
        lines.append(line)
    return lines


def write_history(path: Path, lines: Sequence[Line]) -> None:
    """Write a history, whole or not at all.

    Raises:
        BenchError: it cannot be written.
    """
    text = "".join(
        json.dumps({"schema": SCHEMA} | asdict(line), ensure_ascii=False, separators=(",", ":")) + "\n"
        for line in lines
    )
    beside = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise BenchError(f"{path} cannot be written: {error.strerror}") from error


def added(lines: Sequence[Line], new: Line, order: Mapping[str, int]) -> list[Line]:
    """Return a history with one more line, in the order of the revisions. It replaces that of the same conditions.

    `order` numbers revisions, oldest first. Those that it does not know come first.
    """
    others = [one for one in lines if (one.revision, one.fingerprint) != (new.revision, new.fingerprint)]
    return sorted([*others, new], key=lambda one: order.get(one.revision, -1))


class _Broken(Exception):
    """A line is not one of a history. The text says why."""


def _parse(text: str) -> Line:
    try:
        plain = json.loads(text)
    except ValueError as error:
        raise _Broken(f"it is not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise _Broken("it is not a JSON object")
    if plain.get("schema") != SCHEMA:
        raise _Broken(f"it is of schema {plain.get('schema')}; this suite knows {SCHEMA}")
    revision = _text(plain, "revision")
    if not _REVISION.fullmatch(revision):
        raise _Broken(f"revision is {revision!r}, not twelve hexadecimal digits")
    printed = _object(plain, "fingerprint")
    texts = [one.name for one in fields(Fingerprint) if one.name != "wheels"]
    return Line(
        revision=revision,
        committed=_text(plain, "committed"),
        fingerprint=Fingerprint(
            **{name: _text(printed, name) for name in texts},
            wheels={name: _text(_object(printed, "wheels"), name) for name in _object(printed, "wheels")},
        ),
        counts={name: _count(_object(_object(plain, "counts"), name)) for name in _object(plain, "counts")},
        times={name: _number(_object(plain, "times"), name) for name in _object(plain, "times")},
        machine=_text(plain, "machine"),
    )


def _count(plain: dict[str, Any]) -> Count:
    instructions = _number(plain, "instructions")
    if instructions <= 0:
        raise _Broken(f"instructions is {instructions:g}: nothing costs nothing")
    calls = _object(plain, "system_calls")
    return Count(
        parameters=_text(plain, "parameters"),
        instructions=instructions,
        typical=_number(plain, "typical"),
        spread=_number(plain, "spread"),
        between=_number(plain, "between"),
        system_calls={name: _number(calls, name) for name in calls},
    )


def _object(plain: dict[str, Any], name: str) -> dict[str, Any]:
    value = plain.get(name)
    if not isinstance(value, dict):
        raise _Broken(f"{name} is not an object")
    return value


def _text(plain: dict[str, Any], name: str) -> str:
    value = plain.get(name)
    if not isinstance(value, str):
        raise _Broken(f"{name} is not a text")
    return value


def _number(plain: dict[str, Any], name: str) -> float:
    value = plain.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _Broken(f"{name} is not a number")
    return value
