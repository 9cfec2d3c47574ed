"""CPU time and memory as /proc reports them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.measure.accounting import (
    TICKS_PER_S,
    Cpu,
    Stat,
    children_of,
    machine_busy_s,
    parse_busy_s,
    parse_memory,
    parse_stat,
    tree_cpu,
    tree_memory_kib,
    tree_of,
)

NOTHING = Cpu(0.0, 0.0)


@pytest.mark.parametrize("command", ["python", "two words", "a) S 1 2", "((", ")"])
def test_stat_is_read_behind_any_command(command: str) -> None:
    """A program's name cannot shift the fields behind it."""
    line = f"42 ({command}) S 7 40 41 0 -1 4194304 100 0 0 0 200 50 30 20 20 0 1 0 12345 0 0"
    stat = parse_stat(line)
    assert (stat.pid, stat.parent, stat.session) == (42, 7, 41)
    assert stat.cpu == Cpu(230 / TICKS_PER_S, 70 / TICKS_PER_S)


def test_a_tree_is_the_root_its_descendants_and_its_session() -> None:
    """Grandchildren count, so do orphans of the root's session; neighbours do not."""
    parents = {1: (0, 1), 10: (1, 10), 11: (10, 10), 12: (11, 12), 13: (1, 10), 20: (1, 20)}
    stats = {pid: Stat(pid, parent, session, NOTHING) for pid, (parent, session) in parents.items()}
    assert [stat.pid for stat in tree_of(10, stats)] == [10, 11, 12, 13]


def test_a_tree_without_its_root_is_who_is_left() -> None:
    """A root that has ended leaves a tree that may be empty."""
    assert tree_of(10, {}) == []


def test_cpu_adds_up_and_differs() -> None:
    """User and system time are kept apart through sums and differences."""
    assert (Cpu(3.0, 2.0) + Cpu(1.0, 1.0)) - Cpu(0.5, 1.5) == Cpu(3.5, 1.5)
    assert Cpu(1.0, 0.5).total_s == 1.5


def test_memory_is_the_resident_set_size() -> None:
    """Of everything that smaps_rollup says, what is resident counts, shared or not: it depends on no other process."""
    assert parse_memory("Rss:   900 kB\nPss:   512 kB\nPss_Anon:  400 kB\n") == 900
    with pytest.raises(ValueError, match="no Rss"):
        parse_memory("Pss: 1 kB\n")


def test_busy_time_leaves_out_waiting() -> None:
    """The machine's busy time is all but idle and waiting for disks."""
    busy = parse_busy_s("cpu  100 10 50 9999 888 5 5 30 7 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    assert busy == 200 / TICKS_PER_S


def test_a_child_that_has_ended_stays_in_the_account() -> None:
    """What a process used before it was waited for is not lost with it."""
    before = tree_cpu(os.getpid()).total_s
    subprocess.run([sys.executable, "-c", "sum(range(2_000_000))"], check=True)
    assert tree_cpu(os.getpid()).total_s > before
    assert machine_busy_s() > 0
    assert tree_memory_kib(os.getpid()) > 1024


def test_children_are_those_of_one_parent() -> None:
    """Every process that a process has started is listed, and no other."""
    sleepers = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
    try:
        assert {sleeper.pid for sleeper in sleepers} <= set(children_of(os.getpid()))
        assert children_of(sleepers[0].pid) == []
    finally:
        for sleeper in sleepers:
            sleeper.communicate(b"\n")
