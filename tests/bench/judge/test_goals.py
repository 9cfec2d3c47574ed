"""The ratios that have to be reached."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from bench.judge.goals import GOALS, Goal, Reached, bound, idle_kib, ratio_of, stand, standings
from bench.measure.scenarios import SCENARIOS
from tests.bench.samples import measured, result


def goal(*, at_most: bool = False, strict_aim: bool = False) -> Goal:
    """Make a goal on the ratio of requests/s to nginx."""
    must, aim = (1.25, 1.1) if at_most else (1.3, 1.6)
    figure = ratio_of("requests_per_s", "get_token", "nginx_lua")
    return Goal("x", "y", figure, must, 1.25 if strict_aim else aim, at_most=at_most, strict_aim=strict_aim)


@pytest.mark.parametrize(
    ("mine", "at_most", "reached"),
    [
        (129.9, False, Reached.NOT),
        (130.0, False, Reached.MUST),
        (160.0, False, Reached.AIM),
        (125.1, True, Reached.NOT),
        (125.0, True, Reached.MUST),
        (110.0, True, Reached.AIM),
    ],
)
def test_must_and_aim(mine: float, at_most: bool, reached: Reached) -> None:
    """A goal holds at its bound and fails just past it, upwards or downwards."""
    measurements = (
        measured("txtoken", "get_token", {"requests_per_s": mine}),
        measured("nginx_lua", "get_token", {"requests_per_s": 100.0}),
    )
    assert stand(goal(at_most=at_most), result(*measurements)).reached is reached


def test_strict_aim_is_not_met_by_equality() -> None:
    """ "Better" is not reached by being as good."""
    equal = (
        measured("txtoken", "get_token", {"requests_per_s": 125.0}),
        measured("nginx_lua", "get_token", {"requests_per_s": 100.0}),
    )
    assert stand(goal(at_most=True, strict_aim=True), result(*equal)).reached is Reached.MUST


def test_what_was_not_measured_neither_holds_nor_fails() -> None:
    """A goal whose peer is missing or void is not judged."""
    void = measured("nginx_lua", "get_token", {"void": True})
    for measurements in ((), (measured("txtoken", "get_token"),), (measured("txtoken", "get_token"), void)):
        assert stand(goal(), result(*measurements)).reached is Reached.UNKNOWN


def test_every_goal_names_scenarios_that_exist() -> None:
    """Every goal can be computed from a run of all scenarios with all peers."""
    services = ("txtoken", "go", "nginx_lua", "aiohttp_plain", "hello")
    everything = [
        measured(service, name, {"idle_connection_bytes": 2048.0}) for name in SCENARIOS for service in services
    ]
    found = standings(result(*everything))
    assert len(found) == len(GOALS)
    assert all(standing.reached is not Reached.UNKNOWN for standing in found)


def test_idle_memory_is_in_kib() -> None:
    """Bytes of an idle connection are shown in KiB."""
    assert idle_kib(result(measured("txtoken", "idle_10k", {"idle_connection_bytes": 4096.0})), "txtoken") == 4.0
    assert idle_kib(result(), "txtoken") is None


def test_a_ratio_to_nothing_is_infinite() -> None:
    """A peer that used nothing measurable does not stop the report."""
    measurements = measured("txtoken", "mixed"), measured("go", "mixed", {"cpu_us": 0.0})
    assert ratio_of("cpu_us", "mixed", "go")(result(*measurements), "txtoken") == inf


@pytest.mark.parametrize(
    ("generator_cores", "cpu_us", "reached"),
    [(0.97, 7.5, Reached.BY_CPU), (0.97, 7.8, Reached.NOT), (0.9, 7.5, Reached.NOT)],
)
def test_a_service_that_was_not_asked_for_all_it_can_do(
    generator_cores: float, cpu_us: float, reached: Reached
) -> None:
    """A load generator at its limit makes the service look slower than it is; or a service is excused that is slower."""
    (checks,) = (one for one in GOALS if one.what == "checkToken requests/s, repeated")
    mine = {"requests_per_s": 146.0, "cpu_us": cpu_us, "generator_cores": generator_cores}
    theirs = {"requests_per_s": 100.0, "cpu_us": 11.5, "generator_cores": 0.7}
    measurements = measured("txtoken", "check_token", mine), measured("nginx_lua", "check_token", theirs)
    assert stand(checks, result(*measurements)).reached is reached


def test_each_round_by_itself() -> None:
    """A ratio of medians hides how far its rounds lie apart. A round that is void has none."""
    rates = {"txtoken": (100.0, 300.0, 260.0), "nginx_lua": (100.0, 200.0, 100.0)}
    mine, theirs = (measured(name, "get_token", *({"requests_per_s": rate} for rate in rates[name])) for name in rates)
    assert stand(goal(), result(mine, theirs)).rounds == (1.0, 1.5, 2.6)
    rounds = (theirs.rounds[0], replace(theirs.rounds[1], void=True))
    assert stand(goal(), result(mine, replace(theirs, rounds=rounds))).rounds == (1.0,)


def test_the_service_from_its_sources_is_held_against_the_same_goals() -> None:
    """The same goals can be asked of the service as it is run from its sources, and what is its own is compared with its own."""
    measurements = [
        measured("txtoken_interpreted", "get_token", {"cpu_us": 20.0}),
        measured("txtoken_interpreted", "access_log", {"cpu_us": 22.0}),
        measured("txtoken", "get_token", {"cpu_us": 10.0}),
    ]
    found = {one.goal.what: one.value for one in standings(result(*measurements), "txtoken_interpreted")}
    assert found["CPU per login, access log on"] == 1.1


def test_bounds_in_words() -> None:
    """A bound says its direction and unit."""
    assert bound(goal(), 1.3) == "at least 1.3 ×"
    assert bound(goal(at_most=True), 4) == "at most 4 ×"
