"""The event loop: uvloop, or asyncio's own if uvloop is not installed. Knows nothing that runs on it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

try:
    import uvloop
except ImportError:  # no wheel for this machine, for example 32-bit ARM
    LOOP_NAME = "asyncio"
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    LOOP_NAME = "uvloop"

    class Loop(uvloop.Loop):
        """Connects sockets to IP addresses without a name look-up.

        uvloop passes no socket type to its own `getaddrinfo`, which then does not recognise an IP address and calls the system's
        resolver in a thread: 50 µs of the 210 that a new connection to the remote takes.
        """

        async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> Any:
            """Resolve a name. An IP address is returned unchanged."""
            hints["type"] = hints.get("type") or socket.SOCK_STREAM
            return await super().getaddrinfo(host, port, **hints)

    new_event_loop = Loop


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on this loop until it is done."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
