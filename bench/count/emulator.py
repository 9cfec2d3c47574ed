"""qemu-user: which program emulates an architecture, whether it takes plugins, and the command that runs a program in it.

Knows no service. The CPU models are chosen here, because counts depend on them.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.count import plugin
from bench.errors import BenchError, Unavailable

# What libraries choose their code by. x86_64: everything that QEMU has (AVX2), as servers do, but without `erms`: QEMU counts
# every byte of `rep movsb` as an instruction, so a copy of 20 KB would count 20,000. aarch64 and armv7l: boards that people
# have, the Raspberry Pi 4 and the first one of its kind with four cores, the 2.
MODELS: Final[Mapping[str, str]] = {"x86_64": "max,-erms", "aarch64": "cortex-a72", "armv7l": "cortex-a7"}
_PROGRAMS: Final[Mapping[str, str]] = {"x86_64": "qemu-x86_64", "aarch64": "qemu-aarch64", "armv7l": "qemu-arm"}
_HAS_PLUGINS: Final = b"qemu_plugin_register_vcpu_tb_trans_cb"
_NEW_API: Final = (9, 0)  # the first QEMU whose plugin interface is the second
_ANSWER_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Emulator:
    """One qemu-user with the plugin. `root` is the system whose programs it runs, where that is not this one."""

    arch: str
    program: Path
    version: str
    plugin: Path
    root: Path | None
    fixes_addresses: bool

    @property
    def model(self) -> str:
        """Return the CPU model that it emulates."""
        return MODELS[self.arch]

    def command(self, counters: Path, environment: Mapping[str, str], program: Sequence[str | Path]) -> list[str]:
        """Return what runs a program with this environment and no other, and counts into this file.

        Nothing of the caller's environment passes, and addresses are the same in every start: both move memory, which hash
        tables and copies notice.
        """
        command = ["setarch", "-R"] if self.fixes_addresses else []
        command += ["env", "-i", *(f"{name}={text}" for name, text in environment.items())]
        command += [str(self.program), "-cpu", self.model, "-plugin", f"{self.plugin},counters={counters}"]
        if self.root is not None:
            command += ["-L", str(self.root)]
        return [*command, *map(str, program)]


def emulator(arch: str, root: Path | None) -> Emulator:
    """Find the emulator of an architecture, and see that it can count.

    Raises:
        Unavailable: it, or the compiler that its plugin needs, is not here.
        BenchError: there is no root for another architecture, or nothing is known of this one.
    """
    if arch not in MODELS:
        raise BenchError(f"nothing is known of the architecture {arch}: there are {', '.join(MODELS)}")
    if root is None and arch != platform.machine():
        raise BenchError(f"{arch} needs --root with a system of it: docs/how-to/measure.md says how one is made")
    if root is not None and not (root / "usr").is_dir():
        raise BenchError(f"{root} is not the root of a system: it has no usr")
    found = shutil.which(_PROGRAMS[arch])
    if found is None:
        raise Unavailable(f"{_PROGRAMS[arch]} is missing: apt-get install qemu-user")
    program = Path(found)
    if _HAS_PLUGINS not in program.read_bytes():
        raise Unavailable(
            f"{program} takes no plugins, as a static one does not: Debian 12's qemu-user is dynamic and does"
        )
    version = _version(program)
    return Emulator(
        arch=arch,
        program=program,
        version=version,
        plugin=plugin.built(2 if _numbers(version) >= _NEW_API else 1),
        root=root.absolute() if root is not None else None,
        fixes_addresses=_fixes_addresses(),
    )


def _version(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_ANSWER_S, check=False).stdout
    found = re.search(r"version (\d+\.\d+\S*)", said)
    if found is None:
        raise BenchError(f"{program} does not say its version: {said[:200]!r}")
    return found[1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _fixes_addresses() -> bool:
    """Whether this process may switch the randomisation of addresses off: some containers forbid it."""
    if shutil.which("setarch") is None:
        return False
    return not subprocess.run(["setarch", "-R", "true"], capture_output=True, timeout=_ANSWER_S, check=False).returncode
