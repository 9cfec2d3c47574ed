"""The ratios that the service has to reach, and whether a result reaches them. Every number is computed from the result.

Knows which figure stands against which; knows no files and no charts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

from bench.measure.figures import BUSY_MARK, interval
from bench.measure.results import Result
from bench.measure.scenarios import SUBJECT

Figure = Callable[[Result, str], float | None]  # of a result and a service

NGINX: Final = "nginx_lua"
NGINX_NAME: Final = "nginx + LuaJIT"
KIB: Final = 1024


class Reached(Enum):
    """Whether a figure reaches its goal."""

    AIM = "pass, aim reached"
    MUST = "pass"
    BY_CPU = "pass by CPU time only: the load generator was at its limit"
    NOT = "FAIL"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Goal:
    """One row. `figure` is computed from a result, None where something it needs was not measured."""

    what: str
    against: str
    figure: Figure
    must: float
    aim: float
    unit: str = "×"
    at_most: bool = False  # else at least
    strict_aim: bool = False  # the aim is to be better than `aim`, not as good
    cpu: Figure | None = None  # the same ratio by CPU time
    scenario: str = ""  # of a ratio of requests/s


@dataclass(frozen=True, slots=True)
class Standing:
    """A goal and what came of it. `by_cpu` is what a ratio of requests/s would be if only the services' CPU time counted:
    where the load generator is at its limit, the ratio itself is too low. `rounds` is the value of each round by itself."""

    goal: Goal
    value: float | None
    reached: Reached
    by_cpu: float | None = None
    rounds: tuple[float, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether the rounds leave no doubt that the goal is reached: their whole interval does."""
        between = interval(self.rounds)
        return between is not None and (
            between[1] <= self.goal.must if self.goal.at_most else between[0] >= self.goal.must
        )


def standings(result: Result, subject: str = SUBJECT) -> list[Standing]:
    """Judge a result of `subject` by every goal."""
    return [stand(goal, result, subject) for goal in GOALS]


def stand(goal: Goal, result: Result, subject: str = SUBJECT) -> Standing:
    """Judge it by one goal."""
    value = goal.figure(result, subject)
    if value is None:
        return Standing(goal, None, Reached.UNKNOWN)
    singly = (goal.figure(one, subject) for one in result.rounds())
    rounds = tuple(one for one in singly if one is not None)
    by_cpu = None if goal.cpu is None else goal.cpu(result, subject)
    sign = -1 if goal.at_most else 1
    if sign * value < sign * goal.must:
        # If the load generator was the limit, the requests/s say nothing about the service.
        limited = (result.median(subject, goal.scenario, "generator_cores") or 0) >= BUSY_MARK
        passes = limited and by_cpu is not None and by_cpu >= goal.must
        return Standing(goal, value, Reached.BY_CPU if passes else Reached.NOT, by_cpu, rounds)
    aimed = sign * value > sign * goal.aim if goal.strict_aim else sign * value >= sign * goal.aim
    return Standing(goal, value, Reached.AIM if aimed else Reached.MUST, by_cpu, rounds)


def bound(goal: Goal, value: float) -> str:
    """Write what is required."""
    return f"{'at most' if goal.at_most else 'at least'} {value:g} {goal.unit}"


def ratio_of(figure: str, scenario: str, peer: str, peer_scenario: str = "") -> Figure:
    """Make the ratio of the subject's median to a peer's, or its own, in the same scenario or another."""

    def ratio(result: Result, subject: str) -> float | None:
        mine = result.median(subject, scenario, figure)
        theirs = result.median(subject if peer == SUBJECT else peer, peer_scenario or scenario, figure)
        if mine is None or theirs is None:
            return None
        return mine / theirs if theirs else inf

    return ratio


def idle_kib(result: Result, subject: str) -> float | None:
    """Return the resident memory of an idle connection in KiB."""
    each = result.median(subject, "idle_10k", "idle_connection_bytes")
    return None if each is None else each / KIB


def throughput(what: str, scenario: str, peer: str, name: str, must: float, aim: float) -> Goal:
    """Make a goal on requests/s against a peer."""
    rate, cpu = ratio_of("requests_per_s", scenario, peer), ratio_of("cpu_us", scenario, peer)

    def by_cpu(result: Result, subject: str) -> float | None:
        share = cpu(result, subject)
        return 1 / share if share else None

    return Goal(what, name, rate, must, aim, cpu=by_cpu, scenario=scenario)


GOALS: Final = (
    throughput("getToken requests/s", "get_token", "go", "the Go original", 6, 8),
    throughput("getToken requests/s", "get_token", NGINX, NGINX_NAME, 1.3, 1.6),
    throughput("getToken requests/s", "get_token", "aiohttp_plain", "aiohttp", 11, 15),
    Goal("getToken CPU", "hello, the floor", ratio_of("cpu_us", "get_token", "hello"), 4.3, 3.5, at_most=True),
    throughput("checkToken requests/s, repeated", "check_token", NGINX, NGINX_NAME, 1.5, 2),
    throughput("checkToken requests/s, all different", "check_token_distinct", NGINX, NGINX_NAME, 0.95, 1.15),
    Goal(
        "p99 at the open loop's rate",
        NGINX_NAME,
        ratio_of("p99_ms", "open_loop", NGINX),
        1,
        1,
        at_most=True,
        strict_aim=True,
    ),
    Goal(
        "CPU per login at 1,000 connections",
        "64 connections",
        ratio_of("cpu_us", "connections_1000", SUBJECT, "get_token"),
        1.25,
        1.1,
        at_most=True,
    ),
    Goal(
        "CPU per check at 1,000 connections",
        "64 connections",
        ratio_of("cpu_us", "connections_1000_check", SUBJECT, "check_token"),
        1.25,
        1.1,
        at_most=True,
    ),
    Goal("resident memory of an idle connection", "", idle_kib, 4, 2.5, unit="KiB", at_most=True),
    Goal(
        "CPU per login, access log on",
        "access log off",
        ratio_of("cpu_us", "access_log", SUBJECT, "get_token"),
        1.25,
        1.12,
        at_most=True,
    ),
    Goal(
        "CPU per forward authentication",
        "check",
        ratio_of("cpu_us", "forward_auth", SUBJECT, "check_token"),
        1.05,
        1,
        at_most=True,
    ),
    Goal(
        "CPU per forward authentication with four claims",
        "check",
        ratio_of("cpu_us", "forward_auth_claims", SUBJECT, "check_token"),
        1.2,
        1,
        at_most=True,
    ),
    Goal(
        "CPU per check, access log on",
        "access log off",
        ratio_of("cpu_us", "access_log_check", SUBJECT, "check_token"),
        1.25,
        1.12,
        at_most=True,
    ),
)
