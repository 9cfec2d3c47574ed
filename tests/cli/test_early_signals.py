"""Signals that come before the service handles them. How a process takes them: tests/process/test_life_cycle.py."""

from __future__ import annotations

import signal

import pytest

from txtoken.cli import early_signals
from txtoken.cli.early_signals import EARLY_SIGNALS
from txtoken.cli.exit_codes import OK


def state() -> tuple[object, ...]:
    """Return how this process takes signals: what is blocked, and the handlers."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return (blocked, *map(signal.getsignal, EARLY_SIGNALS))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_end_ends_with_0(number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the process in order, and all is as before."""
    before = state()
    with pytest.raises(SystemExit) as ended, early_signals.handled():
        signal.raise_signal(number)
    assert (ended.value.code, state()) == (OK, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_was_blocked_is_handled(number: signal.Signals) -> None:
    """A signal that came while the program was loaded is taken as soon as signals are handled."""
    before = state()
    early_signals.block()
    signal.raise_signal(number)
    with pytest.raises(SystemExit) as ended, early_signals.handled():
        pass
    assert (ended.value.code, state()) == (OK, before)


def test_a_reload_waits() -> None:
    """SIGHUP stays blocked, to be handled by the service."""
    before = state()
    with early_signals.handled():
        signal.raise_signal(signal.SIGHUP)
        assert signal.SIGHUP in signal.sigpending()
        assert signal.sigwait((signal.SIGHUP,)) == signal.SIGHUP  # or it would end this process
    assert state() == before
