"""Decides how much free memory the C library keeps, and returns it to the system. Knows nothing of its use."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any, Final

KEPT_BYTES: Final = 1024 * 1024
_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3


def give_back() -> None:
    """Return free memory to the system, if the C library can. Takes about 0.06 ms for each MB."""
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def keep_for_large_tokens() -> None:
    """Keep up to 1 MiB of free memory at the heap's end, and take blocks of this size from the heap, too, if the C library can.

    By default glibc returns 128 KiB at once. A login with a reply of 64 KiB has five blocks of that size, and took the same pages
    from the system again: up to 90 page faults, 5 % of its time. Only the first call does something.
    """
    library = _library()
    set_option = getattr(library, "mallopt", None)
    if set_option is not None:
        set_option(_M_TRIM_THRESHOLD, KEPT_BYTES)
        set_option(_M_MMAP_THRESHOLD, KEPT_BYTES)


@functools.cache
def _trim() -> Callable[[int], object] | None:
    """Return malloc_trim(3), which other C libraries than glibc do not have.

    glibc keeps freed memory below a block that is still in use: 32 MB of 80 after a flood of requests (scripts/withstand,
    "pipeline 300"), and more after each flood.
    """
    trim: Callable[[int], object] | None = getattr(_library(), "malloc_trim", None)
    return trim


def _library() -> Any:
    """Return the C library, or None where nothing here would be in it.

    ctypes is loaded when it is first needed, after a flood or a large token: it takes 4 ms of a start, and 0.3 MB.
    """
    return importlib.import_module("ctypes").CDLL(None) if sys.platform == "linux" else None
