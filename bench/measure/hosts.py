"""Where clients, service and remote are: all on this machine's loopback, or each on a host of its own.

Hosts of their own are network namespaces that a bridge joins (ip-netns(8), veth(4)): what goes from one to the other passes the
kernel's device layer, and no reader is woken before its packets arrived. Knows no services and no figures.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import Unavailable
from bench.load.stub_remote import LOOPBACK

PREFIX: Final = "txbench"  # of all names that are made here: txbench<pid of the bench><letter>
BLOCK: Final = (198, 18)  # for benchmarks of networks, with 198.19 (RFC 2544): nobody routes it
NETWORKS: Final = 512  # of 256 addresses in it: two benches at the same time have different ones
BENCH_NUMBER: Final = 254  # of the bench itself, which asks for readiness and judges answers
RUN_NETNS: Final = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class Host:
    """One of them: its address, and what a command begins with that is to run there. Both keep its process id."""

    address: str
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hosts:
    """Who is where."""

    name: str  # in results
    clients: Host
    service: Host
    remote: Host


ONE: Final = Hosts("one", *(Host(LOOPBACK),) * 3)


@contextlib.contextmanager
def three_hosts() -> Iterator[Hosts]:
    """Make three hosts, and remove them in the end. What an earlier bench left that was killed is removed, too.

    Raises:
        Unavailable: this machine does not let us, or has no ip(8).
    """
    if shutil.which("ip") is None:
        raise Unavailable("two hosts need ip: apt-get install iproute2")
    _remove_left_over()
    own = f"{PREFIX}{os.getpid()}"
    network = network_of(os.getpid())
    made = {letter: Host(f"{network}.{number}", ("ip", "netns", "exec", own + letter)) for letter, number in _PARTS}
    try:
        _ip("link", "add", _bridge(own), "type", "bridge")
        _ip("address", "add", f"{network}.{BENCH_NUMBER}/24", "dev", _bridge(own))
        _ip("link", "set", _bridge(own), "up")
        for letter, host in made.items():
            _join(own, letter, host.address)
        yield Hosts("three", made["c"], made["s"], made["r"])
    finally:
        _remove(own)


_PARTS: Final = (("c", 1), ("s", 2), ("r", 3))


def network_of(pid: int) -> str:
    """Return the first three numbers of the addresses of a bench's hosts."""
    first, second = BLOCK
    return f"{first}.{second + pid % NETWORKS // 256}.{pid % 256}"


def _bridge(own: str) -> str:
    return f"tb{own.removeprefix(PREFIX)}"


def _join(own: str, letter: str, address: str) -> None:
    namespace, outer, inner = own + letter, f"{_bridge(own)}{letter}", "eth0"
    _ip("netns", "add", namespace)
    _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", namespace)
    _ip("link", "set", outer, "master", _bridge(own), "up")
    for command in (("address", "add", f"{address}/24", "dev", inner), ("link", "set", inner, "up")):
        _ip("-n", namespace, *command)
    _ip("-n", namespace, "link", "set", "lo", "up")


def _remove(own: str) -> None:
    for letter, _ in _PARTS:
        # With its namespace it would go, too, but some time later.
        _ip("link", "delete", _bridge(own) + letter, fails=False)
        if (RUN_NETNS / (own + letter)).exists():
            _ip("netns", "delete", own + letter, fails=False)
    _ip("link", "delete", _bridge(own), fails=False)


def _remove_left_over() -> None:
    """Remove those of a bench whose process is no more."""
    names = {path.name for path in RUN_NETNS.glob(f"{PREFIX}*")} if RUN_NETNS.is_dir() else set()
    for number in {found[1] for name in names if (found := re.fullmatch(rf"{PREFIX}(\d+)[a-z]", name))}:
        if not Path(f"/proc/{number}").exists():
            _remove(f"{PREFIX}{number}")


def _ip(*arguments: str, fails: bool = True) -> None:
    made = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if made.returncode and fails:
        why = made.stderr.strip().splitlines()
        raise Unavailable(
            f"two hosts cannot be made here: `ip {' '.join(arguments)}`: {why[-1] if why else made.returncode}. "
            "It takes root, and a kernel with network namespaces, veth and bridges."
        )
