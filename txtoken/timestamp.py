"""A moment as people write it: a date and time with its zone (RFC 3339). Knows neither a clock nor what a moment is for."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

PATTERN: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_TIMESTAMP: Final = re.compile(PATTERN)


def parsed(text: str) -> datetime:
    """Read a timestamp.

    Raises:
        ValueError: it is none.
    """
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError("is no timestamp")
    return datetime.fromisoformat(text.upper())


def written(moment: float) -> str:
    """Write Unix time, in UTC, with microseconds where there are some."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
