"""The tasks that open connections to the remote, and their numbers. Knows no exchange, and not how a connection is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Dials:
    """One task for each dial. A dial has a unique number, which its connection keeps."""

    __slots__ = ("_loop", "_number", "_tasks", "is_closed")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._number = 0  # the number of the last dial
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.is_closed = False

    @property
    def count(self) -> int:
        """Dials without a connection or failure so far."""
        return len(self._tasks)

    def next_number(self) -> int:
        """Return the number of the next dial. It is never 0."""
        self._number += 1
        return self._number

    def begin(self, number: int, dial: Coroutine[object, object, None]) -> None:
        """Begin a dial. It calls `end` as soon as it has a connection or a failure."""
        task: asyncio.Task[None] = self._loop.create_task(dial)
        self._tasks[number] = task
        # A task that is cancelled before its first step calls nothing.
        task.add_done_callback(lambda _: self.end(number))

    def end(self, number: int) -> None:
        """Stop counting a dial. A second call has no effect."""
        self._tasks.pop(number, None)

    def close(self) -> None:
        """Cancel all dials."""
        self.is_closed = True
        for task in tuple(self._tasks.values()):
            task.cancel()
