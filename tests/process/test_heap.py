"""Free memory goes back to the system, although a block above it is still in use."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from txtoken.process import heap

BLOCKS = 400
BLOCK_BYTES = 64 * 1024  # below what malloc takes from the system one by one, at first


def resident_bytes() -> int:
    """Return how much of this process is in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(heap._trim() is None, reason="this C library has no malloc_trim")
def test_holes_are_given_back() -> None:
    """Memory that was freed between two blocks in use is returned to the system."""
    blocks = [bytes(bytearray(b"x") * BLOCK_BYTES) for _ in range(BLOCKS)]
    held = resident_bytes()
    kept = blocks[::8]
    del blocks
    heap.give_back()
    assert held - resident_bytes() > BLOCKS * BLOCK_BYTES // 2
    assert all(len(block) == BLOCK_BYTES for block in kept)


@pytest.mark.skipif(heap._trim() is None, reason="this C library is not glibc")
@pytest.mark.parametrize("size", [100_000, 300_000])
def test_large_blocks_are_kept(size: int) -> None:
    """What a large token needs is not returned to the system after each one. A process of its own shows it."""
    code = (
        "import resource\n"
        "from txtoken.process import heap\n"
        "heap.keep_for_large_tokens()\n"
        f"def work(): blocks = [b'x' * {size} for _ in range(3)]\n"
        "work()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(100): work()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    faults = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(faults) < 200  # by default 3 000 and 11 000


@pytest.mark.skipif(heap._trim() is None, reason="this C library is not glibc")
def test_larger_blocks_are_kept_once_they_were_used() -> None:
    """The thresholds stay free to rise: a block of 4 MiB is mapped once, and not each time."""
    code = (
        "import resource\n"
        "from txtoken.process import heap\n"
        "heap.keep_for_large_tokens()\n"
        "def work(): return b'x' * 4_000_000\n"
        "for _ in range(2): work()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20): work()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    faults = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(faults) < 200  # with fixed thresholds 20 000


def test_other_systems_have_nothing_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the C library cannot return memory, nothing happens."""
    monkeypatch.setattr(heap, "_trim", heap._trim.__wrapped__)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    heap.give_back()
    monkeypatch.setattr(ctypes, "CDLL", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    heap.give_back()
