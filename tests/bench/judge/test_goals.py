"""The goals: what a result shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.judge.goals import (
    BY_CPU,
    CPU,
    P99,
    QUEUED_ELSEWHERE,
    Goal,
    Judged,
    Side,
    Standing,
    alone,
    cost,
    in_short,
    rate,
    stand,
    standings,
    within,
)
from bench.judge.table import GOALS, INTERNAL
from bench.measure.figures import Measurement
from bench.measure.scenarios import NAMES, SCENARIOS
from tests.bench.samples import MACHINE, measured, result

STEADY = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99)
WILD = (1.0, 3.0, 0.4, 1.5, 0.7, 2.2, 0.9, 1.8)
CHEAPER = cost("CPU per login", "get_token", "rust_axum", 1.0, 0.93)
FASTER = rate("checks/s", "check_token", "nginx_lua", 1.5, 2.0)


def rounds(service: str, scenario: str, pattern: Sequence[float] = STEADY, **middles: float) -> Measurement:
    """Make rounds of one service: each figure times each of the pattern."""
    return measured(
        service, scenario, *({name: middle * factor for name, middle in middles.items()} for factor in pattern)
    )


def standing(goal: Goal, *measurements: Measurement, **others: Any) -> Standing:
    """Judge a result of these."""
    return stand(goal, result(*measurements, **others))


@pytest.mark.parametrize(
    ("mine", "must", "aim"),
    [
        (18.0, Judged.REACHED, Judged.REACHED),
        (19.2, Judged.REACHED, Judged.MISSED),
        (18.6, Judged.REACHED, Judged.UNDECIDED),  # at the aim
        (20.0, Judged.UNDECIDED, Judged.MISSED),  # at the bound
        (22.0, Judged.MISSED, Judged.MISSED),
    ],
)
def test_the_interval_judges(mine: float, must: Judged, aim: Judged) -> None:
    """Reached is what the whole interval reaches, not reached what it is wholly beyond, and the rest is undecided."""
    found = standing(
        CHEAPER,
        rounds("txtoken", "get_token", cpu_us=mine),
        rounds("rust_axum", "get_token", STEADY[::-1], cpu_us=20.0),
    )
    assert (found.must, found.aim) == (must, aim)
    assert found.why == ""


@pytest.mark.parametrize(("mine", "must"), [(170.0, Judged.REACHED), (150.0, Judged.UNDECIDED), (140.0, Judged.MISSED)])
def test_more_may_be_better(mine: float, must: Judged) -> None:
    """A goal on requests/s is reached from above."""
    found = standing(
        FASTER,
        rounds("txtoken", "check_token", requests_per_s=mine),
        rounds("nginx_lua", "check_token", STEADY[::-1], requests_per_s=100.0),
    )
    assert found.must is must


def test_what_slowed_both_cancels_out() -> None:
    """Ratios are those of the turns: a wild machine decides as well as a steady one, if it was wild for both."""
    found = standing(
        CHEAPER, rounds("txtoken", "get_token", WILD, cpu_us=18.0), rounds("rust_axum", "get_token", WILD, cpu_us=20.0)
    )
    assert found.must is Judged.REACHED
    alone_in_it = standing(
        CHEAPER, rounds("txtoken", "get_token", WILD, cpu_us=18.0), rounds("rust_axum", "get_token", cpu_us=20.0)
    )
    assert alone_in_it.must is Judged.UNDECIDED


def test_few_rounds_decide_nothing() -> None:
    """However far away the bound is."""
    found = standing(
        CHEAPER,
        rounds("txtoken", "get_token", (1.0,), cpu_us=1.0),
        rounds("rust_axum", "get_token", (1.0,), cpu_us=20.0),
    )
    assert (found.must, found.aim) == (Judged.UNDECIDED, Judged.UNDECIDED)
    assert found.why == "too few rounds for an interval: 1"
    assert found.estimate is not None
    assert found.estimate.value == 0.05


def test_what_is_missing_is_named() -> None:
    """A goal that cannot be judged says what was not measured, why it was skipped, or that its rounds are void."""
    mine, theirs = rounds("txtoken", "get_token", cpu_us=18.0), rounds("rust_axum", "get_token", cpu_us=20.0)
    void = replace(theirs, rounds=tuple(replace(one, void=True, marks=("3 errors",)) for one in theirs.rounds))
    other_turns = replace(theirs, rounds=tuple(replace(one, turn=one.turn + 50) for one in theirs.rounds))
    for measurements, why in (
        ((), "txtoken was not measured in get_token"),
        ((mine,), f"{NAMES['rust_axum']}: needs cargo"),
        ((mine, void), "every round of get_token is void, 3 errors (in 8 of 8 rounds)"),
        ((mine, other_turns), "no turn has both"),
    ):
        found = standing(CHEAPER, *measurements, skipped=(("rust_axum", "", "needs cargo"),))
        assert found.must is found.aim is Judged.UNKNOWN
        assert found.estimate is None
        assert why in found.why
    assert standing(GOALS[-1], measured("txtoken", "start")).why == "start has no such figure"


@pytest.mark.parametrize("change", [{"machine": replace(MACHINE, emulated=True)}, {"smoke": True}])
def test_no_speed_without_a_measurement_of_speed(change: dict[str, Any]) -> None:
    """An emulated CPU and a smoke run decide nothing, and say so."""
    whole = result(rounds("txtoken", "get_token", cpu_us=1.0), rounds("rust_axum", "get_token", cpu_us=20.0))
    found = stand(CHEAPER, replace(whole, settings=change) if "smoke" in change else replace(whole, **change))
    assert (found.must, found.aim) == (Judged.UNDECIDED, Judged.UNDECIDED)
    assert "emulated" in found.why or "smoke" in found.why


@pytest.mark.parametrize(
    ("limits", "cpu_us", "must", "by_cpu"),
    [
        ({"generator_cores": 1.95}, 7.0, Judged.REACHED, True),  # of two threads
        ({"generator_cores": 1.95}, 9.0, Judged.MISSED, True),
        ({"generator_cores": 1.0}, 7.0, Judged.MISSED, False),
        ({"remote_cores": 0.97, "generator_cores": 0.1}, 7.0, Judged.REACHED, True),
        ({"remote_cores": 0.9, "generator_cores": 1.85}, 7.0, Judged.MISSED, False),
        (
            {"remote_cores": 0.9, "generator_cores": 1.85, "load_cores": 2},
            7.0,
            Judged.REACHED,
            True,
        ),  # they share two cores
    ],
)
def test_a_service_that_was_not_asked_for_all_it_can_do(
    limits: dict[str, Any], cpu_us: float, must: Judged, by_cpu: bool
) -> None:
    """Where the load generator or the remote is the limit, of either of the two, requests/s say too little: CPU time judges."""
    mine = rounds("txtoken", "check_token", requests_per_s=140.0, cpu_us=cpu_us)
    theirs = rounds("nginx_lua", "check_token", STEADY[::-1], requests_per_s=100.0, cpu_us=11.5)
    settings = {"threads": 2, "load_cores": 3} | {name: limits[name] for name in limits.keys() & {"load_cores"}}
    limits = {name: value for name, value in limits.items() if name != "load_cores"}
    for limited in (mine, theirs):
        pair = [
            replace(one, rounds=tuple(replace(each, **limits) for each in one.rounds)) if one is limited else one
            for one in (mine, theirs)
        ]
        found = stand(FASTER, replace(result(*pair), settings=settings))
        assert found.must is must
        assert (found.by_cpu is not None, found.why == BY_CPU) == (by_cpu, by_cpu)
        assert found.estimate is not None
        assert found.estimate.value == pytest.approx(1.4, abs=0.02)


@pytest.mark.parametrize(("remote_cores", "must"), [(0.6, Judged.UNDECIDED), (0.3, Judged.REACHED)])
def test_a_queue_before_the_load_generator_is_not_the_latency_of_a_service(remote_cores: float, must: Judged) -> None:
    """At a rate that the generator and the remote cannot keep up with, either service's p99 is a second."""
    goal = cost("p99", "open_loop", "rust_axum", 1.1, 1.0, field=P99)
    pair = [rounds(service, "open_loop", p99_ms=p99_ms) for service, p99_ms in (("txtoken", 0.6), ("rust_axum", 1.0))]
    pair = [
        replace(one, rounds=tuple(replace(each, generator_cores=0.5, remote_cores=remote_cores) for each in one.rounds))
        for one in pair
    ]
    found = stand(goal, replace(result(*pair), settings={"threads": 1, "load_cores": 1}))
    assert found.must is must
    assert (found.why == QUEUED_ELSEWHERE) == (must is Judged.UNDECIDED)


def test_scenarios_of_one_service_pair_by_turn() -> None:
    """What it costs more with the access log is a ratio of turns, too."""
    goal = within("access log", "access_log", "get_token", "access log off", 1.25, 1.12)
    found = standing(
        goal, rounds("txtoken", "access_log", WILD, cpu_us=22.0), rounds("txtoken", "get_token", WILD, cpu_us=20.0)
    )
    assert (found.must, found.aim) == (Judged.REACHED, Judged.REACHED)
    assert goal.title == "access log against access log off"


def test_a_figure_alone_is_judged_by_its_rounds() -> None:
    """Memory and start have no peer. Memory is in millions of bytes."""
    goal = alone("memory", "million", "memory_kib", 36, 28, "MB", 1024 / 1e6)
    found = standing(goal, rounds("txtoken", "million", memory_kib=30_000))
    assert (found.must, found.aim) == (Judged.REACHED, Judged.MISSED)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(30.72)
    assert goal.title == "memory"


def test_every_goal_can_be_computed() -> None:
    """A result with all of their scenarios, services and figures leaves none unknown; and no two rows are the same."""
    sides = {side for goal in (*GOALS, *INTERNAL) for side in (goal.mine, goal.theirs) if side is not None}
    assert {(one.scenario in SCENARIOS, one.service in NAMES) for one in sides} == {(True, True)}
    everything = result(
        *(rounds(one.service, one.scenario, idle_connection_bytes=2048.0, start_ms=100.0) for one in sides)
    )
    for goals in (GOALS, INTERNAL):
        judged = standings(everything, goals)
        assert all(one.must is not Judged.UNKNOWN for one in judged)
        assert len({one.goal.title for one in judged}) == len(goals)


def test_an_aim_is_beyond_its_bound() -> None:
    """Who reaches the aim has reached what must be."""
    for goal in (*GOALS, *INTERNAL):
        assert goal.aim < goal.must if goal.at_most else goal.aim > goal.must


def test_in_words() -> None:
    """A bound says its direction and unit; the short form counts, and names what is not reached."""
    assert CHEAPER.bound(1.08) == "≤ 1.08 ×"
    assert FASTER.bound(1.5) == "≥ 1.5 ×"
    judged = [
        Standing(replace(CHEAPER, what="a"), None, Judged.REACHED, Judged.REACHED),
        Standing(replace(CHEAPER, what="b"), None, Judged.REACHED, Judged.MISSED),
        Standing(replace(CHEAPER, what="c", against="d"), None, Judged.MISSED, Judged.MISSED),
        Standing(replace(CHEAPER, what="e"), None, Judged.UNDECIDED, Judged.UNDECIDED),
        Standing(replace(CHEAPER, what="f"), None, Judged.UNKNOWN, Judged.UNKNOWN),
    ]
    assert in_short(judged) == (
        "2 of 4 reached, 1 of them with their aim, 1 undecided, 1 not measured. Not reached: c against d."
    )
    assert in_short(judged[-1:]) == "none was measured."
    assert in_short(judged[:1]) == "1 of 1 reached, 1 of them with their aim."


def test_a_ratio_to_nothing_is_none() -> None:
    """A peer that used nothing measurable does not stop the report."""
    goal = Goal("x", Side("txtoken", "mixed"), Side("go", "mixed"), CPU, 1, 0.9)
    assert standing(goal, measured("txtoken", "mixed"), measured("go", "mixed", {"cpu_us": 0.0})).must is Judged.UNKNOWN
