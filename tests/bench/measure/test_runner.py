"""Whose turn it is, and what becomes of a failure. Services, stages and slices are stand-ins; test_slices.py has real ones."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bench.errors import BenchError, Ended, Unavailable
from bench.measure import runner
from bench.measure.figures import PERCENTILES, Curve, Round
from bench.measure.runner import Run, takes_part, turns_of
from bench.measure.scenarios import FLOOR, INTERPRETED, SUBJECT, Scenario, Setup, Tool
from bench.measure.services import Service
from bench.measure.settings import Settings
from tests.bench.samples import ROUND

SETTINGS = Settings(
    turns=5,
    slice_s=1,
    warm_up_s=1,
    threads=1,
    service_cores=None,
    load_cores=None,
    open_loop_share=0.6,
    open_loop_reference="one",
)
CURVE: Curve = tuple((percentile, 1.0) for percentile in PERCENTILES)
LOGINS = Scenario("get_token", "logins")
CHECKS = Scenario("check_token", "checks")
FRESH = Scenario("fresh", "fresh ones", is_fresh=True)
OPEN = Scenario("open_loop", "at a rate", tool=Tool.OPEN_LOOP)


class Watched:
    """Everything that happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.measured: list[tuple[int, str, str]] = []
        self.warmed: list[tuple[str, str]] = []
        self.started: list[str] = []
        self.up: Counter[str] = Counter()
        self.rates: dict[str, float] = {}
        self.carried_per_s = 50_000.0
        self.probes = 0
        self.behave: Callable[[int, str, str], Round | None] = lambda turn, service, scenario: None
        self.begin_with: Callable[[str, str], None] = lambda service, scenario: None

    def begin(self, steps: int) -> None:
        self.steps = steps

    def probe(self) -> float:
        self.probes += 1
        return self.carried_per_s

    def step(self, text: str) -> None: ...

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Stand-ins for what starts and measures."""
    seen = Watched()

    class Stage:
        def __init__(self, *_: object) -> None: ...

        def __enter__(self) -> Stage:
            return self

        def __exit__(self, *_: object) -> None: ...

        @contextlib.contextmanager
        def instance(self, service: Service, setup: Setup) -> Iterator[str]:
            seen.started.append(service.name)
            seen.up[service.name] += 1
            try:
                yield service.name
            finally:
                seen.up[service.name] -= 1

        def tokens(self, instance: str, scenario: Scenario) -> str:
            return "tokens"

    class Slice:
        def __init__(
            self, instance: str, scenario: Scenario, tokens: str, settings: Settings, turn: int, **rest: Any
        ) -> None:
            self.instance, self.scenario, self.turn = instance, scenario, turn
            self.rate = rest["rate"]

        def warm_up(self) -> None:
            seen.warmed.append((self.instance, self.scenario.name))
            seen.begin_with(self.instance, self.scenario.name)

        def measure(self) -> tuple[Round, Curve]:
            assert seen.up[self.instance] > 0
            seen.measured.append((self.turn, self.instance, self.scenario.name))
            if self.rate:
                seen.rates[self.instance] = self.rate
            made = seen.behave(self.turn, self.instance, self.scenario.name) or ROUND
            return replace(made, turn=self.turn), CURVE

    monkeypatch.setattr(runner, "Stage", Stage)
    monkeypatch.setattr(runner, "Slice", Slice)
    monkeypatch.setattr(runner, "capacity", lambda *_: 100_000.0)
    monkeypatch.setattr(runner, "carried_per_s", lambda *_: seen.probe())
    monkeypatch.setattr(Service, "prepare", lambda self: None)
    return seen


def run(watched: Watched, *scenarios: Scenario, services: str = "one two three", **changes: Any) -> Run:
    """Run these scenarios with services of these names."""
    made = Run([Service(name) for name in services.split()], scenarios, replace(SETTINGS, **changes), watched)
    made.go()
    return made


def rounds(made: Run) -> dict[tuple[str, str], list[int]]:
    """Return the turns of all rounds that count."""
    return {(one.service, one.scenario): sorted(one.by_turn()) for one in made.measurements}


def test_every_service_once_a_turn_in_a_random_order(watched: Watched) -> None:
    """All are up together, each is measured once a turn, and the orders differ."""
    made = run(watched, LOGINS, CHECKS)
    assert watched.steps == 3 * 2 * 5
    assert all(turns == [*range(5)] for turns in rounds(made).values())
    assert Counter(watched.measured) == Counter(
        (turn, service, scenario)
        for turn in range(5)
        for service in ("one", "two", "three")
        for scenario in ("get_token", "check_token")
    )
    orders = {
        tuple(service for at, service, scenario in watched.measured if at == turn and scenario == "get_token")
        for turn in range(5)
    }
    assert len(orders) > 1
    assert watched.started == ["one", "two", "three"]
    assert not +watched.up
    assert [turn for turn, _, _ in watched.measured] == sorted(turn for turn, _, _ in watched.measured)


def test_a_disturbed_slice_is_taken_again(watched: Watched) -> None:
    """At the end of its turn, by its service alone: the pairs of that turn are whole."""
    was_disturbed: list[tuple[int, str, str]] = []

    def behave(*at: Any) -> Round | None:
        if at not in {(2, "two", "get_token"), (4, "one", "check_token")} or at in was_disturbed:
            return None
        was_disturbed.append(at)
        return replace(ROUND, void=True)

    watched.behave = behave
    made = run(watched, LOGINS, CHECKS)
    assert len(was_disturbed) == 2
    assert all(turns == [*range(5)] for turns in rounds(made).values())
    assert len(watched.measured) == 3 * 2 * 5 + 2
    of_turn = [service for turn, service, scenario in watched.measured if (turn, scenario) == (2, "get_token")]
    assert of_turn[-1] == "two"
    assert sorted(of_turn[:-1]) == ["one", "three", "two"]


def test_a_turn_that_is_disturbed_twice_is_taken_again(watched: Watched) -> None:
    """All services take it again, so that pairs stay whole; a scenario that was not disturbed has no more turns."""
    watched.behave = lambda turn, service, scenario: (
        replace(ROUND, void=True) if (turn, service, scenario) == (2, "two", "get_token") else None
    )
    made = run(watched, LOGINS, CHECKS)
    assert rounds(made)["two", "get_token"] == [0, 1, 3, 4, 5]
    assert rounds(made)["one", "get_token"] == [0, 1, 2, 3, 4, 5]
    assert rounds(made)["one", "check_token"] == [0, 1, 2, 3, 4]


def test_a_machine_that_is_never_quiet(watched: Watched) -> None:
    """After twice as many turns it ends, and nothing of it counts."""
    watched.behave = lambda turn, service, scenario: replace(ROUND, void=True)
    made = run(watched, LOGINS)
    assert {turn for turn, _, _ in watched.measured} == set(range(10))
    assert all(one.is_void for one in made.measurements)


def test_errors_are_not_taken_again(watched: Watched) -> None:
    """A service that answers wrongly under load would do it again."""
    watched.behave = lambda turn, service, scenario: replace(ROUND, void=True, errors=3) if service == "two" else None
    made = run(watched, LOGINS)
    assert rounds(made) == {
        ("one", "get_token"): [*range(5)],
        ("two", "get_token"): [],
        ("three", "get_token"): [*range(5)],
    }


def test_a_service_that_ends_in_the_middle(watched: Watched) -> None:
    """All its rows of this setup are left out, with its last words, and the others go on."""

    def behave(turn: int, service: str, scenario: str) -> Round | None:
        if (turn, service) == (2, "two"):
            raise Ended(1, "out of memory")
        return None

    watched.behave = behave
    made = run(watched, LOGINS, CHECKS)
    assert {service for service, _ in rounds(made)} == {"one", "three"}
    assert sorted(made.skipped) == [
        ("two", "check_token", "ended with 1: out of memory"),
        ("two", "get_token", "ended with 1: out of memory"),
    ]
    assert made.has_failed
    assert not +watched.up


@pytest.mark.parametrize(("error", "failed"), [(BenchError("wrong answer"), True), (Unavailable("has no TLS"), False)])
def test_a_service_that_fails_its_warm_up(watched: Watched, error: Exception, failed: bool) -> None:
    """One row is left out with the reason."""

    def begin_with(service: str, scenario: str) -> None:
        if (service, scenario) == ("two", "check_token"):
            raise error

    watched.begin_with = begin_with
    made = run(watched, LOGINS, CHECKS)
    assert made.skipped == [("two", "check_token", str(error))]
    assert made.has_failed is failed
    assert ("two", "get_token") in rounds(made)
    assert ("two", "check_token") not in rounds(made)


def test_a_service_that_cannot_be_prepared(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out of everything, and that is no failure."""

    def prepare(self: Service) -> None:
        if self.name == "two":
            raise Unavailable("needs cargo")

    monkeypatch.setattr(Service, "prepare", prepare)
    made = run(watched, LOGINS)
    assert made.skipped == [("two", "", "needs cargo")]
    assert not made.has_failed
    assert "two" not in watched.started


def test_a_fresh_scenario_starts_its_services_each_time(watched: Watched) -> None:
    """No other scenario's requests are in their memory."""
    made = run(watched, LOGINS, FRESH, services="one")
    assert watched.started == ["one"] * 6
    assert len(rounds(made)["one", "fresh"]) == 5
    assert Counter(watched.warmed)["one", "fresh"] == 5


def test_the_open_loop_comes_last_at_one_rate(watched: Watched) -> None:
    """Its rate is a share of what the reference reached, for all; a service that is slower than that is left out."""
    watched.behave = lambda turn, service, scenario: replace(
        ROUND, requests_per_s={"one": 1000.0, "two": 800.0, "three": 600.0}[service]
    )
    made = run(watched, OPEN, LOGINS)
    assert watched.rates == {"one": 600, "two": 600}
    assert made.skipped == [("three", "open_loop", "600/s is more than the 600/s that it reaches")]
    firsts = [scenario for _, _, scenario in watched.measured]
    assert firsts.index("open_loop") == len(firsts) - firsts[::-1].count("open_loop") == 15
    (opened, *_) = (one for one in made.measurements if one.scenario == "open_loop")
    assert opened.settings == {"rate_per_s": 600}


def test_the_open_loop_leaves_room_for_the_load(watched: Watched) -> None:
    """Where generator and remote carry less than the share, the rate is lower, and that is said once; a given rate stays."""
    watched.behave = lambda turn, service, scenario: replace(ROUND, requests_per_s=1000.0)
    watched.carried_per_s = 300.0
    made = run(watched, OPEN, LOGINS)
    assert watched.rates == {"one": 300, "two": 300, "three": 300}
    assert sum("300/s in place of 600/s, which is 60% of what one reaches" in text for text in watched.lines) == 1
    assert not made.skipped
    assert watched.probes == 1
    run(watched, OPEN, LOGINS, open_loop_rate=550.0)
    run(watched, LOGINS)
    assert watched.rates["one"] == 550
    assert watched.probes == 1


def test_an_open_loop_without_its_reference(watched: Watched) -> None:
    """It says what to do; a rate that was given needs none."""
    made = run(watched, OPEN, LOGINS, services="two")
    assert "add it, or give --rate" in made.skipped[0][2]
    assert made.has_failed
    assert not run(watched, OPEN, LOGINS, services="two", open_loop_rate=500.0).skipped


def test_groups_are_not_up_together(watched: Watched) -> None:
    """A group's services have ended before the next one's are started."""
    other = replace(CHECKS, group="other")
    seen: list[int] = []
    watched.begin_with = lambda service, scenario: seen.append(watched.up[service])
    run(watched, LOGINS, other, services="one")
    assert seen == [1, 1]
    assert watched.started == ["one", "one"]


def test_what_was_measured_before_ctrl_c_stays(watched: Watched) -> None:
    """And everything is ended."""

    def behave(turn: int, service: str, scenario: str) -> Round | None:
        if turn == 3:
            raise KeyboardInterrupt
        return None

    watched.behave = behave
    made = Run([Service("one")], [LOGINS], SETTINGS, watched)
    with pytest.raises(KeyboardInterrupt):
        made.go()
    assert rounds(made) == {("one", "get_token"): [0, 1, 2]}
    assert not +watched.up


def test_who_takes_part() -> None:
    """The service in all, its peers and the floor where the scenario says so."""
    own, floor = replace(LOGINS, of_peers=False), replace(LOGINS, of_floor=True)
    expected = {SUBJECT: (True, True, True), INTERPRETED: (True, False, True), FLOOR: (False, False, True)}
    for name, parts in {**expected, "peer": (True, False, True)}.items():
        assert tuple(takes_part(Service(name), one) for one in (LOGINS, own, floor)) == parts


def test_few_turns_are_enough_for_some() -> None:
    """A scenario may have fewer turns than the run, never more."""
    seven = replace(LOGINS, turns_max=7)
    assert [turns_of(seven, replace(SETTINGS, turns=turns)) for turns in (3, 7, 15)] == [3, 7, 7]
    assert turns_of(LOGINS, SETTINGS) == 5
