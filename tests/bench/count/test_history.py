"""A history: what is written is read again, and what is broken is named with its file and line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.count.history import added, history_of, read_history, write_history
from bench.errors import BenchError
from tests.bench.count.samples import a_line


def test_round_trip(tmp_path: Path) -> None:
    """A history that was written is read as it was, times on hardware and all."""
    path = history_of("x86_64", tmp_path / "history")
    lines = [
        a_line(1, {"login": 50_000.0}),
        replace(a_line(2, {"login": 51_000.0, "check": 8_000.5}), times={"login": 20.4}, machine="a board"),
    ]
    write_history(path, lines)
    assert read_history(path) == lines


def test_no_history(tmp_path: Path) -> None:
    """A history that does not exist yet is empty."""
    assert read_history(history_of("aarch64", tmp_path)) == []


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (lambda plain: plain.update(schema=2), "it is of schema 2; this suite knows 1"),
        (lambda plain: plain.pop("revision"), "revision is not a text"),
        (lambda plain: plain.update(revision="HEAD"), "revision is 'HEAD', not twelve hexadecimal digits"),
        (lambda plain: plain["fingerprint"].pop("libc"), "libc is not a text"),
        (lambda plain: plain["fingerprint"].update(wheels=None), "wheels is not an object"),
        (lambda plain: plain["fingerprint"].update(arch="aarch64"), "it is of aarch64, not of x86_64"),
        (lambda plain: plain["counts"]["login"].update(instructions="many"), "instructions is not a number"),
        (lambda plain: plain["counts"]["login"].update(instructions=True), "instructions is not a number"),
        (lambda plain: plain["counts"]["login"].update(instructions=0), "instructions is 0: nothing costs nothing"),
        (lambda plain: plain.update(counts=[]), "counts is not an object"),
    ],
)
def test_broken_line(tmp_path: Path, breaks: Callable[[dict[str, Any]], object], said: str) -> None:
    """A line that is not as it has to be is an error, which names the file, the line and what is wrong."""
    path = history_of("x86_64", tmp_path)
    write_history(path, [a_line(1, {"login": 50_000.0}), a_line(2, {"login": 50_000.0})])
    first, second = path.read_text().splitlines()
    plain = json.loads(second)
    breaks(plain)
    path.write_text(f"{first}\n{json.dumps(plain)}\n")
    with pytest.raises(BenchError) as caught:
        read_history(path)
    assert str(caught.value) == f"{path}, line 2: {said}"


@pytest.mark.parametrize("text", ["{", "[]", "", '{"schema":1}', "\x00"])
def test_no_line(tmp_path: Path, text: str) -> None:
    """Whatever a line is, it is read or an error that names the line."""
    path = history_of("x86_64", tmp_path)
    path.write_text(f"{text}\n")
    with pytest.raises(BenchError, match=r"x86_64\.jsonl, line 1: "):
        read_history(path)


def test_not_text(tmp_path: Path) -> None:
    """A file of other bytes than text is an error that names it."""
    path = history_of("x86_64", tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BenchError, match=r"x86_64\.jsonl cannot be read"):
        read_history(path)


def test_written_whole_or_not(tmp_path: Path) -> None:
    """A history that cannot be written stays as it was."""
    path = history_of("x86_64", tmp_path)
    write_history(path, [a_line(1, {"login": 50_000.0})])
    before = path.read_bytes()
    path.with_suffix(".new").mkdir()
    with pytest.raises(BenchError, match="cannot be written"):
        write_history(path, [])
    assert path.read_bytes() == before


def test_added_in_order() -> None:
    """Lines stand in the order of their revisions, whichever was counted first; unknown revisions stand first."""
    lines = [a_line(9, {"login": 1.0}), a_line(3, {"login": 1.0})]
    order = {a_line(number, {}).revision: number for number in (1, 2, 3)}
    lines = added(lines, a_line(1, {"login": 1.0}), order)
    assert [line.revision[-1] for line in lines] == ["9", "1", "3"]


def test_added_again() -> None:
    """A revision that is counted again replaces its line of the same conditions, and no other."""
    lines = [a_line(1, {"login": 1.0}), a_line(1, {"login": 2.0}, build="source")]
    lines = added(lines, a_line(1, {"login": 3.0}), {})
    assert sorted(line.counts["login"].instructions for line in lines) == [2.0, 3.0]
