"""Free memory goes back to the system, although a block above it is still in use."""

from __future__ import annotations

import ctypes
import os
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


def test_other_systems_have_nothing_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the C library cannot return memory, nothing happens."""
    monkeypatch.setattr(heap, "_trim", heap._trim.__wrapped__)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    heap.give_back()
    monkeypatch.setattr(ctypes, "CDLL", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    heap.give_back()
