"""Counts, conditions and histories as tests need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bench.count.fingerprint import Fingerprint
from bench.count.history import Count, Line

CONDITIONS: Final = Fingerprint(
    arch="x86_64",
    cpu="max,-erms",
    qemu="7.2.22",
    addresses="fixed",
    counting="3 starts",
    python="3.11.7 (main) [GCC 12.2.0]",
    build="compiled",
    compiler="GCC: (Debian) 12.2.0",
    libc="GNU C Library (Debian) 2.36",
    openssl="OpenSSL 3.0.19",
    wheels={"uvloop": "0.23.0", "orjson": "3.13.0"},
)


def a_count(instructions: float = 50_000.0, parameters: str = "a login") -> Count:
    """Make what a request costs."""
    return Count(parameters, instructions, instructions - 100, 0.001, 0.005, {"read": 2.0, "clock_gettime": 8.0})


def a_line(number: int, counts: Mapping[str, float], **conditions: Any) -> Line:
    """Make the line of the revision with this number."""
    return Line(
        revision=f"{number:012x}",
        committed=f"2026-11-{number:02}T12:00:00+00:00",
        fingerprint=replace(CONDITIONS, **conditions),
        counts={case: a_count(instructions, f"a {case}") for case, instructions in counts.items()},
    )
