"""One run: groups of scenarios, the services of a group up together, slices by turns in random order.

Knows whose turn it is and what to do with a failure; what one slice consists of is `bench.measure.slices`'s.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final, Protocol

from bench.errors import BenchError, Ended, Unavailable
from bench.load.remote import capacity, carried_per_s
from bench.measure.figures import Curve, Measurement, Round, median_curve
from bench.measure.hosts import ONE, Hosts, three_hosts
from bench.measure.scenarios import FLOOR, SUBJECT, Scenario, Setup, Tool
from bench.measure.services import Service
from bench.measure.settings import Settings
from bench.measure.slices import Slice
from bench.measure.stage import Instance, Stage

SEED: Final = 1815  # of the order of slices: two runs have the same
SATURATING: Final = "get_token"  # what a service reaches in it is its saturation
FAILURES: Final = (BenchError, OSError, http.client.HTTPException)


class Watcher(Protocol):
    """Receives the progress of the run."""

    def begin(self, steps: int) -> None: ...

    def step(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One service in one scenario."""

    service: Service
    scenario: Scenario

    @property
    def key(self) -> tuple[str, str]:
        """Its names."""
        return self.service.name, self.scenario.name


class Run:
    """One run. `measurements` and `skipped` grow meanwhile."""

    def __init__(
        self, services: Sequence[Service], scenarios: Sequence[Scenario], settings: Settings, watcher: Watcher
    ) -> None:
        self._services = list(services)
        self._scenarios = list(scenarios)
        self._settings = settings
        self._watcher = watcher
        self._random = random.Random(SEED)  # noqa: S311 - an order, no secret
        self._rounds: dict[tuple[str, str], list[Round]] = {}
        self._curves: dict[tuple[str, str], list[Curve]] = {}
        self._rates: dict[str, float] = {}
        self._given_up: set[tuple[str, str]] = set()
        self._standing: dict[tuple[str, Setup], Instance] = {}
        self.skipped: list[tuple[str, str, str]] = []
        self.has_failed = False
        self.remote_capacity = 0.0  # requests/s
        self._carried_per_s = inf  # by an open loop and the remote

    def go(self) -> None:
        """Measure everything. What fails is skipped with its reason.

        Raises:
            Unavailable: the hosts that were asked for cannot be made here.
            BenchError: the remote itself does not work.
        """
        self._prepare()
        settings = self._settings
        groups = list(dict.fromkeys(scenario.group for scenario in self._scenarios))
        self._watcher.begin(
            sum(len(self._rows(scenario)) * turns_of(scenario, settings) for scenario in self._scenarios)
        )
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            self.remote_capacity = capacity(Path(folder), settings.service_cores, settings.load_cores)
            if settings.open_loop_rate is None and any(one.tool is Tool.OPEN_LOOP for one in self._scenarios):
                self._carried_per_s = carried_per_s(Path(folder), settings.load_cores)
        with three_hosts() if settings.has_hosts else contextlib.nullcontext(ONE) as hosts:
            for group in groups:
                self._group([scenario for scenario in self._scenarios if scenario.group == group], hosts)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What there is so far, in the order of scenarios and services."""
        found = []
        for scenario in self._scenarios:
            for service in self._services:
                pair = (service.name, scenario.name)
                if pair in self._rounds:
                    curves = self._curves.get(pair, [])
                    settings = {"rate_per_s": self._rates[service.name]} if scenario.tool is Tool.OPEN_LOOP else {}
                    found.append(Measurement(*pair, tuple(self._rounds[pair]), median_curve(curves), settings))
        return tuple(found)

    def _prepare(self) -> None:
        for service in tuple(self._services):
            self._watcher.say(f"preparing {service.name}")
            try:
                service.prepare()
            except Unavailable as error:
                self._services.remove(service)
                self._skip(service.name, "", str(error))

    def _group(self, scenarios: Sequence[Scenario], hosts: Hosts) -> None:
        """Measure scenarios whose services are up together."""
        # An open loop's rate is a share of what a closed loop reached, so it comes when those are done.
        closed = [scenario for scenario in scenarios if scenario.tool is not Tool.OPEN_LOOP]
        opened = [scenario for scenario in scenarios if scenario.tool is Tool.OPEN_LOOP]
        with Stage(self._settings, hosts) as stage, contextlib.ExitStack() as up:
            for scenario in scenarios:
                for row in self._rows(scenario):
                    self._start(row, stage, up)
            self._turns(closed, stage)
            self._turns(opened, stage)
            self._standing.clear()

    def _start(self, row: Row, stage: Stage, up: contextlib.ExitStack) -> None:
        """Start the service of a row unless it is up, and warm it up for the row."""
        if row.scenario.is_fresh or row.key in self._given_up:
            return
        key = row.service.name, row.scenario.setup
        try:
            if key not in self._standing:
                self._standing[key] = up.enter_context(stage.instance(row.service, row.scenario.setup))
            if row.scenario.tool is not Tool.OPEN_LOOP:  # its scenario is the same but for the schedule
                self._slice(row, self._standing[key], stage, 0).warm_up()
        except FAILURES as error:
            self._give_up(row, error)

    def _turns(self, scenarios: Sequence[Scenario], stage: Stage) -> None:
        """Take turns until every scenario has its number of undisturbed ones, or twice as many were taken."""
        left = {scenario.name: turns_of(scenario, self._settings) for scenario in scenarios}
        for turn in range(2 * max(left.values(), default=0)):
            todo = [one for one in scenarios if left[one.name] and turn < 2 * turns_of(one, self._settings)]
            self._random.shuffle(todo)
            for scenario in todo:
                left[scenario.name] -= self._turn(scenario, stage, turn)

    def _turn(self, scenario: Scenario, stage: Stage, turn: int) -> bool:
        """Measure all services in a scenario, one after the other, and those that other programs disturbed once more. Whether all
        were undisturbed in the end.
        """
        rows = [row for row in self._rows(scenario) if row.key not in self._given_up]
        self._random.shuffle(rows)
        disturbed = self._measure(rows, stage, turn)
        return not self._measure(disturbed, stage, turn)

    def _measure(self, rows: Sequence[Row], stage: Stage, turn: int) -> list[Row]:
        """Measure a slice of each row. Returns those that other programs disturbed."""
        disturbed = []
        for row in rows:
            self._watcher.step(f"{row.scenario.name} · {row.service.name} · turn {turn + 1}")
            try:
                with self._instance(row, stage) as instance:
                    one, curve = self._slice(row, instance, stage, turn).measure()
            except FAILURES as error:
                self._give_up(row, error)
                continue
            self._rounds.setdefault(row.key, []).append(one)
            if not one.void and curve:
                self._curves.setdefault(row.key, []).append(curve)
            if one.void and not one.errors:
                disturbed.append(row)
            self._watcher.say(line(*row.key, one))
        return disturbed

    @contextlib.contextmanager
    def _instance(self, row: Row, stage: Stage) -> Iterator[Instance]:
        if not row.scenario.is_fresh:
            yield self._standing[row.service.name, row.scenario.setup]
            return
        with stage.instance(row.service, row.scenario.setup) as instance:
            self._slice(row, instance, stage, 0).warm_up()
            yield instance

    def _slice(self, row: Row, instance: Instance, stage: Stage, turn: int) -> Slice:
        is_opened = row.scenario.tool is Tool.OPEN_LOOP
        return Slice(
            instance,
            row.scenario,
            stage.tokens(instance, row.scenario),
            self._settings,
            turn,
            rate=self._rate(row.service) if is_opened else 0.0,
            remote_capacity=self.remote_capacity,
        )

    def _rows(self, scenario: Scenario) -> list[Row]:
        return [Row(service, scenario) for service in self._services if takes_part(service, scenario)]

    def _give_up(self, row: Row, error: Exception) -> None:
        """Leave out what fails: one row, or everything of a service that has ended. Its rounds do not count."""
        why = str(error) or repr(error)
        scenarios = [row.scenario]
        if isinstance(error, Ended) and not row.scenario.is_fresh:
            scenarios = [one for one in self._scenarios if one.setup == row.scenario.setup and not one.is_fresh]
        for scenario in scenarios:
            pair = row.service.name, scenario.name
            if pair not in self._given_up and takes_part(row.service, scenario):
                self._given_up.add(pair)
                self._rounds.pop(pair, None)
                self._curves.pop(pair, None)
                self._skip(*pair, why)
        self.has_failed |= not isinstance(error, Unavailable)

    def _skip(self, service: str, scenario: str, why: str) -> None:
        self.skipped.append((service, scenario, why))
        self._watcher.say(f"{service}{f', {scenario}' if scenario else ''}: skipped: {why}")

    def _rate(self, service: Service) -> float:
        """Return the open loop's rate: the same for all services and turns.

        Raises:
            Unavailable: it is more than this service can do.
            BenchError: it cannot be said.
        """
        settings = self._settings
        rate = settings.open_loop_rate
        if rate is None:
            reference = self._saturation(settings.open_loop_reference)
            if reference is None:
                raise BenchError(
                    f"its rate is {settings.open_loop_share:.0%} of what {settings.open_loop_reference} reaches in "
                    f"{SATURATING}, which this run does not measure: add it, or give --rate"
                )
            wanted = round(reference * settings.open_loop_share)
            rate = min(wanted, self._carried_per_s)
            if rate < wanted and not self._rates:
                self._watcher.say(
                    f"open loop: {rate:,.0f}/s in place of {wanted:,}/s, which is {settings.open_loop_share:.0%} of what "
                    f"{settings.open_loop_reference} reaches: its generator and the remote have no cores for more"
                )
        own = self._saturation(service.name)
        if own is not None and own <= rate:
            raise Unavailable(f"{rate:,.0f}/s is more than the {own:,.0f}/s that it reaches")
        self._rates[service.name] = rate
        return rate

    def _saturation(self, service: str) -> float | None:
        for one in self.measurements:
            if one.service == service and one.scenario == SATURATING:
                return one.median("requests_per_s")
        return None


def turns_of(scenario: Scenario, settings: Settings) -> int:
    """Return how many turns a scenario has."""
    return min(settings.turns, scenario.turns_max) if scenario.turns_max else settings.turns


def takes_part(service: Service, scenario: Scenario) -> bool:
    """Return whether a service is measured in a scenario."""
    if service.name == SUBJECT:
        return True
    return scenario.of_floor if service.name == FLOOR else scenario.of_peers


def line(service: str, scenario: str, one: Round) -> str:
    """Say what a round gave, in one line."""
    text = (
        f"{scenario:22} {service:19} {one.requests_per_s:10,.0f}/s  {one.cpu_us:8.1f} µs CPU  "
        f"p50 {one.p50_ms:.2f}  p99 {one.p99_ms:.2f} ms  {one.memory_kib / 1024:.0f} MiB"
    )
    if one.idle_connection_bytes is not None:
        text += f"  {one.idle_connection_bytes / 1024:.1f} KiB per idle connection"
    if one.void:
        text += "  VOID"
    return text + "".join(f"\n    ! {mark}" for mark in one.marks)
