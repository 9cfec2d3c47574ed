"""The number of CPUs that this process may use, by its affinity and its cgroups' quotas. Changes neither.

A container with a limit of two CPUs sees all CPUs of the machine. Eight workers in it would take turns and be throttled.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_TEXT_BYTES_MAX: Final = 1024 * 1024  # enough for mountinfo on a machine with thousands of containers
_V2: Final = ("cpu.max",)
_V1: Final = ("cpu.cfs_quota_us", "cpu.cfs_period_us")


def usable_cpus(root: Path = Path("/")) -> int:
    """Return how many processes can run at a time, at least 1. A part of a CPU counts as one. `root` contains /proc and /sys."""
    # macOS has no affinity.
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the lowest CPU quota of this process's cgroups and all their ancestors, in CPUs. None: there is no quota."""
    quotas = [quota for folder, names in _folders(root) if (quota := _quota(folder, names)) is not None]
    return min(quotas, default=None)


def _folders(root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the cgroups of this process, and their ancestors as far as they are visible, with the names of quota files
    (cgroups(7)).
    """
    mounts = list(_mounts(root))
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        is_v2 = not controllers
        if not is_v2 and "cpu" not in controllers.split(","):
            continue
        for mount, top, kinds in mounts:
            if ("cgroup2" in kinds) if is_v2 else ("cpu" in kinds):
                names = _V2 if is_v2 else _V1
                yield from ((folder, names) for folder in _upwards(mount, top, path))


def _mounts(root: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """Yield the mount points of cgroups, with the path of the mounted cgroup and its controllers (proc_pid_mountinfo(5)).

    `cgroup2` stands for all controllers of version 2.
    """
    for line in _read(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kinds) < 3 or kinds[0] not in ("cgroup", "cgroup2"):
            continue
        options = ["cgroup2"] if kinds[0] == "cgroup2" else kinds[2].split(",")
        yield root / _unescaped(fields[4]).lstrip("/"), _unescaped(fields[3]), options


def _upwards(mount: Path, top: str, path: str) -> Iterator[Path]:
    """Walk from a cgroup up to the mounted one. A cgroup outside of the mount, as a container may see its own, counts as the
    mounted one.
    """
    pure = PurePosixPath(path)
    if ".." in pure.parts or not pure.is_relative_to(top):
        yield mount
        return
    inner = pure.relative_to(top)
    for part in (inner, *inner.parents):
        yield mount / part


def _quota(folder: Path, names: tuple[str, ...]) -> float | None:
    """Return the quota of one cgroup, in CPUs. `max 100000` and -1 mean that it has none."""
    words = [word for name in names for word in _read(folder / name).split()]
    if len(words) != 2 or not all(word.isascii() and word.isdigit() and len(word) < 16 for word in words):
        return None
    quota_us, period_us = map(int, words)
    return quota_us / period_us if quota_us and period_us else None


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _read(path: Path) -> str:
    """Read a file of the kernel. One that cannot be read counts as empty."""
    try:
        with path.open("rb") as file:
            return file.read(_TEXT_BYTES_MAX).decode(errors="replace")
    except (OSError, ValueError):
        return ""
