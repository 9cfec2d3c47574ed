"""Timestamps as people write them: date and time with a zone (RFC 3339). Knows no clock, and no use of a timestamp."""

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
        ValueError: it is not one.
    """
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError("is not a timestamp")
    return datetime.fromisoformat(text.upper())


def written(moment: float) -> str:
    """Write Unix time in UTC, with microseconds if there are any."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
