"""Two results beside each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.errors import Incomparable
from bench.judge.comparison import Verdict, compare, judge, outline
from tests.bench.samples import MACHINE, measured, result


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([100, 101, 102], [120, 121, 122], Verdict.BETTER),
        ([100, 101, 102], [80, 81, 82], Verdict.WORSE),
        ([100, 110, 120], [115, 125, 135], Verdict.SAME),  # the ranges meet
        ([100.0, 100.1, 100.2], [101.0, 101.1, 101.2], Verdict.SAME),  # apart, but by 1 %
        ([100], [200, 201], Verdict.UNSURE),
        ([100, 101], [200], Verdict.UNSURE),
    ],
)
def test_verdict_where_more_is_better(before: list[float], after: list[float], verdict: Verdict) -> None:
    """A difference counts when the rounds lie apart and it is more than noise."""
    assert judge(before, after, more_is_better=True) is verdict


def test_verdict_where_less_is_better() -> None:
    """Less CPU time is better."""
    assert judge([20, 21], [10, 11], more_is_better=False) is Verdict.BETTER


def test_only_what_both_have_is_compared() -> None:
    """A scenario or figure that one of them lacks is left out."""
    one = result(measured("txtoken", "get_token"), measured("go", "get_token"))
    other = result(measured("txtoken", "get_token"), measured("txtoken", "mixed"))
    changes = compare(one, other)
    assert {(change.service, change.scenario) for change in changes} == {("txtoken", "get_token")}
    assert "bytes per idle connection" not in {change.figure for change in changes}


def test_void_is_not_compared() -> None:
    """A measurement with errors has nothing to compare."""
    assert (
        compare(result(measured("txtoken", "get_token", {"void": True})), result(measured("txtoken", "get_token")))
        == []
    )


def test_refusals_reach_the_caller() -> None:
    """Comparing does not begin for machines that differ."""
    with pytest.raises(Incomparable):
        compare(result(), result(machine=replace(MACHINE, emulated=True)))


def test_outline_tells_medians_and_verdict() -> None:
    """What people read has both medians, the ratio, the verdict, and how the two runs differed."""
    one = result(measured("txtoken", "get_token", {"cpu_us": 20.0}, {"cpu_us": 20.2}))
    other = replace(
        result(
            measured("txtoken", "get_token", {"cpu_us": 10.0}, {"cpu_us": 10.2}), machine=replace(MACHINE, kernel="7")
        ),
        settings={"rounds": 5},
    )
    text = "\n".join(outline(one, other, compare(one, other)))
    assert "get_token · txtoken" in text
    assert "20.10" in text
    assert "10.10" in text
    assert "0.50×" in text
    assert "better" in text
    assert "kernels differ" in text
    assert "rounds was 3 and 5" in text


def test_nothing_in_common_is_said() -> None:
    """Two results that measured different things say so."""
    assert "no measurement in common" in "\n".join(outline(result(), result(), []))
