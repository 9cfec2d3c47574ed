"""What the load generators report, read back."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from bench.errors import BenchError
from bench.load import locust_load, open_loop_load, wrk
from bench.measure.figures import PERCENTILES

POINTS = [[percentile, round(percentile * 10)] for percentile in PERCENTILES]


def wrk_report(**changes: Any) -> str:
    """Write a report as wrk/report.lua does."""
    errors = {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0} | changes.pop("errors", {})
    plain = {
        "requests": 5000,
        "duration_us": 2_000_000,
        "percentiles_us": POINTS,
        "checked": 0,
        "wrong": 0,
        "cpu_s": 1.0,
    }
    return json.dumps(plain | changes | {"errors": errors})


def test_wrk_report_in_units_of_a_load() -> None:
    """Microseconds become seconds and milliseconds; a clean run has no errors and no marks."""
    load = wrk.parse_report(wrk_report(), threads=1)
    assert (load.requests, load.seconds, load.generator_cpu_s) == (5000, 2.0, 1.0)
    assert (load.at(50), load.at(99.9), load.at(100)) == (0.5, 0.999, 1.0)
    assert (load.errors, load.marks) == (0, ())


def test_wrk_errors_of_every_kind_count() -> None:
    """A time-out is as much an error as a wrong status, and each is named."""
    load = wrk.parse_report(wrk_report(errors={"timeout": 3, "status": 2}), threads=1)
    assert load.errors == 5
    assert load.marks == ("2 status errors", "3 timeout errors")


def test_wrk_wrong_answers_count() -> None:
    """An answer of the wrong shape is an error."""
    load = wrk.parse_report(wrk_report(checked=10, wrong=4), threads=1)
    assert load.errors == 4
    assert load.marks == ("4 of 10 answers were wrong",)


def test_wrk_has_to_look_where_it_was_told_to() -> None:
    """A warm-up whose answers nobody looked at is no check."""
    with pytest.raises(BenchError, match="looked at no answer"):
        wrk.parse_report(wrk_report(checked=0), threads=1, checked=True)
    assert wrk.parse_report(wrk_report(checked=7), threads=1, checked=True).errors == 0


@pytest.mark.parametrize(
    ("cpu_s", "threads", "is_marked"), [(1.95, 1, True), (1.8, 1, False), (1.95, 2, False), (3.9, 2, True)]
)
def test_wrk_at_its_limit_is_marked(cpu_s: float, threads: int, is_marked: bool) -> None:
    """A generator that used all of its threads' time marks the figure."""
    marks = wrk.parse_report(wrk_report(cpu_s=cpu_s), threads).marks
    assert any("100 %" in mark for mark in marks) is is_marked


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"requests": 1}'])
def test_a_report_that_is_none_is_refused(text: str) -> None:
    """A generator that crashed is an error, and never a zero."""
    with pytest.raises(BenchError):
        wrk.parse_report(text, 1)
    with pytest.raises(BenchError):
        open_loop_load.parse_report(text)
    with pytest.raises(BenchError):
        locust_load.parse_report(text, 1.0, 1.0)


def test_open_loop_report() -> None:
    """Requests that were not answered are errors; a generator that was late itself says so."""
    plain = {"answered": 90, "seconds": 1.0, "percentiles_us": POINTS, "errors": 10, "late_p99_us": 5000, "cpu_s": 0.99}
    load = open_loop_load.parse_report(json.dumps(plain))
    assert (load.requests, load.errors, load.at(99)) == (90, 10, 0.99)
    assert len(load.marks) == 3
    assert open_loop_load.parse_report(json.dumps(plain | {"errors": 0, "late_p99_us": 9, "cpu_s": 0.1})).marks == ()


def test_locust_percentiles() -> None:
    """Percentiles come from the counts of all routes together, and the longest is exact."""
    routes = [
        {"num_requests": 98, "num_failures": 0, "max_response_time": 2.25, "response_times": {"1": 90, "2": 8}},
        {"num_requests": 2, "num_failures": 1, "max_response_time": 40.5, "response_times": {"40": 2}},
    ]
    load = locust_load.parse_report(json.dumps(routes), 0.5, 1.0)
    assert (load.requests, load.errors) == (100, 1)
    assert (load.at(50), load.at(95), load.at(99), load.at(100)) == (1.0, 2.0, 40.0, 40.5)


def test_locust_curve_of_one() -> None:
    """One request is every percentile."""
    assert {ms for _, ms in locust_load.curve_of(Counter({7.0: 1}), 7.0)} == {7.0}
