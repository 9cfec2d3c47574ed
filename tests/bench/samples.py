"""Machines, rounds and results to test with. Knows no real ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from bench.measure.figures import Measurement, Round
from bench.measure.machine import Machine
from bench.measure.results import Result

MACHINE: Final = Machine("x86_64", "Some CPU", 2, 4096, emulated=False, kernel="6.1.0")
ROUND: Final = Round(
    requests=1000,
    seconds=1.0,
    requests_per_s=1000.0,
    p50_ms=1.0,
    p90_ms=2.0,
    p99_ms=3.0,
    p999_ms=4.0,
    max_ms=5.0,
    cpu_us=20.0,
    cpu_user_us=12.0,
    cpu_system_us=8.0,
    memory_kib=30_000,
    service_cores=1.0,
    generator_cores=0.5,
    remote_cores=0.2,
    others_cores=0.0,
    errors=0,
    void=False,
)


def measured(service: str, scenario: str, *changes: dict[str, Any]) -> Measurement:
    """Make a measurement of as many rounds as there are changes to the sample, one a turn."""
    rounds = tuple(replace(ROUND, **{"turn": turn} | change) for turn, change in enumerate(changes or ({},)))
    return Measurement(service, scenario, rounds, ((50.0, 1.0), (99.0, 3.0)))


def result(*measurements: Measurement, machine: Machine = MACHINE, **others: Any) -> Result:
    """Make a result."""
    return Result(
        label="sample",
        started="2024-01-01T00:00:00+00:00",
        finished="2024-01-01T01:00:00+00:00",
        revision="0123456789ab",
        machine=machine,
        versions={"Python": "3.11.2"},
        settings={"rounds": 3},
        measurements=measurements,
        **others,
    )
