"""Schedules slow work: how much of it runs in a turn of the loop, and how often. Knows no request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final

from txtoken.http1.member import Member

TURN_S: Final = 0.002  # of one turn of the loop; then all others have theirs (the bound in contract §4.1 is 5 ms)
# Requests of one client in a row: their answers leave with one write, which costs twice as much as a request that is answered
# from memory.
REQUESTS_IN_A_ROW_MAX: Final = 32
# Clients whose reading resumes in a turn. uvloop reads up to 256 KB of each, in 0.1 ms: 300 clients that needed more bytes at
# once made all others wait for 0.1 s.
READ_A_TURN_MAX: Final = 8
RESTED_TURNS_MAX: Final = 8


class Turns:
    """Three queues: clients with further requests after the first one was answered on arrival, other work that may take
    milliseconds, and clients to read from again.

    A client is in each queue at most once: it is added again only after its turn has reported no more requests. One request, or
    one piece of work, may take longer than a turn should (10 ms, contract §4.1): then the next turns do nothing here, so that a
    login that needs four turns of the loop waits for one long turn and not for four.
    """

    __slots__ = ("_fresh", "_is_scheduled", "_loop", "_resting", "_unread", "_waiting", "_work", "on_full")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Member] = deque()
        self._fresh: list[Member] = []  # waiting clients before their first turn
        self._work: deque[Callable[[], object]] = deque()
        self._unread: deque[Member] = deque()
        self._resting = 0  # further turns without work
        self._is_scheduled = False
        self.on_full: Callable[[], object] | None = None  # called when a turn is full, and more requests wait

    def add(self, member: Member) -> None:
        """Have a client's next requests answered in the next turns of the loop. Its answers are flushed by then."""
        self._waiting.append(member)
        self._fresh.append(member)
        self._schedule()

    def call(self, work: Callable[[], object]) -> None:
        """Run a function that may take milliseconds in one of the next turns."""
        self._work.append(work)
        self._schedule()

    def read(self, member: Member) -> None:
        """Resume reading from a paused client in one of the next turns: uvloop would continue to read in this one."""
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
                member.flush()  # nor do the other answers
            if perf_counter() >= end:
                break
