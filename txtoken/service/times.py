"""Times as people write them. Knows no clock: callers say what time it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """Write a time as people say it: `32 s`, `3 h 12 min`, `2 d 4 h`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def date_time(moment: float) -> str:
    """Write Unix time as RFC 3339 does, in UTC and whole seconds. It has to be before the year 10 000."""
    return datetime.fromtimestamp(int(moment), UTC).isoformat().replace("+00:00", "Z")
