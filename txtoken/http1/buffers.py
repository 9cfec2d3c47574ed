"""Counts the bytes that are buffered for clients, and sheds clients above the limit. Knows no sockets.

Buffered are parts of requests, requests that wait for another one, large requests that are being answered, and answers that their
client does not read. A request that arrives whole and is answered at once is never counted: nothing of it stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from txtoken.http1.member import Member

EASED_BYTES: Final = 4 * 1024 * 1024  # less is not worth returning to the system
EASED_SHARE: Final = 8  # eased: at most this part of the bytes is left
SHED_SHARE: Final = 8  # this part of the limit is freed at once, so that searches for the largest clients are rare


class Buffers:
    """The bytes held for all clients of a server. `members` are all clients that may hold some.

    `on_shed` is called with the number of clients that were shed, and their bytes.
    """

    __slots__ = (
        "_fresh",
        "_is_reviewing",
        "_is_shedding",
        "_loop",
        "_members",
        "_most",
        "_unread",
        "limit",
        "on_shed",
        "total",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, members: Collection[Member], limit: int) -> None:
        self._loop = loop
        self._members = members
        self.limit = limit
        self.total = 0
        self._most = 0  # the maximum since `has_eased` was last true
        self.on_shed: Callable[[int, int], object] | None = None
        self._fresh: list[Member] = []  # clients that were just sent much; the loop may not have tried to write it yet
        self._unread: set[Member] = set()  # clients whose answers could not all be written
        self._is_reviewing = False
        self._is_shedding = False

    def count(self, member: Member, held_bytes: int) -> None:
        """Record how much is held for a client now."""
        self.total += held_bytes - member.held_bytes
        member.held_bytes = held_bytes
        if self.total > self._most:
            self._most = self.total
        if self.total > self.limit and not self._is_shedding:
            self._is_shedding = True
            self._loop.call_soon(self.shed)  # the caller is in the middle of something

    def watch(self, member: Member) -> None:
        """A client was sent much: after the loop has written, check whether the client reads it, until it does."""
        self._fresh.append(member)
        if not self._is_reviewing:
            self._is_reviewing = True
            self._loop.call_soon(self._review_fresh)

    def forget(self, member: Member) -> None:
        """A client has gone, and its bytes."""
        self.total -= member.held_bytes
        member.held_bytes = 0
        self._unread.discard(member)

    def sweep(self) -> None:
        """Check clients that did not read their answers."""
        if self._unread:
            for member in tuple(self._unread):
                if not member.review_output():
                    self._unread.discard(member)

    def has_eased(self) -> bool:
        """Whether much was held and nearly all of it was freed. Call it regularly: it is true once."""
        if self._most - self.total < EASED_BYTES or self.total > self._most // EASED_SHARE:
            return False
        self._most = self.total
        return True

    def _review_fresh(self) -> None:
        self._is_reviewing = False
        fresh, self._fresh = self._fresh, []
        for member in fresh:
            if member.review_output():
                self._unread.add(member)

    def shed(self) -> None:
        """Shed the clients with the most bytes, if too many bytes are held."""
        self._is_shedding = False
        if self.total <= self.limit:
            return
        enough = self.limit - self.limit // SHED_SHARE
        before, count = self.total, 0
        for member in sorted([member for member in self._members if member.held_bytes], key=_held_bytes, reverse=True):
            if self.total <= enough:
                break
            member.shed()
            count += 1
        if self.on_shed is not None:
            self.on_shed(count, before - self.total)


def _held_bytes(member: Member) -> int:
    return member.held_bytes
