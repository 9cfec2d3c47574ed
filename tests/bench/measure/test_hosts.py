"""Hosts of their own, as network namespaces."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import Unavailable
from bench.measure import hosts
from bench.measure.hosts import PREFIX, RUN_NETNS, Host, network_of, three_hosts

LISTEN = (
    "import socket, sys; s = socket.create_server((sys.argv[1], 0)); print(s.getsockname()[1], flush=True); s.accept()"
)
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()"


def can_be_made() -> bool:
    """Whether this machine lets us."""
    try:
        with three_hosts():
            return True
    except Unavailable:
        return False


needs_hosts = pytest.mark.skipif(not can_be_made(), reason="no network namespaces, or no rights to make them")


def names(pid: int | None = None) -> set[str]:
    """List the namespaces that a bench made, this one by default."""
    return {path.name for path in RUN_NETNS.glob(f"{PREFIX}{pid or os.getpid()}?")}


def reaches(one: Host, other: Host) -> None:
    """Connect from one host to another."""
    with subprocess.Popen(
        [*other.prefix, sys.executable, "-c", LISTEN, other.address], stdout=subprocess.PIPE, text=True
    ) as listening:
        assert listening.stdout is not None
        port = listening.stdout.readline().strip()
        subprocess.run([*one.prefix, sys.executable, "-c", CONNECT, other.address, port], check=True)
        assert listening.wait(5) == 0


@needs_hosts
def test_each_reaches_the_next() -> None:
    """Clients reach the service, it reaches the remote, and the bench reaches both. In the end nothing is left."""
    with three_hosts() as made:
        addresses = {made.clients.address, made.service.address, made.remote.address}
        assert len(addresses) == 3
        for one, other in (
            (made.clients, made.service),
            (made.service, made.remote),
            (Host(""), made.service),
            (Host(""), made.remote),
        ):
            reaches(one, other)
        assert len(names()) == 3
    assert not names()
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert f" tb{os.getpid()}" not in links


@needs_hosts
def test_a_command_keeps_its_process_id() -> None:
    """CPU time is counted by process id, so no process may stand between."""
    with three_hosts() as made, subprocess.Popen([*made.service.prefix, "cat"], stdin=subprocess.PIPE) as process:
        comm = Path(f"/proc/{process.pid}/comm")
        while comm.read_text().strip() != "cat":
            assert process.poll() is None
        process.communicate()


@needs_hosts
def test_what_a_killed_bench_left_is_removed() -> None:
    """The hosts of a process that is no more are removed, and those of a running one are not."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (ended.pid, 1):
        subprocess.run(["ip", "netns", "add", f"{PREFIX}{pid}s"], check=True)
    try:
        with three_hosts():
            assert not names(ended.pid)
            assert names(1)
    finally:
        subprocess.run(["ip", "netns", "delete", f"{PREFIX}1s"], check=True)


@needs_hosts
def test_half_of_them_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a host cannot be joined, those that were made are removed, and the error says which command failed."""
    monkeypatch.setattr(hosts, "BLOCK", (300, 1))
    with pytest.raises(Unavailable, match=r"two hosts cannot be made here: `ip address add 300\."), three_hosts():
        pass
    assert not names()


def test_two_benches_have_different_networks() -> None:
    """Neighbours in time do not share addresses, and all are in the block."""
    found = {network_of(pid) for pid in range(70_000, 70_512)}
    assert len(found) == 512
    assert all(ipaddress.ip_address(f"{one}.1") in ipaddress.ip_network("198.18.0.0/15") for one in found)


def test_without_ip(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match="apt-get install iproute2"), three_hosts():
        pass
