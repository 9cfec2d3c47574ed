"""Trends: what is compared with what, and how much growth is a regression."""

from __future__ import annotations

import pytest

from bench.count.trend import last_comparable, table, trend
from tests.bench.count.samples import CONDITIONS, a_count, a_line


@pytest.mark.parametrize(
    ("after", "is_regression"), [(102_900.0, False), (103_000.0, False), (103_100.0, True), (50_000.0, False)]
)
def test_growth(after: float, is_regression: bool) -> None:
    """A revision is a regression if a request costs more than 3 % more than in the one before."""
    (series,) = trend([a_line(1, {"login": 100_000.0}), a_line(2, {"login": after})])
    first, second = series.points
    assert (first.growth, first.is_regression) == (None, False)
    assert second.growth == pytest.approx(after / 100_000 - 1)
    assert second.is_regression is is_regression
    assert any(line.endswith("REGRESSION") for line in table([series])) is is_regression


def test_growth_since_the_last() -> None:
    """Growth counts from the line before, not from the first one."""
    (series,) = trend([a_line(number, {"login": cost}) for number, cost in ((1, 100.0), (2, 102.0), (3, 104.0))])
    assert not any(point.is_regression for point in series.points)


@pytest.mark.parametrize("other", [{"qemu": "9.2.0"}, {"wheels": {"uvloop": "0.24.0"}}, {"build": "source"}])
def test_other_conditions(other: dict[str, object]) -> None:
    """Figures of different conditions are never compared: they are series of their own."""
    lines = [a_line(1, {"login": 100.0}), a_line(2, {"login": 200.0}, **other), a_line(3, {"login": 101.0})]
    first, second = trend(lines)
    assert [point.growth for point in first.points] == [None, pytest.approx(0.01)]
    assert [point.growth for point in second.points] == [None]
    found = last_comparable(lines, CONDITIONS, "login", a_count(parameters="a login"))
    assert found is lines[2]
    assert last_comparable(lines[1:2], CONDITIONS, "login", a_count(parameters="a login")) is None


def test_new_conditions_are_named() -> None:
    """A series says why it is none with the lines before; lines of another build between do not matter."""
    wheels = {**CONDITIONS.wheels, "pybase64": "1.5"}
    lines = [
        a_line(1, {"login": 100.0}),
        a_line(2, {"login": 300.0}, build="source"),
        a_line(3, {"login": 90.0}, wheels=wheels),
    ]
    assert [one.differences for one in trend(lines)] == [(), (), ("pybase64: none → 1.5",)]
    assert "  not comparable with the lines before: pybase64: none → 1.5" in list(table(trend(lines)))


def test_other_parameters() -> None:
    """A case that changed what it does is not compared with itself."""
    lines = [a_line(1, {"login": 100.0})]
    assert last_comparable(lines, CONDITIONS, "login", a_count(parameters="a login of something else")) is None
    assert last_comparable(lines, CONDITIONS, "check", a_count(parameters="a check")) is None


def test_clocks() -> None:
    """Reading the clock is no system call outside the emulator, so trends do not count it as one."""
    (series,) = trend([a_line(1, {"login": 100.0})])
    assert series.points[0].system_calls == 2.0
