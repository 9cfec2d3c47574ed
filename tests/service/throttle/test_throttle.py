"""Who has to wait, when and for how long (contract §3.7). The clock is turned by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.throttle.hands import ADDRESS, NAME, OTHER_NAME, Hand, Room
from txtoken.service.throttle.counts import ADDRESS as BY_ADDRESS
from txtoken.service.throttle.counts import NAME as BY_NAME
from txtoken.service.throttle.counts import LoginCounts
from txtoken.service.throttle.table import KEY_MASK, TIME_MASK, Table
from txtoken.service.throttle.throttle import Attempt, Throttle
from txtoken.settings import ThrottleSettings

MINUTE = 60


@pytest.fixture
def room() -> Room:
    """A throttle by the default rules."""
    return Room()


def by_address(room: Room, times: int, first: int = 1) -> None:
    """Fail so many times from one address, each time with another name."""
    for number in range(times):
        room.fail(1, [(first + number) << 20 | number, ADDRESS])


# Failures and locks


def test_the_tenth_failure_locks(room: Room) -> None:
    """Ten failures are let through, the next attempt waits for a minute, and then another is let through."""
    room.fail(9)
    assert room.waits() == 0
    room.fail(1)
    assert room.waits() == MINUTE
    room.hand.turn(59)
    assert room.waits() == 1
    room.hand.turn(1)
    assert room.waits() == 0


def test_the_wait_ends_when_it_says(room: Room) -> None:
    """A client that waits for the given time can try again, at whatever part of a second it got the answer."""
    room.hand.now = 2000.999
    room.fail(10)
    wait_s = room.waits()
    room.hand.turn(wait_s)
    assert room.waits() == 0


def test_locks_double_up_to_a_quarter_of_an_hour(room: Room) -> None:
    """Each further lock is twice as long as the last one, and none longer than 15 minutes."""
    waits = []
    for _ in range(8):
        room.fail(10)
        waits.append(room.waits())
        room.hand.turn(waits[-1])
    assert [wait // MINUTE for wait in waits] == [1, 2, 4, 8, 15, 15, 15, 15]
    assert room.counts.lockouts == {BY_NAME: 8, BY_ADDRESS: 0}


@pytest.mark.parametrize(
    ("lockout_s", "waits"),
    [
        (1, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900, 900, 900, 900, 900]),
        (1.5, [2, 4]),
        (600, [600, 900]),
        (900, [900, 900]),
        (3600, [3600, 3600]),
        (86400, [86400, 86400]),
    ],
)
def test_lockouts(lockout_s: float, waits: list[int]) -> None:
    """A lock begins with `lockout`, whole seconds of it, and one that is longer than 15 minutes does not grow."""
    room = Room(ThrottleSettings("/user", 3, 300.0, lockout_s))
    found = []
    for _ in waits:
        room.fail(3)
        found.append(room.waits())
        room.hand.turn(found[-1])
    assert found == waits


def test_attempts_during_a_lock_do_not_prolong_it(room: Room) -> None:
    """A thousand refused attempts change nothing: neither when the lock ends, nor what is counted after it."""
    room.fail(10)
    before = room.words()
    for _ in range(1000):
        room.hand.turn(0.05)
        assert room.waits() > 0
    assert room.words() == before
    room.hand.turn(10)
    assert room.waits() == 0
    room.fail(9)
    assert room.waits() == 0
    assert room.counts.throttled == {BY_NAME: 1000, BY_ADDRESS: 0}


def test_the_level_is_forgotten_after_a_quiet_window(room: Room) -> None:
    """A new count within `window` after a lock leads to a longer lock, one after that to the first one again."""
    room.fail(10)
    room.hand.turn(MINUTE + 299)
    room.fail(10)
    assert room.waits() == 2 * MINUTE
    room.hand.turn(2 * MINUTE + 300)
    room.fail(10)
    assert room.waits() == MINUTE


def test_the_window_begins_with_the_first_failure(room: Room) -> None:
    """Nine failures are forgotten five minutes after the first of them, however late the last one came."""
    room.fail(1)
    room.hand.turn(299)
    room.fail(8)
    room.hand.turn(0.5)
    room.fail(1)
    assert room.waits() == MINUTE
    room = Room()
    room.fail(1)
    room.hand.turn(299)
    room.fail(8)
    room.hand.turn(1)
    room.fail(9)
    assert room.waits() == 0
    room.fail(1)
    assert room.waits() == MINUTE


def test_what_was_taken_back_begins_no_window(room: Room) -> None:
    """An attempt that does not count leaves nothing, so that the window of later ones begins with them."""
    assert room.waits() == 0
    assert room.words() == []
    room.hand.turn(299)
    room.fail(5)
    room.hand.turn(5)
    room.fail(5)
    assert room.waits() == MINUTE


# Several at once


def test_a_thousand_at_once(room: Room) -> None:
    """Of attempts that begin before any outcome as many go on as may fail. The others wait a second, and nothing is locked."""
    begun = [room.throttle.begin([NAME, ADDRESS], clears=True) for _ in range(1000)]
    assert [attempt.wait_s for attempt in begun] == [0] * 10 + [1] * 990
    for attempt in begun[:9]:
        room.throttle.fail(attempt)
    assert room.waits() == 1
    room.throttle.fail(begun[9])
    assert room.waits() == MINUTE
    assert room.counts.lockouts == {BY_NAME: 1, BY_ADDRESS: 0}


def test_one_failure_among_many_that_succeed(room: Room) -> None:
    """A hundred people behind one address who log in at once do not lock it, when one of them is wrong."""
    begun = [room.throttle.begin([number << 24 | number, ADDRESS], clears=True) for number in range(1, 101)]
    assert not any(attempt.wait_s for attempt in begun)
    assert room.waits([NAME, ADDRESS]) == 1
    room.throttle.fail(begun[0])
    for attempt in begun[1:]:
        room.throttle.succeed(attempt)
    assert room.waits([NAME, ADDRESS]) == 0
    assert room.counts.lockouts == {BY_NAME: 0, BY_ADDRESS: 0}


# Names and addresses


def test_names_are_apart(room: Room) -> None:
    """A lock of one name, which is its key in a network, is none of any other."""
    room.fail(10)
    assert room.waits([OTHER_NAME, ADDRESS]) == 0
    assert room.waits([NAME, 7]) == MINUTE


def test_an_address_is_ten_times_as_patient(room: Room) -> None:
    """A hundred failures from one address, each with another name, lock it for all names, and no other address."""
    by_address(room, 99)
    assert room.waits() == 0
    by_address(room, 1, first=500)
    assert room.waits() == MINUTE
    assert room.waits([NAME, OTHER_NAME]) == 0
    assert room.counts.lockouts == {BY_NAME: 0, BY_ADDRESS: 1}
    assert room.counts.throttled == {BY_NAME: 0, BY_ADDRESS: 1}


def test_a_hundred_failures_may_be_allowed() -> None:
    """The largest `failures` fits: 100 of a name, 1000 of an address."""
    room = Room(ThrottleSettings("/user", 100), buckets=4096)
    room.fail(99)
    assert room.waits() == 0
    room.fail(1)
    assert room.waits() == MINUTE
    by_address(room, 899)
    assert room.waits([OTHER_NAME, ADDRESS]) == 0
    by_address(room, 1, first=5000)
    assert room.waits([OTHER_NAME, ADDRESS]) == MINUTE


def test_a_success_clears_the_name_alone(room: Room) -> None:
    """After a success the name has no failures and no level; the address keeps those of others, and loses only this attempt."""
    room.fail(10)
    room.hand.turn(MINUTE)
    room.fail(9)
    attempt = room.throttle.begin([NAME, ADDRESS], clears=True)
    room.throttle.succeed(attempt)
    room.fail(10)
    assert room.waits() == MINUTE
    by_address(room, 100 - 29)
    assert room.waits([OTHER_NAME, ADDRESS]) == MINUTE


def test_a_success_that_does_not_clear(room: Room) -> None:
    """With several names, or none, a success takes back its own attempt and no failure."""
    keys = [NAME, OTHER_NAME, ADDRESS]
    for _ in range(9):
        room.throttle.fail(room.throttle.begin(keys, clears=False))
    room.throttle.succeed(room.throttle.begin(keys, clears=False))
    assert room.waits([NAME, 7]) == 0
    room.throttle.fail(room.throttle.begin(keys, clears=False))
    assert room.waits([NAME, 7]) == MINUTE
    assert room.waits([OTHER_NAME, 7]) == MINUTE


def test_the_longest_wait_is_told(room: Room) -> None:
    """Where several counts refuse an attempt, the one that ends last says for how long."""
    room.fail(10)
    room.hand.turn(30)
    room.fail(10, [OTHER_NAME, ADDRESS])
    assert room.waits([NAME, OTHER_NAME, 7]) == MINUTE
    assert room.waits([OTHER_NAME, NAME, 7]) == MINUTE


def test_a_refused_attempt_counts_nowhere(room: Room) -> None:
    """An attempt that one name refuses is not counted for the other names, nor for the address."""
    room.fail(10)
    for _ in range(500):
        assert room.waits([NAME, OTHER_NAME, ADDRESS]) > 0
    room.fail(9, [OTHER_NAME, ADDRESS])
    assert room.waits([OTHER_NAME, ADDRESS]) == 0
    by_address(room, 80)
    assert room.waits([7, ADDRESS]) == 0


def test_what_an_address_refuses_counts_for_no_name(room: Room) -> None:
    """An attempt that the address refuses leaves the table as it was: neither is it counted for its name, nor has its name made
    another one's entry go.
    """
    by_address(room, 100)
    for key in range(1, 400):
        room.fail(1, [key * 0x9E3779B97F4A7C15 & KEY_MASK, key * 0xC2B2AE3D27D4EB4F & KEY_MASK])
    before = list(room.table._words)
    for key in range(1, 400):
        assert room.waits([key * 0x9E3779B97F4A7C15 + 77 & KEY_MASK, ADDRESS]) == MINUTE
        assert room.waits([NAME, ADDRESS]) == MINUTE
    assert list(room.table._words) == before
    room.fail(9, [NAME, 7])
    assert room.waits([NAME, 7]) == 0


# Outcomes that come late, twice or never


OUTCOMES: list[Callable[[Throttle, Attempt], None]] = [Throttle.fail, Throttle.succeed, Throttle.take_back]


@pytest.mark.parametrize("first", OUTCOMES)
@pytest.mark.parametrize("second", OUTCOMES)
def test_an_attempt_has_one_outcome(
    room: Room, first: Callable[[Throttle, Attempt], None], second: Callable[[Throttle, Attempt], None]
) -> None:
    """What comes after an attempt's outcome changes nothing."""
    room.fail(5)
    room.throttle.begin([NAME, ADDRESS], clears=True)  # is still on its way
    attempt = room.throttle.begin([NAME, ADDRESS], clears=True)
    first(room.throttle, attempt)
    before = room.words()
    second(room.throttle, attempt)
    assert room.words() == before


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_refused_attempt_has_no_outcome(room: Room, outcome: Callable[[Throttle, Attempt], None]) -> None:
    """An outcome of a refused attempt changes nothing: a refused one is no way to end a lock."""
    room.fail(10)
    before = room.words()
    attempt = room.throttle.begin([NAME, ADDRESS], clears=True)
    assert attempt.wait_s
    outcome(room.throttle, attempt)
    assert room.words() == before


@pytest.mark.parametrize("outcome", [Throttle.fail, Throttle.take_back])
def test_outcomes_of_an_earlier_window(room: Room, outcome: Callable[[Throttle, Attempt], None]) -> None:
    """An outcome that comes after its window has ended does not change the count of the next one."""
    late = room.throttle.begin([NAME, ADDRESS], clears=True)
    room.hand.turn(301)
    running = room.throttle.begin([NAME, ADDRESS], clears=True)
    before = room.words()
    outcome(room.throttle, late)
    assert room.words() == before
    room.throttle.fail(running)
    room.fail(8)
    assert room.waits() == 0


@pytest.mark.parametrize("outcome", [Throttle.fail, Throttle.take_back])
def test_outcomes_during_a_lock(outcome: Callable[[Throttle, Attempt], None]) -> None:
    """An outcome that comes while its name is locked, as after a reload that allows less, neither ends nor prolongs the lock."""
    room = Room()
    late = [room.throttle.begin([NAME, ADDRESS], clears=True) for _ in range(5)]
    stricter = Throttle(ThrottleSettings("/user", 2), room.table, room.counts)
    for attempt in late[:2]:
        stricter.fail(attempt)
    (locked,) = [word for word in room.words() if (word >> 4) & 0x3FF == 0x3FF]
    outcome(room.throttle, late[2])
    assert locked in room.words()
    room.throttle.succeed(late[3])
    assert locked not in room.words()
    assert room.waits() == 0


def test_outcomes_of_an_entry_that_made_room(room: Room) -> None:
    """When another entry stands where an attempt was counted, its outcome is lost, and the other entry keeps what it has."""
    attempts = [room.throttle.begin([NAME, ADDRESS], clears=True) for _ in range(3)]
    room.table.clear()
    for place in {*attempts[0].places}:
        room.table._words[place] = 0x2BCDE << 43 | 1000 << 24 | 5 << 14 | 5 << 4
    before = room.words()
    for outcome, attempt in zip(OUTCOMES, attempts, strict=True):
        outcome(room.throttle, attempt)
    assert room.words() == before


def test_what_never_had_an_outcome_ends_with_its_window(room: Room) -> None:
    """Attempts of a worker that died count until the window ends, and lock nothing."""
    for _ in range(10):
        room.throttle.begin([NAME, ADDRESS], clears=True)
    assert room.waits() == 1
    room.hand.turn(299)
    assert room.waits() == 1
    room.hand.turn(1)
    assert room.waits() == 0
    assert room.counts.lockouts == {BY_NAME: 0, BY_ADDRESS: 0}


# Several workers, and other rules


def test_workers_share_counts() -> None:
    """Failures that two workers saw are added up, and both refuse."""
    hand = Hand()
    table = Table(64, clock=hand)
    workers = [Throttle(ThrottleSettings("/user"), table, LoginCounts()) for _ in range(2)]
    for number in range(10):
        worker = workers[number % 2]
        worker.fail(worker.begin([NAME, ADDRESS], clears=True))
    assert [worker.begin([NAME, ADDRESS], clears=True).wait_s for worker in workers] == [MINUTE, MINUTE]


def test_a_worker_whose_clock_is_a_second_behind() -> None:
    """At the end of a second one worker has read the next one already: the other neither begins anew nor loses its attempt."""
    ahead = Room(now=2001.0)
    behind = Throttle(ThrottleSettings("/user"), ahead.table, ahead.counts)
    ahead.fail(8)
    ahead.hand.now = 2000.999
    attempt = behind.begin([NAME, ADDRESS], clears=True)
    behind.take_back(attempt)
    behind.fail(behind.begin([NAME, ADDRESS], clears=True))
    ahead.hand.now = 2001.0
    assert ahead.waits() == 0
    ahead.fail(1)
    assert ahead.waits() == MINUTE


def test_other_numbers_count_at_once(room: Room) -> None:
    """What was counted stays when a reload changes the rules, and is judged by the new ones."""
    room.fail(4)
    stricter = Throttle(ThrottleSettings("/user", 5, 300.0, 7.0), room.table, room.counts)
    attempt = stricter.begin([NAME, ADDRESS], clears=True)
    assert attempt.wait_s == 0
    stricter.fail(attempt)
    assert stricter.begin([NAME, ADDRESS], clears=True).wait_s == 7
    assert room.waits() == 7
    patient = Throttle(ThrottleSettings("/user", 100), room.table, room.counts)
    assert patient.begin([NAME, ADDRESS], clears=True).wait_s == 7


def test_fewer_than_have_failed_already(room: Room) -> None:
    """A reload to a limit below what has failed refuses the next attempt, until the window ends."""
    room.fail(9)
    stricter = Throttle(ThrottleSettings("/user", 3), room.table, room.counts)
    assert stricter.begin([NAME, ADDRESS], clears=True).wait_s == 1
    room.hand.turn(300)
    assert stricter.begin([NAME, ADDRESS], clears=True).wait_s == 0


@pytest.mark.parametrize(
    "start", [0.0, TIME_MASK - 400, TIME_MASK - 70, TIME_MASK - 30, TIME_MASK, 7.0 * TIME_MASK - 61]
)
def test_the_end_of_the_clock(start: float) -> None:
    """Where the seconds of the table begin again (every 12 days), windows and locks end when they should."""
    room = Room(now=start)
    room.fail(9)
    room.hand.turn(299)
    room.fail(1)
    assert room.waits() == MINUTE
    room.hand.turn(59)
    assert room.waits() == 1
    room.hand.turn(1)
    assert room.waits() == 0
    room.fail(9)
    room.hand.turn(300)
    room.fail(9)
    assert room.waits() == 0


def test_memory_does_not_grow() -> None:
    """The table is as large after 100 000 names as before them, and what has ended is freed by and by."""
    room = Room(buckets=1024)
    size = len(room.table._memory)
    for number in range(1, 50_001):
        room.fail(1, [number * 0x9E3779B97F4A7C15 & KEY_MASK, number * 0xC2B2AE3D27D4EB4F & KEY_MASK])
    assert len(room.table._memory) == size == 65_536
    assert len(room.words()) == 1024 * 7
    room.hand.turn(300)
    for _ in range(1024):
        room.throttle.sweep()
    assert room.words() == []


@settings(max_examples=500)
@given(st.lists(st.sampled_from(["begin", "fail", "succeed", "take_back", "second", "minute", "window"]), max_size=200))
def test_counts_are_those_of_a_plain_model(steps: list[str]) -> None:
    """Whatever happens in whatever order, an attempt is refused exactly when the rules as a plain program say so."""
    room = Room(ThrottleSettings("/user", 3, 30.0, 5.0))
    model = Model()
    running: list[tuple[Attempt, int]] = []
    for step in steps:
        now = int(room.hand.now)
        if step == "begin":
            attempt = room.throttle.begin([NAME, ADDRESS], clears=True)
            assert attempt.wait_s == model.begin(now)
            if not attempt.wait_s:
                running.append((attempt, now))
        elif step in ("second", "minute", "window"):
            room.hand.turn({"second": 1, "minute": 20, "window": 30}[step])
        elif running:
            attempt, at = running.pop(0)
            getattr(room.throttle, step)(attempt)
            model.end(step, now, at)


class Model:
    """The rules for one name: 3 failures in 30 s, 5 s of lock. An outcome counts in a window that its attempt was in, to a
    second.
    """

    def __init__(self) -> None:
        self.began: int | None = None
        self.open = self.failed = self.level = 0
        self.locked_until: int | None = None

    def _forget(self) -> None:
        self.began = self.locked_until = None
        self.open = self.failed = 0

    def begin(self, now: int) -> int:
        if self.locked_until is not None and now < self.locked_until:
            return self.locked_until - now
        if self.locked_until is not None:
            self.level = self.level if now - self.locked_until < 30 else 0
            self._forget()
        elif self.began is not None and now - self.began >= 30:
            self.level = 0
            self._forget()
        if self.open + self.failed >= 3:
            return 1
        if self.began is None:
            self.began = now
        self.open += 1
        return 0

    def end(self, how: str, now: int, at: int) -> None:
        if how == "succeed":
            self._forget()
            self.level = 0
            return
        if self.began is None or not self.open or at < self.began - 1:
            return
        self.open -= 1
        if how == "fail":
            self.failed += 1
            if self.failed >= 3:
                self._forget()
                self.locked_until = now + min(5 << self.level, 900)
                self.level = min(self.level + 1, 15)
        elif not self.open and not self.failed and not self.level:
            self._forget()
