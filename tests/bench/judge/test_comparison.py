"""Two results beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.errors import Incomparable
from bench.judge.comparison import NOISE, Change, Verdict, compare, judge, outline
from bench.judge.intervals import Estimate
from bench.measure.figures import Measurement
from bench.measure.results import Result
from tests.bench.samples import MACHINE, measured, result

STEADY = (1.0, 1.004, 0.996, 1.002, 0.998, 1.0, 1.001, 0.999)
SLOWING = (1.0, 1.1, 1.3, 1.2, 1.4, 1.5, 1.6, 1.7)  # what a busy machine does to all services


def estimate(middle: float, noise: float = 0.001, count: int = 8) -> Estimate:
    """Make a figure with an interval of so much noise on either side."""
    between = (middle * (1 - noise), middle * (1 + noise))
    return Estimate(middle, between if count >= 6 else None, count)


def rounds(service: str, cpu_us: float, pattern: Sequence[float] = STEADY, scenario: str = "get_token") -> Measurement:
    """Make rounds of one service: `cpu_us` times each of the pattern."""
    return measured(service, scenario, *({"cpu_us": cpu_us * factor} for factor in pattern))


def cpu(one: Result, other: Result, service: str = "txtoken") -> Change:
    """Return what became of a service's CPU time."""
    (found,) = (change for change in compare(one, other) if (change.service, change.figure) == (service, "CPU µs"))
    return found


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (estimate(100), estimate(120), Verdict.BETTER),
        (estimate(100), estimate(80), Verdict.WORSE),
        (estimate(100), estimate(100.5), Verdict.SAME),
        (estimate(100), estimate(100 + 100 * NOISE, 0.0001), Verdict.UNDECIDED),  # apart, but by no more than noise
        (estimate(100, 0.1), estimate(115, 0.1), Verdict.UNDECIDED),  # the intervals meet
        (estimate(100, 0.1), estimate(100, 0.1), Verdict.UNDECIDED),  # wide intervals do not show that nothing changed
        (estimate(100, count=5), estimate(200), Verdict.UNSURE),
        (estimate(100), estimate(200, count=5), Verdict.UNSURE),
    ],
)
def test_verdict_where_more_is_better(before: Estimate, after: Estimate, verdict: Verdict) -> None:
    """A difference counts when the intervals lie apart and it is more than noise; none counts when they leave no room for one."""
    assert judge(before, after, more_is_better=True) is verdict


def test_verdict_where_less_is_better() -> None:
    """Less CPU time is better."""
    assert judge(estimate(20), estimate(10), more_is_better=False) is Verdict.BETTER
    assert judge(estimate(10), estimate(20), more_is_better=False) is Verdict.WORSE


def test_a_reference_takes_out_what_slowed_the_machine() -> None:
    """A machine that became slower makes every figure worse, and no ratio to what was measured in the same turns."""
    before = result(rounds("txtoken", 20.0), rounds("hello", 8.0))
    after = result(rounds("txtoken", 20.0, SLOWING), rounds("hello", 8.0, SLOWING))
    found = cpu(before, after)
    assert (found.verdict, found.reference) == (Verdict.SAME, "hello")
    assert found.ratio == pytest.approx(1, abs=0.01)
    assert found.after.value > found.before.value * 1.2
    faster = result(rounds("txtoken", 18.0, SLOWING), rounds("hello", 8.0, SLOWING))
    assert cpu(before, faster).verdict is Verdict.BETTER


def test_the_reference_is_the_floor_or_else_a_peer() -> None:
    """Never the service itself, its other build, or one that only one of the two results has."""
    everyone = [rounds(name, 20.0) for name in ("txtoken", "txtoken_interpreted", "go", "nginx_lua", "hello")]
    assert cpu(result(*everyone), result(*everyone)).reference == "hello"
    assert cpu(result(*everyone), result(*everyone), "hello").reference == "go"
    assert cpu(result(*everyone[:4]), result(*everyone)).reference == "go"
    assert cpu(result(*everyone[:2]), result(*everyone[:2])).reference == ""
    others = [replace(everyone[2], rounds=tuple(replace(one, turn=one.turn + 50) for one in everyone[2].rounds))]
    assert cpu(result(everyone[0], *others), result(everyone[0], *others)).reference == ""


def test_memory_needs_no_reference() -> None:
    """A slow machine does not change it."""
    both = result(rounds("txtoken", 20.0), rounds("hello", 8.0))
    mine = [change for change in compare(both, both) if change.service == "txtoken"]
    assert {change.figure for change in mine if not change.reference} == {"memory KiB"}


def test_only_what_both_have_is_compared() -> None:
    """A scenario or figure that one of them lacks is left out."""
    one = result(measured("txtoken", "get_token"), measured("go", "get_token"))
    other = result(measured("txtoken", "get_token"), measured("txtoken", "mixed"))
    changes = compare(one, other)
    assert {(change.service, change.scenario) for change in changes} == {("txtoken", "get_token")}
    assert not {"bytes per idle connection", "start ms"} & {change.figure for change in changes}
    assert {change.verdict for change in changes} == {Verdict.UNSURE}


def test_void_is_not_compared() -> None:
    """A measurement with errors has nothing to compare."""
    assert (
        compare(result(measured("txtoken", "get_token", {"void": True})), result(measured("txtoken", "get_token")))
        == []
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hosts": "three"}, "hosts: one and three"),
        ({"connections": 8}, "connections: 64 and 8"),
        ({"smoke": True}, "smoke: False and True"),
        ({"slice_s": 1, "turns": 20}, "by slices in turn"),
    ],
)
def test_what_was_measured_differently_is_refused(settings: dict[str, Any], words: str) -> None:
    """A result of three hosts says nothing of one host; how the two differ is said."""
    one = replace(result(rounds("txtoken", 20.0)), settings={"rounds": 3, "connections": 64})
    for pair in ((one, replace(one, settings=one.settings | settings)),):
        with pytest.raises(Incomparable, match=words):
            compare(*pair)
    assert compare(one, replace(one, settings=one.settings | {"hosts": "one", "rounds": 5, "smoke": False}))


@pytest.mark.parametrize("machine", [replace(MACHINE, emulated=True), replace(MACHINE, arch="aarch64")])
def test_refusals_reach_the_caller(machine: Any) -> None:
    """Comparing does not begin for machines that differ."""
    with pytest.raises(Incomparable):
        compare(result(), result(machine=machine))


def test_open_loops_of_two_rates_are_not_compared() -> None:
    """Latencies at other rates say nothing of each other, and the reader learns why they are missing."""
    one = replace(rounds("txtoken", 20.0, scenario="open_loop"), settings={"rate_per_s": 1000.0})
    other = replace(one, settings={"rate_per_s": 2000.0})
    assert compare(result(one), result(other)) == []
    text = "\n".join(outline(result(one), result(other), []))
    assert "open_loop of txtoken is not compared: its settings were rate_per_s 1000 and rate_per_s 2000." in text


def test_outline_says_medians_intervals_and_verdict() -> None:
    """What people read has both medians, their intervals, the ratio, the verdict, and how the two runs differed."""
    one = result(rounds("txtoken", 20.0), rounds("hello", 8.0))
    other = replace(
        result(rounds("txtoken", 10.0), rounds("hello", 8.0), machine=replace(MACHINE, kernel="7")),
        settings={"rounds": 5},
    )
    text = "\n".join(outline(one, other, compare(one, other)))
    assert "get_token · txtoken" in text
    assert " 20 (19.9" in text
    assert " 10 (9.9" in text
    assert "0.50×  better, as a ratio to hello" in text
    assert "kernels differ" in text
    assert "rounds was 3 and 5" in text


def test_nothing_in_common_is_said() -> None:
    """Two results that measured different things say so."""
    assert "no measurement in common" in "\n".join(outline(result(), result(), []))
