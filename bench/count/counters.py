"""The counters of a program that runs under the plugin, read while it runs.

Knows the file's layout, which is that of `struct counters` in plugin.c.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError

_SYSTEM_CALLS: Final = 1024
_LAYOUT: Final = struct.Struct(f"=QQ{_SYSTEM_CALLS}Q")
_LOOK_S: Final = 0.0001  # between the first two looks, which have to agree
_LOOK_MAX_S: Final = 0.002  # between later ones: where the machine is busy, the program should have its time
_REST_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What had been executed at one moment: instructions, and system calls by number."""

    instructions: int
    system_calls: Counter[int]

    def __sub__(self, earlier: Snapshot) -> Snapshot:
        """Return what was executed since an earlier moment."""
        return Snapshot(self.instructions - earlier.instructions, self.system_calls - earlier.system_calls)


class Counters:
    """The file of the counters. A context manager; what counts may start afterwards, and end before."""

    def __init__(self, path: Path) -> None:
        """Make the file, at zero."""
        self.path = path
        path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _LAYOUT.size, access=mmap.ACCESS_READ)

    def read(self) -> Snapshot:
        """Read the counters as they are."""
        instructions, _, *system_calls = _LAYOUT.unpack(self._map)
        return Snapshot(instructions, Counter({number: times for number, times in enumerate(system_calls) if times}))

    def at_rest(self, pid: int, check_alive: Callable[[], None]) -> Snapshot:
        """Wait until the program waits for something, and read the counters.

        A program that has answered still has some to do. It rests when its first thread sleeps inside a system call, twice in a
        row, and executed no instruction between. A thread that the machine does not let run does not sleep: it is ready.

        Raises:
            BenchError: it never rests; and whatever `check_alive` raises.
        """
        deadline = time.monotonic() + _REST_S
        before = None
        pause_s = _LOOK_S
        while True:
            instructions, is_inside = struct.unpack_from("=QQ", self._map)
            if is_inside and instructions == before and _is_asleep(pid):
                found = self.read()
                if found.instructions == before:
                    return found
            before = instructions if is_inside else None
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, _LOOK_MAX_S)
            if pause_s == _LOOK_MAX_S:
                check_alive()
                if time.monotonic() > deadline:
                    raise BenchError(f"the program does not come to rest within {_REST_S:g} s")

    def __enter__(self) -> Counters:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()


def _is_asleep(pid: int) -> bool:
    """Whether the first thread of a process waits for an event."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2].startswith(b"S")
