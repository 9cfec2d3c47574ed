"""Work that may take long: how much of it is done in a turn of the loop, and how often. Knows no request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final

from txtoken.http1.member import Member

TURN_S: Final = 0.002  # of one turn of the loop; then all others have theirs (contract §4.1 has 5 ms as the bound)
# Of one client in a row: their answers leave with one write, which costs twice as much as a request that is answered from
# memory.
REQUESTS_IN_A_ROW_MAX: Final = 32
# Clients whose reading goes on in a turn. uvloop reads up to 256 KB of each, 0.1 ms: 300 clients that had all used up what
# they had sent kept all others waiting for 0.1 s.
READ_A_TURN_MAX: Final = 8
RESTED_TURNS_MAX: Final = 8


class Turns:
    """Three lines: clients with more requests than the one that was answered when they arrived, other work that may take
    milliseconds, and clients that are read from again.

    A client stands in each line once at most: it is added again only after its turn said that there is no more. One request, or
    one piece of work, may take longer than a turn should (10 ms, contract §4.1): then some turns pass in which nothing
    here is done, so that a login that needs four turns of the loop waits for one long turn and not for four.
    """

    __slots__ = ("_fresh", "_is_scheduled", "_loop", "_resting", "_unread", "_waiting", "_work", "on_full")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Member] = deque()
        self._fresh: list[Member] = []  # of those that wait, those whose first turn comes
        self._work: deque[Callable[[], object]] = deque()
        self._unread: deque[Member] = deque()
        self._resting = 0  # turns to come in which nothing is done
        self._is_scheduled = False
        self.on_full: Callable[[], object] | None = None  # called when a turn was used up, and more requests wait

    def add(self, member: Member) -> None:
        """Have a client's next requests answered in the next turns of the loop. Its answers are flushed by then."""
        self._waiting.append(member)
        self._fresh.append(member)
        self._schedule()

    def call(self, work: Callable[[], object]) -> None:
        """Do something that may take milliseconds in one of the next turns."""
        self._work.append(work)
        self._schedule()

    def read(self, member: Member) -> None:
        """Have a client read from again that was paused, in one of the next turns: uvloop would read on in this one."""
        self._unread.append(member)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._take)

    def _take(self) -> None:
        self._is_scheduled = False
        try:
            for _ in range(min(len(self._unread), READ_A_TURN_MAX)):
                self._unread.popleft().read_on()
            if self._resting:
                self._resting -= 1
            elif self._waiting or self._work:
                self._take_all()
        finally:
            if self._waiting or self._work or self._unread:
                self._schedule()
                if self.on_full is not None:
                    self.on_full()

    def _take_all(self) -> None:
        begin = perf_counter()
        self._do_work(begin + TURN_S)
        now = perf_counter()
        self._answer(now + TURN_S)
        self._resting = min(max(0, int((perf_counter() - begin) / TURN_S) - 1), RESTED_TURNS_MAX)
        fresh, self._fresh = self._fresh, []
        for member in fresh:
            member.flush()  # the answer to a client's first request does not wait for the next turn

    def _do_work(self, end: float) -> None:
        work = self._work
        while work:
            work.popleft()()
            if perf_counter() >= end:
                break

    def _answer(self, end: float) -> None:
        waiting = self._waiting
        while waiting:
            member = waiting.popleft()
            count = 1
            while (has_more := member.take_turn()) and count < REQUESTS_IN_A_ROW_MAX and perf_counter() < end:
                count += 1
            if has_more:
                waiting.append(member)
                member.flush()  # nor do the others
            if perf_counter() >= end:
                break
