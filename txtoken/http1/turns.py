"""Clients that send more than one request at a time: how much is done for each in a turn of the loop. Knows no request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final

from txtoken.http1.member import Member

TURN_S: Final = (
    0.002  # of one turn of the loop; after that everybody else has theirs (contract §4.1 has 5 ms as the bound)
)
# Of one client in a row: their answers leave with one write, which costs twice as much as a request that is answered from
# memory.
REQUESTS_IN_A_ROW_MAX: Final = 32
# Clients whose reading goes on in a turn. uvloop reads up to 256 KB of each, 0.1 ms: 300 clients that had all used up what
# they had sent kept everybody else waiting for 0.1 s.
READ_A_TURN_MAX: Final = 8


class Turns:
    """Clients with more requests than the one that was answered when they arrived, and clients that are read from again.

    A client stands in each line once at most: it is added again only after its turn said that there is no more.
    """

    __slots__ = ("_fresh", "_is_scheduled", "_loop", "_unread", "_waiting", "on_full")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Member] = deque()
        self._fresh: list[Member] = []  # of those that wait, those whose first turn comes
        self._unread: deque[Member] = deque()
        self._is_scheduled = False
        self.on_full: Callable[[], object] | None = None  # called when a turn was used up, and more requests wait

    def add(self, member: Member) -> None:
        """Have a client's next requests answered in the next turns of the loop. Its answers are flushed by then."""
        self._waiting.append(member)
        self._fresh.append(member)
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
        waiting, unread = self._waiting, self._unread
        end = perf_counter() + TURN_S
        try:
            for _ in range(min(len(unread), READ_A_TURN_MAX)):
                unread.popleft().read_on()
            while waiting:
                member = waiting.popleft()
                count = 1
                while (has_more := member.take_turn()) and count < REQUESTS_IN_A_ROW_MAX and perf_counter() < end:
                    count += 1
                if has_more:
                    waiting.append(member)
                    member.flush()  # answers that are ready do not wait for the next turn
                if perf_counter() >= end:
                    break
            fresh, self._fresh = self._fresh, []
            for member in fresh:
                member.flush()  # nor does the answer to a client's first request
        finally:
            if waiting or unread:
                self._schedule()
                if self.on_full is not None:
                    self.on_full()
