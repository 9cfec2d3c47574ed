"""CPU time and memory of a tree of processes, read from /proc.

Knows nothing of services: it is given the tree's root by its process id.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time in seconds."""

    user_s: float
    system_s: float

    @property
    def total_s(self) -> float:
        """User and system together."""
        return self.user_s + self.system_s

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.user_s - earlier.user_s, self.system_s - earlier.system_s)

    def __add__(self, other: Cpu) -> Cpu:
        return Cpu(self.user_s + other.user_s, self.system_s + other.system_s)


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/PID/stat that are used here (proc_pid_stat(5))."""

    pid: int
    parent: int
    session: int
    cpu: Cpu  # with that of children that have ended and were waited for
    own_s: float = 0.0  # without it, user and system together


def parse_stat(line: str) -> Stat:
    """Read one line of /proc/PID/stat. The command in it may hold blanks and brackets, so fields count from its end."""
    pid, _, rest = line.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    user, system, children_user, children_system = (int(field) / TICKS_PER_S for field in fields[11:15])
    cpu = Cpu(user + children_user, system + children_system)
    return Stat(int(pid), int(fields[1]), int(fields[3]), cpu, user + system)


def parse_memory(rollup: str) -> int:
    """Read the resident set size from /proc/PID/smaps_rollup, in KiB. Pages that processes share count for each of them.

    A proportional size would depend on what else is up: services of one run share Python's own pages.
    """
    for line in rollup.splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise ValueError("no Rss")


def parse_busy_s(stat: str) -> float:
    """Read how long the machine's CPUs have been busy from /proc/stat (proc_stat(5)), for all processes."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in stat.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def tree_of(root: int, stats: dict[int, Stat]) -> list[Stat]:
    """Choose the root, its descendants, and the other processes of the session that the root leads."""
    members = {pid for pid, stat in stats.items() if pid == root or stat.session == root}
    while True:
        born = {pid for pid, stat in stats.items() if stat.parent in members} - members
        if not born:
            return [stats[pid] for pid in sorted(members)]
        members |= born


def children_of(parent: int) -> list[int]:
    """Return the children of a running process, the oldest first."""
    return sorted(stat.pid for stat in _stats().values() if stat.parent == parent)


def tree_cpu(root: int) -> Cpu:
    """Add up the CPU time of a running tree since its start.

    The total is exact to microseconds; how it is divided into user and system time is the kernel's estimate.
    """
    return sum((_exactly(stat) for stat in tree_of(root, _stats())), Cpu(0.0, 0.0))


def tree_memory_kib(root: int) -> int:
    """Add up the resident memory of a running tree."""
    total = 0
    for stat in tree_of(root, _stats()):
        try:
            total += parse_memory((PROC / str(stat.pid) / "smaps_rollup").read_text())
        except (OSError, ValueError):
            continue  # it has just ended
    return total


def machine_busy_s() -> float:
    """Say how long the machine's CPUs have been busy since it was started, all together."""
    return parse_busy_s((PROC / "stat").read_text())


def _exactly(stat: Stat) -> Cpu:
    """Replace the ticks of a running process, of 10 ms each, by its clock: a slice of a second would be 1 % off."""
    try:
        missing = time.clock_gettime(process_clock(stat.pid)) - stat.own_s
    except OSError:
        return stat.cpu  # it has just ended
    share = stat.cpu.user_s / stat.cpu.total_s if stat.cpu.total_s else 1.0
    return stat.cpu + Cpu(missing * share, missing * (1 - share))


def process_clock(pid: int) -> int:
    """Return the clock of another process's CPU time, all of its threads: what clock_getcpuclockid(3) computes on Linux."""
    return (~pid << 3) | 2


def _stats() -> dict[int, Stat]:
    stats = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = parse_stat((entry / "stat").read_text())
            except OSError:
                continue  # it has just ended
            stats[stat.pid] = stat
    return stats
