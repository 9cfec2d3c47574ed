"""One run: every service in every scenario, round by round, interleaved, so that a busy minute of the machine affects all alike.

Knows whose turn it is and what to do with a failure; what one round consists of is `bench.measure.attempt`'s.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench.errors import BenchError, Unavailable
from bench.load.remote import capacity
from bench.measure.attempt import Attempt, Settings
from bench.measure.figures import Curve, Measurement, Round, median_curve
from bench.measure.scenarios import FLOOR, SUBJECT, Scenario, Tool
from bench.measure.services import Service


class Watcher(Protocol):
    """Receives the progress of the run."""

    def begin(self, steps: int) -> None: ...

    def step(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...


class Run:
    """One run. `measurements` and `skipped` grow meanwhile."""

    def __init__(
        self, services: Sequence[Service], scenarios: Sequence[Scenario], settings: Settings, watcher: Watcher
    ) -> None:
        self._services = list(services)
        self._scenarios = list(scenarios)
        self._settings = settings
        self._watcher = watcher
        self._rounds: dict[tuple[str, str], list[Round]] = {}
        self._curves: dict[tuple[str, str], list[Curve]] = {}
        self._rates: dict[str, float] = {}
        self._given_up: set[tuple[str, str]] = set()
        self.skipped: list[tuple[str, str, str]] = []
        self.has_failed = False
        self.remote_capacity = 0.0  # requests/s

    def go(self) -> None:
        """Measure everything. What fails is skipped with its reason."""
        self._prepare()
        # An open loop's rate is a share of what a closed loop reached, so it comes when those are done.
        closed = [scenario for scenario in self._scenarios if scenario.tool is not Tool.OPEN_LOOP]
        opened = [scenario for scenario in self._scenarios if scenario.tool is Tool.OPEN_LOOP]
        pairs = sum(1 for scenario in self._scenarios for service in self._services if _takes_part(service, scenario))
        self._watcher.begin(pairs * self._settings.rounds)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            self.remote_capacity = capacity(Path(folder), self._settings.service_cores, self._settings.load_cores)
        for scenarios in (closed, opened):
            for number in range(self._settings.rounds):
                for scenario in scenarios:
                    # The order changes from round to round.
                    turn = number % max(1, len(self._services))
                    for service in self._services[turn:] + self._services[:turn]:
                        if _takes_part(service, scenario):
                            self._measure(service, scenario, number)

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
            try:
                service.prepare()
            except Unavailable as error:
                self._services.remove(service)
                self._skip(service.name, "", str(error))

    def _skip(self, service: str, scenario: str, why: str) -> None:
        self.skipped.append((service, scenario, why))
        self._watcher.say(f"{service}{f', {scenario}' if scenario else ''}: skipped: {why}")

    def _measure(self, service: Service, scenario: Scenario, number: int) -> None:
        pair = (service.name, scenario.name)
        self._watcher.step(f"{scenario.name} · {service.name} · round {number + 1}")
        if pair in self._given_up:
            return
        try:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                one, curve = self._attempt(service, scenario, Path(folder)).measure()
        except (BenchError, OSError) as error:
            # What is unavailable is not tried again: the next round would fail for the same reason.
            self._given_up.add(pair)
            self.has_failed |= not isinstance(error, Unavailable)
            self._skip(*pair, str(error))
            return
        self._rounds.setdefault(pair, []).append(one)
        if not one.void:
            self._curves.setdefault(pair, []).append(curve)
        self._watcher.say(_line(service.name, scenario.name, one))

    def _attempt(self, service: Service, scenario: Scenario, folder: Path) -> Attempt:
        rate = self._rate(service) if scenario.tool is Tool.OPEN_LOOP else 0.0
        return Attempt(service, scenario, self._settings, folder, rate=rate, remote_capacity=self.remote_capacity)

    def _rate(self, service: Service) -> float:
        """Return the open loop's rate: the same for all services and rounds.

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
                    "get_token, which this run does not measure: add it, or give --rate"
                )
            rate = round(reference * settings.open_loop_share)
        own = self._saturation(service.name)
        if own is not None and own <= rate:
            raise Unavailable(f"{rate:,.0f}/s is more than the {own:,.0f}/s that it reaches")
        self._rates[service.name] = rate
        return rate

    def _saturation(self, service: str) -> float | None:
        for one in self.measurements:
            if one.service == service and one.scenario == "get_token":
                return one.median("requests_per_s")
        return None


def _takes_part(service: Service, scenario: Scenario) -> bool:
    if service.name == SUBJECT:
        return True
    return scenario.of_floor if service.name == FLOOR else scenario.of_peers


def _line(service: str, scenario: str, one: Round) -> str:
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
