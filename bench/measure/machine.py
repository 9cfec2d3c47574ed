"""Which machine this is, as far as its figures depend on it, and whether its CPU is a real one.

Knows no host names and no paths: a record may be published.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import Incomparable

_MIB: Final = 1024 * 1024
# What /proc/cpuinfo of another architecture says. qemu-user shows some programs the host's file as it is.
_FOREIGN_CPUINFO: Final = {
    "x86_64": re.compile(r"^CPU implementer", re.MULTILINE),
    "aarch64": re.compile(r"^vendor_id", re.MULTILINE),
}
# The most usual parts of ARM boards and servers: /proc/cpuinfo names them by number alone.
_ARM_PARTS: Final = {
    "0xd03": "Cortex-A53",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What has to be equal before two figures are compared, and the kernel, which is only recorded."""

    arch: str
    cpu: str
    cores: int  # that this process may use
    memory_mib: int
    emulated: bool
    kernel: str


def this_machine() -> Machine:
    """Describe the machine that this runs on."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    arch = platform.machine()
    model = Path("/proc/device-tree/model")
    return Machine(
        arch=arch,
        cpu=cpu_name(cpuinfo, model.read_text().rstrip("\0") if model.exists() else ""),
        cores=len(os.sched_getaffinity(0)),
        memory_mib=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MIB,
        emulated=is_emulated(arch, cpuinfo, _interpreter_of_a_child()),
        kernel=platform.release(),
    )


def cpu_name(cpuinfo: str, board: str) -> str:
    """Name the CPU from /proc/cpuinfo, and the board that it sits on where the kernel knows one."""
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    part = re.search(r"^CPU part\s*:\s*(\w+)", cpuinfo, re.MULTILINE)
    if name is not None:
        cpu = name[1].strip()
    elif part is not None:
        cpu = _ARM_PARTS.get(part[1], f"ARM part {part[1]}")
    else:
        cpu = "unknown"
    return f"{cpu} ({board})" if board else cpu


def is_emulated(arch: str, cpuinfo: str, child_executable: str) -> bool:
    """Whether instructions are translated (qemu-user): another program runs a child, or the CPU is of another kind."""
    foreign = _FOREIGN_CPUINFO.get(arch)
    return Path(child_executable).name.startswith("qemu-") or (
        foreign is not None and foreign.search(cpuinfo) is not None
    )


def check_comparable(one: Machine, other: Machine) -> None:
    """Let only figures of the same machine pass.

    Raises:
        Incomparable: they are of different machines, or one CPU is emulated.
    """
    if one.emulated or other.emulated:
        raise Incomparable("a CPU was emulated: how fast it is says nothing, so its figures are not compared")
    differing = [
        f"{name}: {mine} and {theirs}"
        for name, mine, theirs in (
            ("architecture", one.arch, other.arch),
            ("CPU", one.cpu, other.cpu),
            ("cores", one.cores, other.cores),
            ("memory (MiB)", one.memory_mib, other.memory_mib),
        )
        if mine != theirs
    ]
    if differing:
        raise Incomparable("they ran on different machines (" + "; ".join(differing) + ")")


def _interpreter_of_a_child() -> str:
    """Say what executes a child of this process. qemu-user hides itself from a process that asks about itself alone."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        return os.readlink(f"/proc/{child.pid}/exe")
    except OSError:
        return ""
    finally:
        child.communicate(b"\n")
