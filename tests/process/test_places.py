"""The places of workers: what a forked worker has and lacks, how its end is noted, and when the next one starts."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from math import inf

import pytest

from txtoken.process import beats
from txtoken.process.agreement import Agreement
from txtoken.process.events import HANDLED, Events
from txtoken.process.places import BACK_OFF_S, BACK_OFF_S_MAX, CRASHED, LIVED_S, Place, Places, Serve
from txtoken.process.signals import BLOCKED_SIGNALS, WorkerContext

Make = Callable[[Serve], Places]


def wait_for_end(context: WorkerContext, _: Sequence[socket.socket]) -> int:
    """Be a worker that lives until its supervisor lets go of it."""
    os.read(context.lifeline_fd, 1)
    return 0


def no_worker(_: WorkerContext, __: Sequence[socket.socket]) -> int:
    """Not be called."""
    raise AssertionError


@pytest.fixture
def make() -> Iterator[Make]:
    """Make two places, each with a listening socket. At the end their workers are killed."""
    made: list[Places] = []

    def make_places(serve: Serve) -> Places:
        sockets = [[socket.create_server(("127.0.0.1", 0))] for _ in range(2)]
        made.append(Places(sockets, Events(), Agreement(), serve))
        return made[-1]

    yield make_places
    for places in made:
        for place in places._places:
            if place.pid > 1:
                os.kill(place.pid, signal.SIGKILL)
                os.waitpid(place.pid, 0)
            if place.ready_fd >= 0:
                os.close(place.ready_fd)
        places.close_sockets()
        places._events._selector.close()
        for end in places._events._wake_up:
            end.close()
        for fd in places._lifeline:
            os.close(fd)


def ended(place: Place) -> Place:
    """Wait until the worker in this place has ended. It is not reaped."""
    os.waitid(os.P_PID, place.pid, os.WEXITED | os.WNOWAIT)
    return place


def open_fds() -> list[int]:
    """Return the descriptors of this process."""
    fds = [int(name) for name in os.listdir("/proc/self/fd")]
    return [fd for fd in fds if os.path.exists(f"/proc/self/fd/{fd}")]  # one was that of the folder


# A worker


def test_what_a_worker_has(make: Make) -> None:
    """A new worker has its own sockets, its pipe and the lifeline, and nothing else of the supervisor or of other workers. Its
    signals mean what they mean to any process, and those that it has yet to handle are blocked.
    """
    reading, writing = os.pipe()

    def report(context: WorkerContext, own: Sequence[socket.socket]) -> int:
        if context.number == 0:
            return wait_for_end(context, own)
        facts = {
            "fds": open_fds(),
            "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "ignored": [number for number in HANDLED if signal.getsignal(number) == signal.SIG_IGN],
            "default": [number for number in HANDLED if signal.getsignal(number) == signal.SIG_DFL],
            "wake-up": signal.set_wakeup_fd(-1),
            "sockets": [sock.fileno() for sock in own],
            "lifeline": context.lifeline_fd,
        }
        os.write(writing, json.dumps(facts).encode())
        return 0

    places = make(report)
    first, second = places._places
    places.start(first)
    before = set(open_fds())
    places.start(second)
    ended(second)
    facts = json.loads(os.read(reading, 65536))
    for fd in (reading, writing):
        os.close(fd)
    fds = set(facts["fds"])
    events = places._events
    lacking = {*(sock.fileno() for sock in first.sockets), first.ready_fd, places._lifeline[1]}
    lacking |= {events._selector.fileno(), *(end.fileno() for end in events._wake_up)}
    assert before - fds == lacking
    assert len(fds - before) == 1  # it says by this that it serves
    assert facts["sockets"] == [sock.fileno() for sock in second.sockets]
    assert set(facts["sockets"]) < fds
    assert facts["lifeline"] == places._lifeline[0]
    assert facts["mask"] == sorted(BLOCKED_SIGNALS)
    assert facts["ignored"] == [signal.SIGINT]
    assert facts["default"] == [number for number in HANDLED if number != signal.SIGINT]
    assert facts["wake-up"] == -1
    assert not set(BLOCKED_SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_worker_that_serves(make: Make) -> None:
    """A place is known to be ready when its worker says so, and all are when every worker has."""

    def serve(context: WorkerContext, own: Sequence[socket.socket]) -> int:
        context.on_beat()
        context.on_ready()
        return wait_for_end(context, own)

    places = make(serve)
    first, second = places._places
    assert not places.are_ready
    for number, place in enumerate((first, second)):
        started = time.monotonic()
        places.start(place)
        assert started <= place.started <= time.monotonic()
        assert (place.pid > 1, place.is_ready) == (True, False)
        (fd,) = places._events.wait(inf)
        assert places.note_ready(fd) is place
        assert (place.is_ready, place.ready_fd) == (True, -1)
        assert fd not in open_fds()
        assert places._events.wait(time.monotonic()) == []
        assert places._beats.count(number) == 1
        assert places.are_ready == (place is second)
        assert places.worker_count == number + 1
    assert list(places.reap()) == []
    places.send(signal.SIGKILL)
    endings = {}
    for place in (first, second):
        ended(place)
    for ending in places.reap():
        assert ending.place.pid == 0
        endings[ending.place.number] = (ending.code, ending.has_served, ending.how)
    assert endings == dict.fromkeys((0, 1), (-9, True, "by signal 9"))
    assert (places.worker_count, places.are_ready) == (0, False)


@pytest.mark.parametrize("is_ready", [False, True])
def test_a_worker_that_ends_early(make: Make, *, is_ready: bool) -> None:
    """The exit code is that of what the worker did. Whether it served is known though it ended before anybody looked."""

    def serve(context: WorkerContext, _: Sequence[socket.socket]) -> int:
        if is_ready:
            context.on_ready()
        return 7

    places = make(serve)
    place = places._places[1]
    places.start(place)
    ended(place)
    (ending,) = places.reap()
    assert ending.place is place
    assert (ending.code, ending.has_served, ending.how) == (7, is_ready, "with exit code 7")
    assert (place.pid, place.ready_fd, place.is_ready) == (0, -1, False)
    assert places._events.wait(time.monotonic()) == []


def test_a_worker_that_ends_before_it_serves(make: Make) -> None:
    """A pipe that ends without a byte says that the worker does not serve."""
    places = make(lambda *_: 0)
    place = places._places[0]
    places.start(place)
    (fd,) = places._events.wait(inf)
    assert places.note_ready(fd) is None
    assert (place.is_ready, place.ready_fd) == (False, -1)
    ended(place)
    (ending,) = places.reap()
    assert (ending.code, ending.has_served) == (0, False)


def test_a_worker_that_crashes(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    """An exception ends the worker's process, with a traceback, and does not return into the supervisor's code."""

    def serve(*_: object) -> int:
        raise KeyboardInterrupt("no worker today")

    places = make(serve)
    places.start(places._places[0])
    ended(places._places[0])
    (ending,) = places.reap()
    assert ending.code == CRASHED
    assert "no worker today" in capfd.readouterr().err


def test_other_children_are_reaped(make: Make) -> None:
    """A child that is no worker, which a container's first process may get, is reaped and changes nothing."""
    places = make(no_worker)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert list(places.reap()) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


@pytest.mark.parametrize("name", ["pipe", "fork"])
def test_a_worker_that_cannot_be_forked(make: Make, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where the system has nothing left for a worker, its place stays free, no descriptor is lost, and signals come through."""
    places = make(no_worker)
    before = open_fds()

    def fail() -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, name, fail)
        with pytest.raises(OSError, match="Too many open files"):
            places.start(places._places[0])
    assert open_fds() == before
    assert not set(BLOCKED_SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert places.worker_count == 0


def test_signals_reach_workers_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A free place gets no signal: process 0 would be the whole group."""
    places = make(no_worker)
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: sent.append(arguments))
    places.send(signal.SIGTERM)
    assert sent == []
    places._places[1].pid = 1
    places.send(signal.SIGTERM)
    assert sent == [(1, signal.SIGTERM)]


def test_sockets_are_closed(make: Make) -> None:
    """All sockets of all places are closed."""
    places = make(no_worker)
    places.close_sockets()
    assert [sock.fileno() for place in places._places for sock in place.sockets] == [-1, -1]
    assert places.sockets is places._places[0].sockets


def test_hanging_workers(make: Make) -> None:
    """A worker that has not beaten for the limit hangs, counted from its start; a place that was freed does not."""
    places = make(wait_for_end)
    for place in places._places:
        places.start(place)
    first, second = places._places
    now = second.started
    assert places.take_hanging(now) == []
    os.kill(first.pid, signal.SIGKILL)
    ended(first)
    assert [ending.place for ending in places.reap()] == [first]
    found: list[Place] = []
    while not found:
        now += places.watch_period_s
        found = places.take_hanging(now)
    assert found == [second]
    assert now - second.started == pytest.approx(beats.HANG_S, abs=places.watch_period_s)


# When the next worker starts


def test_places_that_are_due(make: Make) -> None:
    """Free places are due from their time on; those of workers are not."""
    places = make(no_worker)
    first, second = places._places
    assert list(places.due(0.0)) == [first, second]
    first.start_at, second.start_at = 5.0, 3.0
    assert places.next_start_at == 3.0
    assert list(places.due(2.9)) == []
    assert list(places.due(3.0)) == [second]
    second.pid = 1
    assert places.next_start_at == 5.0
    assert list(places.due(6.0)) == [first]
    first.pid = 1
    assert places.next_start_at == inf


def fail(place: Place, *, has_served: bool = False, lived_s: float = 0.0) -> float:
    """Let a worker end after a life of `lived_s`, while time stands still. Returns in how many seconds the next may start."""
    now = 1000.0
    place.started = now - lived_s
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: now)
        place.plan_next(has_served=has_served)
    return max(0.0, place.start_at - now)


def test_any_number_of_failures() -> None:
    """The back-off doubles up to its maximum, and the five thousandth failure in a row is as the tenth."""
    place = Place(0, ())
    waits = [fail(place) for _ in range(5000)]
    assert waits[:6] == pytest.approx([BACK_OFF_S * factor for factor in (1, 2, 4, 8, 16, 32)])
    assert waits[6:] == pytest.approx([BACK_OFF_S_MAX] * 4994)


def test_the_back_off_begins_again() -> None:
    """A worker that served for a while is replaced at once, and the next failure waits as the first one did."""
    place = Place(0, ())
    for _ in range(8):
        fail(place)
    assert fail(place, has_served=True, lived_s=LIVED_S) == 0
    assert place.start_at == 0.0
    assert fail(place) == pytest.approx(BACK_OFF_S)


def test_a_short_life_waits() -> None:
    """A worker that served and died soon after is a failed start, and so is one that lived and never served."""
    assert fail(Place(0, ()), has_served=True, lived_s=LIVED_S - 0.01) == pytest.approx(BACK_OFF_S)
    assert fail(Place(0, ()), lived_s=LIVED_S) == pytest.approx(BACK_OFF_S)
