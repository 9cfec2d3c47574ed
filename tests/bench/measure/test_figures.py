"""Medians, spreads, and a result's way into a file and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.measure import results
from bench.measure.figures import median_curve, spread
from tests.bench.samples import measured, result


def test_median_leaves_void_rounds_out() -> None:
    """A round with errors has no part in any figure."""
    one = measured("txtoken", "get_token", {"cpu_us": 10.0}, {"cpu_us": 12.0}, {"cpu_us": 99.0, "void": True})
    assert one.median("cpu_us") == 11.0
    assert not one.is_void


def test_all_void_is_void() -> None:
    """A measurement without one good round has no figures."""
    one = measured("txtoken", "get_token", {"void": True}, {"void": True})
    assert one.is_void
    assert one.median("cpu_us") is None
    assert one.spread("cpu_us") is None


def test_what_was_not_measured_is_none() -> None:
    """Memory of idle connections exists only where there were some."""
    assert measured("txtoken", "get_token").median("idle_connection_bytes") is None


def test_marks_are_told_once() -> None:
    """A mark that every round has is one mark, whatever its numbers, and says in how many."""
    one = measured("txtoken", "get_token", {"marks": ("used 0.41 cores", "b")}, {"marks": ("used 0.39 cores",)})
    assert one.marks == ["used 0.41 cores (in 2 of 2 rounds)", "b (in 1 of 2 rounds)"]
    assert measured("txtoken", "get_token", {"marks": ("a",)}).marks == ["a"]


def test_spread() -> None:
    """The spread is the range as a share of the median; one value has none."""
    assert spread([9.0, 10.0, 12.0]) == 0.3
    assert spread([10.0]) is None
    assert spread([0.0, 0.0]) is None


def test_median_curve() -> None:
    """A curve of several rounds is the median at each percentile."""
    curves = [((50.0, 1.0), (99.0, 9.0)), ((50.0, 3.0), (99.0, 2.0)), ((50.0, 2.0), (99.0, 4.0))]
    assert median_curve(curves) == ((50.0, 2.0), (99.0, 4.0))
    assert median_curve([]) == ()


def test_round_trip(tmp_path: Path) -> None:
    """What is written is what is read, and the file is JSON with one line a round."""
    before = result(
        measured("txtoken", "idle_10k", {"idle_connection_bytes": 4000.5}, {"marks": ("slow",)}),
        measured("hello", "get_token"),
        skipped=(("go", "", "not there"),),
        notes=("interrupted",),
    )
    path = tmp_path / "x86_64" / "sample.json"
    results.write(before, path)
    assert results.read(path) == before
    text = path.read_text()
    assert json.loads(text)["format"] == results.FORMAT
    assert sum('{"requests"' in line for line in text.splitlines()) == 3


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 0}', '{"format": 2}', '{"format": 1, "measurements": [{}], "machine": {}}']
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    """A file that is no result is an error in words."""
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=r"other\.json"):
        results.read(path)


def test_a_result_without_measurements(tmp_path: Path) -> None:
    """A run in which nothing could be measured can still be written and read."""
    path = tmp_path / "empty.json"
    results.write(result(), path)
    assert results.read(path) == result()
    assert result().services == []
