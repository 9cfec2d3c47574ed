"""What wakes the supervisor. Signals are sent to the test's own process, whose handlers are restored at the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from math import inf

import pytest

from txtoken.process.events import HANDLED, Events


@pytest.fixture
def events() -> Iterator[Events]:
    """Events that listen to nothing yet."""
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    made = Events()
    yield made
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    made._selector.close()
    for end in made._wake_up:
        end.close()


def test_a_storm_of_reloads_does_not_keep_the_end_waiting(events: Events) -> None:
    """Signals are taken in order. Any number of requests to reload is one, and so of children that ended; each request to end
    counts.
    """
    for number in [signal.SIGHUP] * 1000:
        events._note(number, None)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGINT, signal.SIGCHLD, signal.SIGTERM):
        events._note(number, None)
    expected = [signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGTERM]
    assert list(events.take_signals()) == expected
    assert list(events.take_signals()) == []


def test_signals_that_come_while_others_are_taken(events: Events) -> None:
    """A signal that comes while an earlier one is acted on is taken after it, without another wait."""
    events._note(signal.SIGHUP, None)
    taken = []
    for number in events.take_signals():
        taken.append(number)
        if number == signal.SIGHUP:
            events._note(signal.SIGTERM, None)
    assert taken == [signal.SIGHUP, signal.SIGTERM]


@pytest.mark.parametrize("number", HANDLED)
def test_a_signal_ends_the_wait(events: Events, number: signal.Signals) -> None:
    """Every signal ends the wait, also one that came before anybody listened, while it was blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    signal.raise_signal(number)
    events.listen()
    assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert events.wait(inf) == []
    assert list(events.take_signals()) == [number]
    signal.raise_signal(number)
    assert events.wait(inf) == []
    assert list(events.take_signals()) == [number]
    until = time.monotonic() + 0.02
    assert events.wait(until) == []  # not at once: the wake-up socket is empty again
    assert time.monotonic() >= until


def test_a_descriptor_ends_the_wait(events: Events) -> None:
    """A descriptor that can be read is returned as long as it is watched, and none is when the time is over."""
    reading, writing = os.pipe()
    try:
        events.watch(reading)
        assert events.wait(time.monotonic() - 1) == []
        assert events.wait(time.monotonic() + 0.01) == []
        os.write(writing, b"1")
        assert events.wait(inf) == [reading]
        events.forget(reading)
        assert events.wait(time.monotonic()) == []
    finally:
        os.close(reading)
        os.close(writing)


def test_a_flood_of_signals(events: Events, capfd: pytest.CaptureFixture[str]) -> None:
    """More signals than the wake-up socket has room for neither block their handler nor print a warning."""
    events.listen()
    events._wake_up[1].setblocking(False)
    try:
        while True:
            events._wake_up[1].send(b"x" * 4096)
    except BlockingIOError:
        pass
    signal.raise_signal(signal.SIGHUP)
    assert list(events.take_signals()) == [signal.SIGHUP]
    assert capfd.readouterr().err == ""


def test_nothing_is_left_in_a_child(events: Events) -> None:
    """In a worker signals have their default meaning, but SIGINT has none, and nothing of the supervisor's wait is open."""
    events.listen()
    events.close_in_child()
    assert {number: signal.getsignal(number) for number in HANDLED} == {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGCHLD: signal.SIG_DFL,
        signal.SIGINT: signal.SIG_IGN,
    }
    assert signal.set_wakeup_fd(-1) == -1
    assert events._selector.get_map() is None
    assert [end.fileno() for end in events._wake_up] == [-1, -1]
