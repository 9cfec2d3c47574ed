"""Threads for work that takes milliseconds, so that the loop keeps running: signatures by long RSA keys. Knows no key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

THREADS_MAX: Final = 2  # more would take CPU time from the loop


class Threads:
    """A few threads, started when there is work. The exit does not wait for them."""

    __slots__ = ("_loop", "_pool")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="txtoken-sign")

    def run(self, work: Callable[[], bytes], on_end: Callable[[bytes | Exception], None]) -> None:
        """Run a function in a thread. `on_end` is called in the loop, with its result or exception."""

        def note(done: Future[bytes]) -> None:
            error = done.exception()
            assert error is None or isinstance(error, Exception)
            self._loop.call_soon_threadsafe(on_end, done.result() if error is None else error)

        self._pool.submit(work).add_done_callback(note)
