"""Decides how much free memory the C library keeps, and returns it to the system. Knows nothing of its use."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Final

KEPT_BYTES: Final = 1024 * 1024


def give_back() -> None:
    """Return free memory to the system, if the C library can. Takes about 0.06 ms for each MB."""
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache  # once: the next block of this size would be taken from the heap, and overwritten with zeros
def keep_for_large_tokens() -> None:
    """Have glibc take blocks of up to 1 MiB from the heap, and keep up to 2 MiB of free memory at its end.

    By default it returns 128 KiB at once. A login with a reply of 64 KiB has five blocks of that size, and took the same pages
    from the system again: up to 90 page faults, 5 % of its time. A block that is freed raises both thresholds (mallopt(3)), and
    larger ones raise them further. mallopt itself would fix them: a reply that is parsed twice took 1 500 page faults then.
    """
    bytes(KEPT_BYTES)  # its pages are never touched


@functools.cache
def _trim() -> Callable[[int], object] | None:
    """Return malloc_trim(3), which other C libraries than glibc do not have.

    glibc keeps freed memory below a block that is still in use: 32 MB of 80 after a flood of requests (scripts/withstand,
    "pipeline 300"), and more after each flood. ctypes is loaded after the first flood: it takes 4 ms of a start, and 0.3 MB.
    """
    if sys.platform != "linux":
        return None
    trim: Callable[[int], object] | None = getattr(importlib.import_module("ctypes").CDLL(None), "malloc_trim", None)
    return trim
