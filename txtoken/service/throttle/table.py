"""The throttle's table: entries of fixed number, shared by all workers. Knows places of entries; knows no name and no limit.

An entry is one aligned word of 64 bits. `memoryview` copies it with a `memcpy` of 8 bytes, one instruction on a 64-bit machine.
So there is no lock: if two workers change an entry at once, one change is lost, but no entry is ever a mixture of two. A 32-bit
machine (armv7) needs two instructions for a word: there each worker has its own table, and counts alone.

    tag 19 | time 19 | open 10 | failed 10 | level 4     from the highest bit to the lowest; the two above these are 0

The tag is a part of the key, a keyed hash, and the bucket's number is another part: 33 bits in all. `open` counts attempts
without an outcome, `failed` counts failures since `time`. If `failed` is `LOCKED`, `time` is the end of the lockout. `level`
counts consecutive lockouts. Compiled code does not box numbers of 62 bits: a login takes half as long.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Callable
from time import monotonic
from typing import Final

WORD_BYTES: Final = 8
BUCKET_WORDS: Final = 8  # a cache line
ENTRIES: Final = 7  # of a bucket; its last word says how long the next bucket may contain entries of this one
BUCKET_BYTES: Final = BUCKET_WORDS * WORD_BYTES
BUCKETS: Final = 1 << 14  # a power of 2: 1 MiB, 114 688 entries
BUCKETS_WALKED_MAX: Final = 64  # if all entries of a bucket are locked, the next bucket is used, and so on
SECRET_BYTES: Final = 16

LEVEL_MAX: Final = 15
FAILED_SHIFT: Final = 4
OPEN_SHIFT: Final = 14
TIME_SHIFT: Final = 24
TAG_SHIFT: Final = 43
COUNT_MASK: Final = 0x3FF
LOCKED: Final = COUNT_MASK
COUNT_MAX: Final = COUNT_MASK - 1
TIME_MASK: Final = 0x7FFFF  # 6 days in seconds, then it wraps around: `sweep` removes old entries long before
TAG_MASK: Final = 0x7FFFF
KEY_MASK: Final = 0x1FFFFFFFF  # the used bits of a key

_unpack: Final = struct.Struct("8Q").unpack_from  # in native byte order: one instruction copies each word, too
_HALF: Final = (TIME_MASK + 1) >> 1
_EMPTY: Final = bytes(BUCKET_BYTES)
_NEVER: Final = TIME_MASK + 1  # older than any entry: a free place
_ARE_WORDS_WHOLE: Final = sys.maxsize > 1 << 32


class Table:
    """The shared table. Make it before the workers are forked, in any case: untouched memory costs nothing.

    A `key` finds an entry: its low bits are the bucket's number, the next 19 bits the tag. It is a hash that cannot be computed
    without `secret`. Times are whole seconds of `clock`, which has to be the same for all processes.
    """

    __slots__ = ("_clock", "_mask", "_memory", "_swept", "_tag_shift", "_words", "secret")

    def __init__(self, buckets: int = BUCKETS, *, clock: Callable[[], float] = monotonic) -> None:
        assert buckets & (buckets - 1) == 0
        self._memory = (
            mmap.mmap(-1, buckets * BUCKET_BYTES)  # anonymous and shared: children inherit it
            if _ARE_WORDS_WHOLE
            else mmap.mmap(-1, buckets * BUCKET_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        )
        self._words = memoryview(self._memory).cast("Q")
        self._mask = buckets - 1
        self._tag_shift = self._mask.bit_length()
        self._clock = clock
        self._swept = 0  # the bucket that `sweep` looks at next
        self.secret = os.urandom(SECRET_BYTES)  # forked workers have it too

    def now(self) -> int:
        """Return the time, as in entries."""
        return int(self._clock()) & TIME_MASK

    def tag(self, key: int) -> int:
        """Return the tag of the entry of this key."""
        return (key >> self._tag_shift) & TAG_MASK

    def read(self, place: int) -> int:
        """Return the word at a place."""
        word: int = self._words[place]
        return word

    def locate(self, key: int, now: int) -> int:
        """Return the place of a key's entry, or else a place for it: a free one, or the oldest entry that is not locked. A locked
        entry is replaced only if all entries of all permitted buckets are locked: then the one that ends first.
        """
        bucket = key & self._mask
        first = bucket * BUCKET_WORDS
        offset = first * WORD_BYTES
        # Nearly always: 0.1 µs; to check each word takes 0.4 more.
        if self._memory[offset : offset + BUCKET_BYTES] == _EMPTY:
            return first
        memory, tag = self._memory, (key >> self._tag_shift) & TAG_MASK
        free, shortest, shortest_s = -1, first, _NEVER
        for _ in range(min(BUCKETS_WALKED_MAX, self._mask + 1)):
            first = bucket * BUCKET_WORDS
            words: tuple[int, ...] = _unpack(memory, first * WORD_BYTES)
            oldest, oldest_s = -1, -1
            for number in range(ENTRIES):
                word, place = words[number], first + number
                if word == 0:
                    age_s = _NEVER
                elif word >> TAG_SHIFT == tag:
                    return place
                else:
                    age_s = since(word, now)
                    if (word >> FAILED_SHIFT) & COUNT_MASK == LOCKED:
                        if 0 < -age_s < shortest_s:
                            shortest, shortest_s = place, -age_s
                    elif age_s < 0:
                        age_s = 0  # another worker's clock has reached the next second
                if age_s > oldest_s:  # negative for a running lockout, which is never the oldest
                    oldest, oldest_s = place, age_s
            if free < 0:
                free = oldest
            if free >= 0 and not _is_ahead(words[ENTRIES], now):
                return free
            bucket = (bucket + 1) & self._mask
        return shortest if free < 0 else free

    def write(self, key: int, place: int, word: int, until: int) -> None:
        """Write a key's entry at the place from `locate`. `until` is when it may be forgotten. 0 frees the place."""
        words, bucket, target = self._words, key & self._mask, place // BUCKET_WORDS
        while bucket != target and word != 0:  # rare: a search for this entry must not stop before it
            last = bucket * BUCKET_WORDS + ENTRIES
            known = int(words[last])
            if known == 0 or since(known, until) > 0:
                words[last] = (until & TIME_MASK) << TIME_SHIFT | 1
            bucket = (bucket + 1) & self._mask
        words[place] = word

    def put_back(self, place: int, word: int) -> None:
        """Restore the word at a place from before a `write`."""
        self._words[place] = word

    def forget_open(self) -> None:
        """Take back all attempts without an outcome: a worker has died, and its attempts will never have one. This affects the
        attempts of other workers, too; their failures still count.
        """
        for place, word in enumerate(self._words.tolist()):
            if (word >> OPEN_SHIFT) & COUNT_MASK and place % BUCKET_WORDS != ENTRIES:
                rest = word & ~(COUNT_MASK << OPEN_SHIFT)
                self._words[place] = rest if rest & ((1 << OPEN_SHIFT) - 1) else 0

    def sweep(self, kept_s: int) -> None:
        """Check one bucket, the next one each time, and free entries that were unused for `kept_s` seconds. At 4 beats a second,
        all buckets are checked within 68 minutes.
        """
        words, now, first = self._words, self.now(), self._swept * BUCKET_WORDS
        self._swept = (self._swept + 1) & self._mask
        for place in range(first, first + BUCKET_WORDS):
            word = int(words[place])
            if word != 0 and since(word, now) >= kept_s:
                words[place] = 0

    def clear(self) -> None:
        """Forget everything."""
        self._memory[:] = bytes(len(self._memory))


def since(word: int, now: int) -> int:
    """Return how many seconds ago the time of an entry was; negative if it is in the future."""
    seconds = (now - (word >> TIME_SHIFT)) & TIME_MASK
    return seconds if seconds < _HALF else seconds - TIME_MASK - 1


def _is_ahead(overflow: int, now: int) -> bool:
    """Whether the time in the last word of a bucket is in the future, so that the next bucket may contain entries."""
    return overflow != 0 and since(overflow, now) < 0
