"""The current second, read once. Knows the wall clock and the Date line of responses; sets no timer itself.

Everything that depends on the date (`exp`, the bearer for the remote, `Date`) is the same for all requests of one second. So the
owner of the loop calls `tick` at the start of each second, and readers use an attribute instead of a system call.
"""

from __future__ import annotations

import time
from email.utils import formatdate


class Clock:
    """The current second and values derived from it. One for each process.

    `second` is Unix time in whole seconds; `date_line` is the whole header line `Date: …\\r\\n` (RFC 9110 §6.6.1).
    """

    __slots__ = ("date_line", "second")

    def __init__(self) -> None:
        self.second = -1  # none yet
        self.date_line = b""
        self.tick()

    def tick(self) -> float:
        """Set the current second. Returns how many seconds are left of it: the time to the next tick."""
        now = time.time()
        second = int(now)
        if second != self.second:
            self.second = second
            self.date_line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii")
        return second + 1 - now
