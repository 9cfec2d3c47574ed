"""Where entries stand: who makes room for whom, what is found again, and that no word is ever torn."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator

import pytest

from tests.service.throttle.hands import START_S, Hand, Room
from txtoken.service.throttle import table as table_module
from txtoken.service.throttle.table import (
    BUCKET_WORDS,
    BUCKETS_WALKED_MAX,
    ENTRIES,
    FAILED_SHIFT,
    LOCKED,
    OPEN_SHIFT,
    TAG_SHIFT,
    TIME_MASK,
    TIME_SHIFT,
    Table,
)

NOW = int(START_S)
BUCKETS = 128
WINDOW_S = 300


@pytest.fixture
def table() -> Table:
    """A table of 128 buckets."""
    return Table(BUCKETS, clock=Hand())


def key_of(bucket: int, tag: int) -> int:
    """Make the key of an entry with this tag, which belongs in this bucket."""
    return tag << 7 | bucket


def put(table: Table, bucket: int, tag: int, time: int = NOW, failed: int = 1) -> int:
    """Write an entry, and return its place."""
    key = key_of(bucket, tag)
    place = table.locate(key, NOW)
    table.write(key, place, tag << TAG_SHIFT | time << TIME_SHIFT | failed << FAILED_SHIFT, time + WINDOW_S)
    return place


def has(table: Table, bucket: int, tag: int, now: int = NOW) -> bool:
    """Whether an entry is found."""
    return table.read(table.locate(key_of(bucket, tag), now)) >> TAG_SHIFT == tag


def test_entries_are_found_again(table: Table) -> None:
    """Each entry is found where it was put, those of one bucket beside each other, and none that was not put."""
    places = {put(table, bucket, tag) for bucket in range(BUCKETS) for tag in range(1, 8)}
    assert len(places) == BUCKETS * ENTRIES
    assert all(has(table, bucket, tag) for bucket in range(BUCKETS) for tag in range(1, 8))
    assert not any(has(table, bucket, 8) for bucket in range(BUCKETS))
    assert not any(place % BUCKET_WORDS == ENTRIES for place in places)


def test_what_is_freed_is_taken_first(table: Table) -> None:
    """A free place is taken before any entry makes room."""
    for tag in range(1, 8):
        put(table, 3, tag, NOW - tag)
    place = table.locate(key_of(3, 4), NOW)
    table.write(key_of(3, 4), place, 0, 0)
    assert put(table, 3, 8) == place
    assert all(has(table, 3, tag) for tag in (1, 2, 3, 5, 6, 7, 8))


def test_the_oldest_makes_room(table: Table) -> None:
    """In a full bucket the entry that began first makes room, wherever it stands."""
    for tag, age_s in enumerate((5, 90, 40, 200, 7, 3, 100), 1):
        put(table, 0, tag, NOW - age_s)
    for gone in (4, 7, 2, 3):
        put(table, 0, 10 + gone)
        assert not has(table, 0, gone)
        assert has(table, 0, 10 + gone)
    assert all(has(table, 0, tag) for tag in (1, 5, 6))


def test_a_lock_that_has_ended_makes_room(table: Table) -> None:
    """A lock that is over counts by its end as other entries do by their beginning."""
    put(table, 0, 1, NOW - 50, LOCKED)
    put(table, 0, 2, NOW, LOCKED)
    for tag in range(3, 8):
        put(table, 0, tag, NOW - 20)
    put(table, 0, 8)
    assert not has(table, 0, 1)
    assert has(table, 0, 2)


def test_an_entry_from_the_next_second_is_young(table: Table) -> None:
    """An entry of a worker whose clock is ahead is no old one, and makes no room before the others."""
    put(table, 0, 1, NOW + 1)
    for tag in range(2, 8):
        put(table, 0, tag, NOW - tag)
    put(table, 0, 8)
    assert has(table, 0, 1)
    assert not has(table, 0, 7)


def test_locked_entries_stay(table: Table) -> None:
    """Where all entries of a bucket are locked, others come into the next one, and are found there, and so are those of the next
    bucket itself.
    """
    for tag in range(1, 8):
        put(table, 5, tag, NOW + 60, LOCKED)
    place = put(table, 5, 8)
    assert place // BUCKET_WORDS == 6
    assert has(table, 5, 8)
    assert all(has(table, 5, tag) for tag in range(1, 8))
    assert put(table, 6, 9) // BUCKET_WORDS == 6
    assert has(table, 6, 9)


def test_they_are_looked_for_until_they_have_ended(table: Table) -> None:
    """An entry in the next bucket is found as long as it has a meaning, when its own bucket has room again, too; then no more."""
    for tag in range(1, 8):
        put(table, 5, tag, NOW + 60, LOCKED)
    put(table, 5, 8, NOW + 900, LOCKED)
    assert has(table, 5, 8, NOW + 61)
    table.write(key_of(5, 1), table.locate(key_of(5, 1), NOW), 0, 0)
    assert has(table, 5, 8, NOW + 899 + WINDOW_S)
    assert not has(table, 5, 8, NOW + 900 + WINDOW_S)


@pytest.mark.parametrize("now", [NOW, 200_000, 400_000, TIME_MASK - 100])
def test_it_is_found_when_there_is_room_again(now: int) -> None:
    """An entry in the next bucket is found after its own one has room, at whatever time."""
    table = Table(BUCKETS, clock=Hand(now))
    for tag in range(1, 9):
        key = key_of(5, tag)
        time = (now + 60) & TIME_MASK
        word = tag << TAG_SHIFT | time << TIME_SHIFT | LOCKED << FAILED_SHIFT
        table.write(key, table.locate(key, now), word, time + WINDOW_S)
    table.write(key_of(5, 1), table.locate(key_of(5, 1), now), 0, 0)
    assert has(table, 5, 8, now)


@pytest.mark.parametrize("now", [NOW, 200_000, 400_000, TIME_MASK - 100])
def test_freeing_changes_one_word(now: int) -> None:
    """To free an entry in the next bucket changes nothing else, at whatever time."""
    table = Table(BUCKETS, clock=Hand(now))
    for tag in range(1, 9):
        key = key_of(5, tag)
        place = table.locate(key, now)
        time = (now + 60) & TIME_MASK
        table.write(key, place, tag << TAG_SHIFT | time << TIME_SHIFT | LOCKED << FAILED_SHIFT, time + WINDOW_S)
    before = list(table._words)
    place = table.locate(key_of(5, 8), now)
    assert place // BUCKET_WORDS == 6
    table.write(key_of(5, 8), place, 0, 0)
    assert table.locate(key_of(5, 1), now) // BUCKET_WORDS == 5
    after = list(table._words)
    assert [number for number, word in enumerate(before) if word != after[number]] == [place]


def test_the_last_one_to_end_says_how_long(table: Table) -> None:
    """Of several entries in the next bucket a short one does not hide a long one, in whatever order they came."""
    for first, second in ((30, 900), (900, 30)):
        table.clear()
        for tag in range(1, 8):
            put(table, 5, tag, NOW + 60, LOCKED)
        put(table, 5, 8, NOW + first, LOCKED)
        put(table, 5, 9, NOW + second, LOCKED)
        assert has(table, 5, 8 if first == 900 else 9, NOW + 899 + WINDOW_S)


def test_walking_over_full_buckets(table: Table) -> None:
    """Where several buckets in a row are locked, also past the end of the table, the first one with room takes the entry."""
    for bucket in (126, 127, 0):
        for tag in range(1, 8):
            put(table, bucket, tag, NOW + 60, LOCKED)
    place = put(table, 126, 99, NOW + 900, LOCKED)
    assert place // BUCKET_WORDS == 1
    assert has(table, 126, 99)
    assert table.locate(key_of(127, 98), NOW) // BUCKET_WORDS == 1
    for bucket in (126, 127, 0):  # they have room again, and it is found beyond them all the same
        table.write(key_of(bucket, 4), table.locate(key_of(bucket, 4), NOW), 0, 0)
        assert has(table, 126, 99)
    assert not table.read(2 * BUCKET_WORDS - 1), "nobody has to look further"


def test_when_all_are_locked_the_first_to_end_makes_room(table: Table) -> None:
    """Where no place within 64 buckets is free of locks, the lock among them that ends first makes room, and no other."""
    for bucket in range(BUCKETS):
        for tag in range(1, 8):
            put(table, bucket, tag, NOW + 500 + tag, LOCKED)
    put(table, 40, 3, NOW + 200, LOCKED)
    put(table, (10 + BUCKETS_WALKED_MAX) % BUCKETS, 3, NOW + 100, LOCKED)  # one bucket too far
    place = put(table, 10, 999)
    assert place // BUCKET_WORDS == 40
    assert has(table, 10, 999)
    assert not has(table, 40, 3)
    locked = sum(1 for word in table._words if (word >> FAILED_SHIFT) & LOCKED == LOCKED)
    assert locked == BUCKETS * ENTRIES - 1


def test_a_crowd_of_names_evicts_no_lock() -> None:
    """A locked name waits after other names and addresses had their attempts, nine times as many as there are places, and those
    are no more than the table. NAMES=1000000 has a million names against the whole table, for 15 s; by default both are small.
    """
    names = int(os.environ.get("NAMES", "62500"))
    buckets = 1 << (14 if names >= 1_000_000 else 11)
    room = Room(buckets=buckets)
    draw = random.Random(7).getrandbits
    guarded = [[draw(33), draw(33)] for _ in range(50)]
    for keys in guarded:
        room.fail(10, keys)
    for _ in range(names):
        room.throttle.begin([draw(33), draw(33)], clears=True)
    assert [room.waits(keys) for keys in guarded] == [60] * 50
    assert len(room.words()) <= buckets * ENTRIES


def test_sweeping(table: Table) -> None:
    """In as many looks as there are buckets each entry is looked at once: it is freed when it is of no use any more."""
    hand = Hand()
    table = Table(BUCKETS, clock=hand)
    for bucket in range(BUCKETS):
        put(table, bucket, 1, NOW - WINDOW_S)
        put(table, bucket, 2, NOW - WINDOW_S + 1)
        put(table, bucket, 3, NOW - WINDOW_S, LOCKED)
        put(table, bucket, 4, NOW + 900, LOCKED)
    for looks in range(BUCKETS):
        assert has(table, looks, 1)
        table.sweep(WINDOW_S)
        assert not has(table, looks, 1)
    for bucket in range(BUCKETS):
        assert [tag for tag in range(1, 5) if has(table, bucket, tag)] == [2, 4]
    hand.turn(1)
    for _ in range(BUCKETS):
        table.sweep(WINDOW_S)
    assert not any(has(table, bucket, 2) for bucket in range(BUCKETS))
    assert all(has(table, bucket, 4) for bucket in range(BUCKETS))


def test_sweeping_keeps_the_way_to_the_next_bucket(table: Table) -> None:
    """What says that entries stand in the next bucket is kept as long as these are, and freed too."""
    hand = Hand()
    table = Table(BUCKETS, clock=hand)
    for tag in range(1, 9):
        put(table, 5, tag, NOW + 900, LOCKED)
    for _ in range(BUCKETS):
        table.sweep(WINDOW_S)
    assert has(table, 5, 8)
    hand.turn(900 + 3 * WINDOW_S)
    for _ in range(BUCKETS):
        table.sweep(WINDOW_S)
    assert not any(table._words)


def test_clearing(table: Table) -> None:
    """Nothing is left."""
    for bucket in range(BUCKETS):
        for tag in range(1, 9):
            put(table, bucket, tag, NOW + 60, LOCKED)
    table.clear()
    assert not any(table._words)


def test_the_default_table_takes_a_mebibyte() -> None:
    """The table that a service has is 1 MiB, secret aside, and no larger."""
    table = Table()
    assert len(table._memory) == 1 << 20
    assert len(table.secret) == 16
    assert table.secret != Table().secret


# Several processes


@pytest.fixture
def child() -> Iterator[list[int]]:
    """Children that are to be killed at the end."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def fork_writer(table: Table, pids: list[int], word: int) -> None:
    """Have a child write a word at one place again and again."""
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                table.write(0, 0, word, 0)
        finally:
            os._exit(1)
    pids.append(pid)


def test_no_word_is_torn(child: list[int]) -> None:
    """While two processes write to the same place, a third one finds what the one or the other has written, and nothing else."""
    table = Table(1)
    words = 0x0123_4567_89AB_CDEF, 0x3EDC_BA98_7654_3210
    for word in words:
        fork_writer(table, child, word)
    seen: dict[int, int] = {}
    while len(seen) < 2 or min(seen.values()) < 20_000 or sum(seen.values()) < 500_000:
        word = table.read(0)
        if word:
            seen[word] = seen.get(word, 0) + 1
    assert set(seen) == set(words)


def test_children_share_it(child: list[int]) -> None:
    """What a child writes its parent and all other children read."""
    table = Table(1)
    fork_writer(table, child, 7 << OPEN_SHIFT)
    while table.read(0) != 7 << OPEN_SHIFT:
        pass


@pytest.mark.interpreted("the size of a word is a constant there")
def test_where_words_are_written_in_two(child: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine of 32 bits each process has a table of its own, so that no word is torn there either."""
    monkeypatch.setattr(table_module, "_ARE_WORDS_WHOLE", False)
    table = Table(1)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        table.write(0, 0, 7 << OPEN_SHIFT, 0)
        os.write(writing, b"%d" % (table.read(0) >> OPEN_SHIFT))
        os._exit(0)
    assert os.read(reading, 1) == b"7"
    os.waitpid(pid, 0)
    assert table.read(0) == 0
    os.close(reading)
    os.close(writing)


def test_attempts_of_a_dead_worker_are_forgotten(table: Table) -> None:
    """Open attempts are taken back, failures and locks stay, and the marks of full buckets are no entries."""
    for tag in range(1, 8):
        put(table, 3, tag, NOW + 60, LOCKED)
    put(table, 3, 9)  # beyond its bucket
    marks = [table.read(place) for place in range(ENTRIES, BUCKETS * BUCKET_WORDS, BUCKET_WORDS)]
    open_only, both = key_of(5, 1), key_of(5, 2)
    for key, word in ((open_only, 3 << OPEN_SHIFT), (both, 3 << OPEN_SHIFT | 2 << FAILED_SHIFT)):
        table.write(key, table.locate(key, NOW), table.tag(key) << TAG_SHIFT | NOW << TIME_SHIFT | word, NOW + WINDOW_S)
    table.forget_open()
    assert not has(table, 5, 1)
    assert table.read(table.locate(both, NOW)) == table.tag(both) << TAG_SHIFT | NOW << TIME_SHIFT | 2 << FAILED_SHIFT
    assert all(has(table, 3, tag) for tag in (*range(1, 8), 9))
    assert marks == [table.read(place) for place in range(ENTRIES, BUCKETS * BUCKET_WORDS, BUCKET_WORDS)]
