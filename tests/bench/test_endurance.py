"""Trials are judged by what failed. The trials themselves are run by `scripts/bench endure`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.endurance import Trial
from bench.errors import BenchError
from bench.processes import Process


@pytest.mark.parametrize(
    ("failed", "allowed", "passed"), [(0, 0, True), (1, 0, False), (64, 64, True), (65, 64, False)]
)
def test_a_trial_passes(failed: int, allowed: int, passed: bool) -> None:
    """Not more may fail than is allowed."""
    assert Trial("a", 1000, failed, allowed).is_passed is passed


def test_waiting_for_a_process(tmp_path: Path) -> None:
    """The exit code of one that ends is told; one that does not end is an error, and not waited for any longer."""
    with Process([sys.executable, "-c", "raise SystemExit(3)"], folder=tmp_path) as process:
        assert process.wait(30) == 3
    with (
        Process([sys.executable, "-c", "import signal; signal.pause()"], folder=tmp_path) as process,
        pytest.raises(BenchError, match="did not end"),
    ):
        process.wait(0.01)
