"""Chooses the client to close for a new one when all places are taken. Knows no sockets.

Clients without a complete request go first, oldest first: a client that fills a server with silent connections replaces its own.
Then the one that has been idle longest. A busy client is never closed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from math import inf
from typing import Final

from txtoken.http1.member import Member

IDLE_FOUND_MIN: Final = 64  # idle clients that one search remembers
IDLE_SHARE: Final = 8  # or this part of all: one search visits all clients, and is good for as many new ones


class Room:
    """Clients in the order in which they make room. `members` are all clients with a place."""

    __slots__ = ("_idle", "_members", "_newcomers")

    def __init__(self, members: Collection[Member]) -> None:
        self._members = members
        # The oldest is found in O(1), unlike a dictionary's.
        self._newcomers: OrderedDict[Member, None] = OrderedDict()
        self._idle: list[tuple[float, Member]] = []  # from the last search, longest idle at the end

    def add(self, member: Member) -> None:
        """Add a client without a request."""
        self._newcomers[member] = None

    def note_asked(self, member: Member) -> None:
        """Remove a client that has completed its first request, or has gone."""
        self._newcomers.pop(member, None)

    def is_there(self) -> bool:
        """Whether a client can be closed for a new one."""
        if self._newcomers:
            return True
        member = self.choose()
        if member is not None:
            self._idle.append((member.idle_since(), member))
        return member is not None

    def choose(self) -> Member | None:
        """Return the client to close for a new one, once. None: all are busy."""
        if self._newcomers:
            return self._newcomers.popitem(last=False)[0]
        for _ in range(2):
            while self._idle:
                since, member = self._idle.pop()
                if member.idle_since() == since:
                    return member
            self._search()
        return None

    def _search(self) -> None:
        """Find the clients that have been idle longest."""
        idle: list[tuple[float, Member]] = []
        for member in self._members:
            since = member.idle_since()
            if since < inf:
                idle.append((since, member))
        idle.sort(key=_since)
        del idle[max(IDLE_FOUND_MIN, len(self._members) // IDLE_SHARE) :]
        idle.reverse()
        self._idle = idle


def _since(entry: tuple[float, Member]) -> float:
    return entry[0]
