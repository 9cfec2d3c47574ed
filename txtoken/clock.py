"""The current second, read once. Knows the wall clock and the Date line of responses; sets no timer itself.

Everything that depends on the date (`exp`, the bearer for the remote, `Date`) is the same for all requests of one second. So the
owner of the loop calls `tick` at the start of each second, and readers use an attribute instead of a system call.
"""

from __future__ import annotations

import time
from typing import Final

# email.utils writes the same date, but loading it takes 5 ms of a start, and 0.7 MB.
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


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
            self.date_line = f"Date: {_date(second)}\r\n".encode("ascii")
        return second + 1 - now


def _date(second: int) -> str:
    """Write a time as HTTP does (RFC 9110 §5.6.7), in English whatever the locale."""
    time_utc = time.gmtime(second)
    day = f"{_DAYS[time_utc.tm_wday]}, {time_utc.tm_mday:02} {_MONTHS[time_utc.tm_mon - 1]} {time_utc.tm_year:04}"
    return f"{day} {time_utc.tm_hour:02}:{time_utc.tm_min:02}:{time_utc.tm_sec:02} GMT"
