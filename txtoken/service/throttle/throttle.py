"""Limits attempts at logins, and imposes lockouts (contract §3.7). Knows entries by their keys; knows no names.

An attempt counts from its beginning until its outcome, so that a thousand at once are no way around the limit. A count begins
with its first attempt and ends after `window`. The last allowed failure begins a lockout, during which nothing is counted. Then
the count begins again, and the next lockout is twice as long, unless `window` has passed without a new one.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from txtoken.service.throttle.counts import ADDRESS, NAME, LoginCounts
from txtoken.service.throttle.table import (
    COUNT_MASK,
    COUNT_MAX,
    FAILED_SHIFT,
    LEVEL_MAX,
    LOCKED,
    OPEN_SHIFT,
    TAG_SHIFT,
    TIME_MASK,
    TIME_SHIFT,
    Table,
    since,
)
from txtoken.settings import ThrottleSettings

ADDRESS_PATIENCE: Final = 10  # times as many failures as for a name in a network: many people may share an address
LOCKOUT_S_MAX: Final = 15 * 60  # the longest lockout after doubling
BUSY_S: Final = 1  # to wait without a lockout, if as many attempts are in progress as may fail
CLOCKS_APART_S: Final = 1  # two workers may read the same clock around the end of a second
_ONE_OPEN: Final = 1 << OPEN_SHIFT
_ONE_FAILED: Final = 1 << FAILED_SHIFT
_COUNTED: Final = (1 << TIME_SHIFT) - 1
_LEVEL_MASK: Final = (1 << FAILED_SHIFT) - 1


class Attempt:
    """One attempt at a login: where it is counted, and since when. Pass it to `fail`, `succeed` or `take_back` of the throttle
    that has begun it. Only the first of these calls has an effect.

    `wait_s` is 0, or the seconds to wait: then the attempt is rejected and not counted, and `refused_for` says by which count.
    """

    __slots__ = ("at", "clears", "is_open", "keys", "places", "refused_for", "wait_s")

    def __init__(self, keys: list[int], at: int, *, clears: bool) -> None:
        self.keys = keys  # the keys of names, and last the key of the address
        self.places: list[int] = []  # of their entries
        self.at = at
        self.clears = clears  # whether a success clears the failures of its name
        self.is_open = True  # counted, without an outcome
        self.wait_s = 0
        self.refused_for = ""


class Throttle:
    """Counts attempts in a table, by the rules of one configuration."""

    __slots__ = ("_address_limit", "_counts", "_lockout_s", "_lockout_s_max", "_name_limit", "_table", "_window_s")

    def __init__(self, settings: ThrottleSettings, table: Table, counts: LoginCounts) -> None:
        self._table = table
        self._counts = counts
        self._name_limit = settings.failures
        self._address_limit = min(settings.failures * ADDRESS_PATIENCE, COUNT_MAX)
        self._window_s = ceil(settings.window_s)
        self._lockout_s = ceil(settings.lockout_s)
        self._lockout_s_max = max(LOCKOUT_S_MAX, self._lockout_s)

    def begin(self, keys: list[int], *, clears: bool) -> Attempt:
        """Count an attempt for all of these keys, or reject it. The last key is the address's."""
        table = self._table
        now = table.now()
        attempt = Attempt(keys, now, clears=clears)
        places, last = attempt.places, len(keys) - 1
        stood: list[int] = []  # words that this attempt has replaced
        for number, key in enumerate(keys):
            place = table.locate(key, now)
            places.append(place)
            word = table.read(place)
            counted = table.tag(key) << TAG_SHIFT | now << TIME_SHIFT | _ONE_OPEN
            if word >> TAG_SHIFT == counted >> TAG_SHIFT and word != 0:
                wait_s = self._wait_s(word, now, self._address_limit if number == last else self._name_limit)
                if wait_s > attempt.wait_s:
                    attempt.wait_s = wait_s
                    attempt.refused_for = attempt.refused_for or (ADDRESS if number == last else NAME)
                counted = word + _ONE_OPEN if self._is_counting(word, now) else counted | self._level(word, now)
            if attempt.wait_s == 0:
                stood.append(word)
                self._write(key, place, counted)
        if attempt.wait_s:
            attempt.is_open = False
            self._counts.throttled[attempt.refused_for] += 1
            # Two of them may have used the same place, one after the other.
            for number in range(len(stood) - 1, -1, -1):
                table.put_back(places[number], stood[number])
        return attempt

    def fail(self, attempt: Attempt) -> None:
        """The attempt has failed, or its client did not wait: it stays counted, and may be the last one allowed."""
        if not attempt.is_open:
            return
        attempt.is_open = False
        table = self._table
        now = table.now()
        last = len(attempt.keys) - 1
        for number, key in enumerate(attempt.keys):
            place = attempt.places[number]
            word = table.read(place)
            if not self._holds(word, key, attempt.at):
                continue
            word += _ONE_FAILED - _ONE_OPEN
            if _failed(word) >= (self._address_limit if number == last else self._name_limit):
                self._counts.lockouts[ADDRESS if number == last else NAME] += 1
                word = self._locked(word, now)
            self._write(key, place, word)

    def succeed(self, attempt: Attempt) -> None:
        """The attempt has succeeded: its name in its network has no failures any more. Its address keeps the failures of
        others.
        """
        if not attempt.is_open:
            return
        if attempt.clears:
            table, key, place = self._table, attempt.keys[0], attempt.places[0]
            if table.read(place) >> TAG_SHIFT == table.tag(key):
                table.write(key, place, 0, 0)
        self._take_back(attempt, 1 if attempt.clears else 0)

    def take_back(self, attempt: Attempt) -> None:
        """The attempt's outcome says nothing about its password: it does not count."""
        if attempt.is_open:
            self._take_back(attempt, 0)

    def sweep(self) -> None:
        """Free a few entries that have ended. Call it a few times a second."""
        self._table.sweep(self._window_s)

    def _take_back(self, attempt: Attempt, first: int) -> None:
        """Take an attempt back for all of its keys from this one on."""
        attempt.is_open = False
        for number in range(first, len(attempt.keys)):
            key, place = attempt.keys[number], attempt.places[number]
            word = self._table.read(place)
            if self._holds(word, key, attempt.at):
                word -= _ONE_OPEN
                if word & _COUNTED == 0:
                    word = 0  # neither counts nor a level are left
                self._write(key, place, word)

    def _wait_s(self, word: int, now: int, limit: int) -> int:
        """Return how long an entry allows no attempt, 0 if it allows one."""
        failed = _failed(word)
        if failed == LOCKED:
            return max(0, -since(word, now))
        if failed + ((word >> OPEN_SHIFT) & COUNT_MASK) < limit or not self._is_counting(word, now):
            return 0
        return BUSY_S

    def _is_counting(self, word: int, now: int) -> bool:
        """Whether the next attempt belongs to the count of this entry, and does not begin a new one."""
        return _failed(word) != LOCKED and since(word, now) < self._window_s

    def _level(self, word: int, now: int) -> int:
        """Return the number of preceding lockouts, for a new count in this entry."""
        return word & _LEVEL_MASK if since(word, now) < self._window_s else 0

    def _holds(self, word: int, key: int, at: int) -> bool:
        """Whether an entry still counts an attempt of that time: it may have been replaced, locked or restarted since."""
        return (
            word >> TAG_SHIFT == self._table.tag(key)
            and _failed(word) != LOCKED
            and (word >> OPEN_SHIFT) & COUNT_MASK != 0
            and since(word, at) >= -CLOCKS_APART_S
        )

    def _locked(self, word: int, now: int) -> int:
        """Return an entry with a lockout that begins now."""
        level = word & _LEVEL_MASK
        lock_s = min(self._lockout_s << level, self._lockout_s_max)
        time = (now + lock_s) & TIME_MASK
        return word >> TAG_SHIFT << TAG_SHIFT | time << TIME_SHIFT | LOCKED << FAILED_SHIFT | min(level + 1, LEVEL_MAX)

    def _write(self, key: int, place: int, word: int) -> None:
        self._table.write(key, place, word, ((word >> TIME_SHIFT) & TIME_MASK) + self._window_s)


def _failed(word: int) -> int:
    return (word >> FAILED_SHIFT) & COUNT_MASK
