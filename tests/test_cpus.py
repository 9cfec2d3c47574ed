"""The number of CPUs that a process may use, in trees of files as the kernel shows them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from txtoken.config import cpus
from txtoken.config.cpus import cpu_quota, usable_cpus

V2_MOUNT: Final = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT: Final = "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
OTHERS: Final = (
    "23 1 0:21 / /proc rw - proc proc rw\nmalformed\n31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def machine(root: Path, cgroup: str, mounts: str, files: dict[str, str]) -> Path:
    """Write the files of /proc and /sys."""
    for name, text in {"proc/self/cgroup": cgroup, "proc/self/mountinfo": OTHERS + mounts, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "mounts", "files", "quota"),
    [
        # Version 2: a container of its own namespace, a service, a limit above it, the strictest of several
        ("0::/\n", V2_MOUNT, {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", V2_MOUNT, {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", V2_MOUNT, {}, None),
        ("0::/a/b\n", V2_MOUNT, {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", V2_MOUNT, {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", V2_MOUNT, {"a/b/cpu.max": "300000 100000", "a/cpu.max": "1000 1000", "cpu.max": "2 1"}, 1.0),
        ("0::/a\n", V2_MOUNT, {"other/cpu.max": "1 1\n"}, None),
        ("0::/../x\n", V2_MOUNT, {"cpu.max": "3 1\n"}, 3.0),
        ("0::/a\n", V2_MOUNT.replace("/sys/fs/cgroup", "/sys/c\\040g"), {"../c g/a/cpu.max": "5 1\n"}, 5.0),
        # Not what the kernel writes
        ("0::/\n", V2_MOUNT, {"cpu.max": ""}, None),
        ("0::/\n", V2_MOUNT, {"cpu.max": "-1 100000"}, None),
        ("0::/\n", V2_MOUNT, {"cpu.max": "100000 0"}, None),
        ("0::/\n", V2_MOUNT, {"cpu.max": "one two"}, None),
        ("", "", {}, None),
        # Version 1: the same, and a container that sees its place in the machine's tree
        ("4:cpu,cpuacct:/a\n3:memory:/a\n", V1_MOUNT,
         {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 2.5),
        ("4:cpu,cpuacct:/a\n", V1_MOUNT,
         {"cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, None),
        ("4:cpu,cpuacct:/a/b\n", V1_MOUNT,
         {"cpu,cpuacct/a/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 1.0),
        ("4:cpu,cpuacct:/docker/7\n", V1_MOUNT.replace(" / ", " /docker/7 "),
         {"cpu,cpuacct/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 4.0),
        ("4:cpu,cpuacct:/elsewhere\n", V1_MOUNT.replace(" / ", " /docker/7 "),
         {"cpu,cpuacct/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 4.0),
        # Both at once: version 2 without the controller
        ("4:cpu:/a\n0::/a\n", V1_MOUNT + V2_MOUNT.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
         {"cpu,cpuacct/a/cpu.cfs_quota_us": "7\n", "cpu,cpuacct/a/cpu.cfs_period_us": "1\n"}, 7.0),
    ],
)  # fmt: skip # a machine a row
def test_quota(tmp_path: Path, cgroup: str, mounts: str, files: dict[str, str], quota: float | None) -> None:
    """The lowest quota of the process's own cgroup and of all its ancestors counts, in both versions of cgroups."""
    root = machine(
        tmp_path, cgroup, mounts, {f"sys/fs/cgroup/{name}": text for name, text in files.items() if ".." not in name}
    )
    for name, text in files.items():
        if ".." in name:
            (root / "sys/c g/a").mkdir(parents=True)
            (root / "sys/c g/a/cpu.max").write_text(text)
    assert cpu_quota(root) == quota


def test_nothing_outside_of_the_mount_is_read(tmp_path: Path) -> None:
    """A cgroup outside of the mount, as a container sees its own, counts as the mounted one. No other file is read."""
    files = {"sys/fs/cgroup/cpu.max": "3 1", "sys/fs/cpu.max": "1 1", "sys/fs/x/cpu.max": "1 1"}
    assert cpu_quota(machine(tmp_path, "0::/../x\n", V2_MOUNT, files)) == 3.0


@pytest.mark.parametrize(
    ("affinity", "quota", "usable"),
    [(8, "max", 8), (8, "200000", 2), (8, "150000", 2), (8, "10000", 1), (2, "800000", 2), (1, "max", 1)],
)
def test_the_smaller_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, affinity: int, quota: str, usable: int
) -> None:
    """A quota is rounded up, to 1 at least, and is never more than the CPUs that the process may run on."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)))
    machine(tmp_path, "0::/\n", V2_MOUNT, {"sys/fs/cgroup/cpu.max": f"{quota} 100000\n"})
    assert usable_cpus(tmp_path) == usable


@pytest.mark.parametrize(("count", "usable"), [(4, 4), (None, 1)])
def test_where_there_is_no_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int | None, usable: int
) -> None:
    """On systems without affinity all CPUs count, and one if their number is unknown."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert usable_cpus(tmp_path) == usable


def test_this_machine() -> None:
    """On this machine there is at least one, and no more than it has."""
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)
    assert cpus.cpu_quota() is None or cpus.cpu_quota() > 0  # type: ignore[operator]  # it is the same both times
