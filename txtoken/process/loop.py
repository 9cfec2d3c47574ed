"""The event loop: uvloop, or asyncio's own where there is none. Knows nothing that runs on it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

try:
    import uvloop
except ImportError:  # no wheel for this machine: 32-bit ARM, say
    LOOP_NAME = "asyncio"
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    LOOP_NAME = "uvloop"

    class Loop(uvloop.Loop):
        """Takes an address for what it is.

        Whenever a socket connects, uvloop asks the system's resolver about its address, in a thread of its pool, because it
        does not say that the socket is one for streams: 50 µs of the 210 that a new connection to the remote takes.
        """

        async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> Any:
            """Look a name up, or know an address."""
            hints["type"] = hints.get("type") or socket.SOCK_STREAM
            return await super().getaddrinfo(host, port, **hints)

    new_event_loop = Loop


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine to its end on the fastest loop there is."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
