"""Pipelined requests that wait, one client after the other, a few milliseconds at a time. Knows no request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final

from txtoken.http1.member import Member

TURN_S: Final = 0.005  # of one turn of the loop; after that everybody else has theirs (contract §4.1)


class Turns:
    """Clients with more requests than the one that was answered when they arrived.

    A client stands here once at most: it is added again only after its turn said that there is no more.
    """

    __slots__ = ("_is_scheduled", "_loop", "_waiting", "on_full")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Member] = deque()
        self._is_scheduled = False
        self.on_full: Callable[[], object] | None = None  # called when a turn was used up, and more requests wait

    def add(self, member: Member) -> None:
        """Have a client's next requests answered in the next turns of the loop. Its answers are flushed by then."""
        self._waiting.append(member)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._take)

    def _take(self) -> None:
        self._is_scheduled = False
        waiting = self._waiting
        end = perf_counter() + TURN_S
        try:
            while waiting:
                member = waiting.popleft()
                if member.take_turn():
                    waiting.append(member)
                if perf_counter() >= end:
                    break
            for member in waiting:
                member.flush()  # answers that are ready do not wait for the next turn
        finally:
            if waiting:
                self._schedule()
                if self.on_full is not None:
                    self.on_full()
