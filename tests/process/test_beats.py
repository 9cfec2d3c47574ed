"""Which workers are found to hang by their beats, and which are not. Time is the test's own."""

from __future__ import annotations

import os

import pytest

from txtoken.process.beats import Beats, BeatWatch

HANG_S = 10.0


@pytest.fixture
def beats() -> Beats:
    """The beats of two workers that have run for a while: numbers that Python does not keep one object of."""
    beats = Beats(2)
    for number in range(2):
        beats._counts[number] = 100_000
    return beats


def watch_of(beats: Beats) -> BeatWatch:
    """Watch both workers, which start at 0."""
    watch = BeatWatch(beats, HANG_S)
    for number in range(2):
        watch.begin(number, 0.0)
    return watch


def test_a_beat_that_stopped(beats: Beats) -> None:
    """A worker that has not beaten for the whole limit is found to hang, once, and not before. One that beats is not."""
    watch = watch_of(beats)
    found = []
    for second in range(1, 25):
        beats.beat(1)
        found += [(second, number) for number in watch.look(float(second))]
    assert found == [(10, 0)]


def test_a_worker_that_starts_has_its_time(beats: Beats) -> None:
    """The limit of a worker that was started later counts from its start, though the one before it had stopped."""
    watch = watch_of(beats)
    found = []
    for second in range(1, 18):
        beats.beat(1)
        if second == 8:
            watch.begin(0, 8.0)
        found += watch.look(float(second))
    assert found == []
    assert watch.look(18.0) == [0]


def test_a_worker_that_has_ended_does_not_hang(beats: Beats) -> None:
    """A worker that has ended is not watched."""
    watch = watch_of(beats)
    watch.end(0)
    assert [watch.look(float(second)) for second in range(1, 12)] == [*[[]] * 9, [1], []]


def test_a_supervisor_that_was_away_counts_anew(beats: Beats) -> None:
    """After the supervisor itself did not run, no worker is found to hang before the limit has passed once more."""
    watch = watch_of(beats)
    assert watch.look(1.0) == []
    assert watch.look(3600.0) == []
    assert [watch.look(3600.0 + second) for second in range(1, 10)] == [[]] * 9
    assert watch.look(3610.0) == [0, 1]


def test_beats_cross_processes(beats: Beats) -> None:
    """The parent sees the beats of its child."""
    before = [beats.count(number) for number in range(2)]
    pid = os.fork()
    if pid == 0:
        beats.beat(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert [beats.count(number) for number in range(2)] == [before[0], before[1] + 1]


def test_a_beat_never_overflows(beats: Beats) -> None:
    """A count at its maximum begins again at 0: a worker that beats for years goes on, and is not found to hang."""
    beats._counts[0] = 0xFFFF_FFFF
    watch = watch_of(beats)
    beats.beat(0)
    assert beats.count(0) == 0
    beats.beat(1)
    found = [watch.look(float(second)) for second in range(1, 12)]
    assert found == [*[[]] * 10, [0, 1]]
