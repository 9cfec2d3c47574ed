"""What rate an open loop and the remote carry together: a real remote, and a real open loop or one of known cost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.load import open_loop_load, remote
from bench.load.remote import PROBED_PER_S, carried_per_s
from bench.measure.accounting import Cpu
from bench.measure.figures import Load

ONE_CORE = frozenset(sorted(os.sched_getaffinity(0))[:1])
# Of these rates the generator needs 0.4, 0.6, 0.8 and 1 core.
RATES = (10_000, 15_000, 20_000, 25_000)
EACH_S = 40e-6


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """An open loop of known cost, with a remote that is not asked and costs nothing. Returns the rates that were tried."""
    tried: list[float] = []

    def run(target: object, rate: float, *_: object) -> Load:
        tried.append(rate)
        return Load(int(rate), 1.0, (), 0, rate * EACH_S, ())

    monkeypatch.setattr(open_loop_load, "run", run)
    monkeypatch.setattr(remote, "PROBED_PER_S", RATES)
    return tried


def test_a_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lowest rate costs something, and is what there is at least."""
    monkeypatch.setattr(remote, "CARRIED", 0.001)
    assert carried_per_s(tmp_path, ONE_CORE) == PROBED_PER_S[0]


def test_the_highest_rate_below_a_busy_core(tmp_path: Path, rates: list[float]) -> None:
    """No higher one is tried."""
    assert carried_per_s(tmp_path, None) == 15_000
    assert rates == [*RATES[:3]]


@pytest.mark.parametrize(("cores", "carried"), [(frozenset({0}), 10_000), (frozenset({0, 1}), 15_000)])
def test_the_remote_on_the_same_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: list[float], cores: frozenset[int], carried: float
) -> None:
    """It takes 0.2 cores: of the generator's core, or of another one."""
    spent = iter(number * 0.2 for number in (0, 1, 1, 2, 2, 3, 3, 4))

    class Remote:
        def __init__(self) -> None:
            self.process, self.host, self.port = self, "127.0.0.1", 1

        def cpu(self) -> Any:
            return Cpu(next(spent), 0.0)

        def __enter__(self) -> Remote:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(remote, "started_remote", lambda *_: Remote())
    assert carried_per_s(tmp_path, cores) == carried


def test_an_open_loop_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so: a rate from it would say nothing."""
    load = Load(10, 1.0, (), 3, 0.4, ("3 requests were not answered with 200",))
    monkeypatch.setattr(open_loop_load, "run", lambda *_: load)
    with pytest.raises(BenchError, match="3 requests were not answered"):
        carried_per_s(tmp_path, None)
