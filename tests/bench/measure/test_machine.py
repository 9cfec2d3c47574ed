"""Which machine it is, and which machines may be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.errors import Incomparable
from bench.measure.machine import check_comparable, cpu_name, is_emulated, this_machine
from tests.bench.samples import MACHINE

X86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7B13\n"
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"


def test_cpu_is_named_as_the_kernel_names_it() -> None:
    """x86 has a name, ARM a part number that stands for one, a board adds its own."""
    assert cpu_name(X86, "") == "AMD EPYC 7B13"
    assert cpu_name(ARM, "Raspberry Pi 5 Model B") == "Cortex-A76 (Raspberry Pi 5 Model B)"
    assert cpu_name("CPU part\t: 0xfff\n", "") == "ARM part 0xfff"
    assert cpu_name("", "") == "unknown"


@pytest.mark.parametrize(
    ("arch", "cpuinfo", "executable", "verdict"),
    [
        ("x86_64", X86, "python3.11", False),
        ("aarch64", ARM, "python3.11", False),
        ("aarch64", ARM, "qemu-aarch64-static", True),
        ("aarch64", X86, "python3.11", True),
        ("x86_64", ARM, "python3.11", True),
        ("riscv64", "", "qemu-riscv64", True),
        ("riscv64", "", "", False),
    ],
)
def test_emulation_shows(arch: str, cpuinfo: str, executable: str, verdict: bool) -> None:
    """A CPU is emulated when qemu runs its programs, or when the kernel's CPU is of another kind."""
    assert is_emulated(arch, cpuinfo, executable) is verdict


def test_this_machine_has_no_gaps() -> None:
    """The record of the machine that runs this is complete, and comparable with itself."""
    machine = this_machine()
    assert machine.arch
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.memory_mib > 64
    real = replace(machine, emulated=False)
    check_comparable(real, real)


@pytest.mark.parametrize("change", [{"cpu": "Other"}, {"cores": 4}, {"memory_mib": 1}, {"arch": "aarch64"}])
def test_other_machines_are_refused(change: dict[str, Any]) -> None:
    """Figures of machines that differ in anything that matters are not compared."""
    with pytest.raises(Incomparable, match="different machines"):
        check_comparable(MACHINE, replace(MACHINE, **change))


def test_an_emulated_cpu_is_refused() -> None:
    """Figures of an emulated CPU are compared with nothing, whatever it calls itself."""
    emulated = replace(MACHINE, emulated=True)
    for one, other in ((MACHINE, emulated), (emulated, MACHINE), (emulated, emulated)):
        with pytest.raises(Incomparable, match="emulated"):
            check_comparable(one, other)


def test_another_kernel_is_told_only() -> None:
    """A kernel's update is what one may want to compare."""
    check_comparable(MACHINE, replace(MACHINE, kernel="6.6.0"))
