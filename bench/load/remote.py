"""The stub remote as a process, and its capacity: it has to be so fast that it is never the limit. With an open loop, which may
share a core with it, the rate has to leave room for both.

Knows how `bench.load.stub_remote` is started; what it does is its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from bench.errors import BenchError
from bench.load import open_loop_load, wrk
from bench.load.replies import REPLY_BYTES
from bench.load.target import Target
from bench.measure.hosts import ONE, Host
from bench.measure.processes import Process, free_port
from bench.measure.scenarios import CONNECTIONS

READY_S: Final = 30.0
POLL_S: Final = 0.02
CAPACITY_S: Final = 1
# Rates of an open loop that are tried, one after the other.
PROBED_PER_S: Final = tuple(round(8000 * 1.25**step) for step in range(12))
PROBE_WARM_UP_S: Final = 0.2
# Of a core. In a busier one requests queue for the generator or the remote: at 0.85 the p99 was 2 to 8 ms for every service, and
# the generator was 1 to 2 ms late itself.
CARRIED: Final = 0.7


@dataclass(frozen=True, slots=True)
class Remote:
    """A stub that listens."""

    process: Process
    host: str
    port: int
    unix: Path  # it listens there, too

    def url(self, path: str, *, by_unix: bool = False) -> str:
        """Write the address of a path."""
        return (
            f"http+unix://{quote(str(self.unix), safe='')}{path}"
            if by_unix
            else f"http://{self.host}:{self.port}{path}"
        )

    def logins(self) -> int:
        """Ask it how many logins it has answered."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=READY_S)
        try:
            connection.request("GET", "/stats")
            return int(json.loads(connection.getresponse().read())["requests"])
        finally:
            connection.close()


@contextlib.contextmanager
def started_remote(
    folder: Path,
    cores: frozenset[int] | None,
    *,
    host: Host = ONE.remote,
    delay_ms: float = 0.0,
    reply_bytes: int = REPLY_BYTES,
) -> Iterator[Remote]:
    """Start it and wait until it listens.

    Raises:
        BenchError: it does not start.
    """
    port = free_port()
    folder.mkdir()
    unix = folder / "socket"
    command = [
        *host.prefix,
        sys.executable,
        "-m",
        "bench.load.stub_remote",
        "--host",
        host.address,
        "--port",
        str(port),
    ]
    command += ["--unix", str(unix), "--delay-ms", str(delay_ms), "--reply-bytes", str(reply_bytes)]
    with Process(command, folder=folder, cores=cores) as process:
        deadline = time.monotonic() + READY_S
        while not _listens(host.address, port):
            process.check_alive()
            if time.monotonic() > deadline:
                raise BenchError("the remote does not listen")
            time.sleep(POLL_S)
        yield Remote(process, host.address, port, unix)


def capacity(folder: Path, service_cores: frozenset[int] | None, load_cores: frozenset[int] | None) -> float:
    """Measure how many requests/s it answers on a core of its own, by the CPU time that each costs when it is busy."""
    tokens = folder / "no-tokens"
    tokens.write_text("")
    with started_remote(folder / "remote", service_cores) as remote:
        target = Target(remote.host, remote.port, cores=load_cores)
        load = wrk.Wrk("remote", target, CONNECTIONS, CAPACITY_S, 1, tokens, folder)
        wrk.run(load, _nothing)  # to warm up
        before = remote.process.cpu()
        found = wrk.run(load, _nothing)
        used = remote.process.cpu() - before
    if found.errors or not found.requests:
        raise BenchError("the remote itself fails under load: " + "; ".join(found.marks))
    return found.requests / used.total_s


def carried_per_s(folder: Path, load_cores: frozenset[int] | None) -> float:
    """Find the highest rate of an open loop that it and the remote carry on these cores, in requests/s."""
    is_shared = load_cores is not None and len(load_cores) == 1
    carried = PROBED_PER_S[0]
    with started_remote(folder / "probed", load_cores) as remote:
        target = Target(remote.host, remote.port, cores=load_cores)
        for rate in PROBED_PER_S:
            before = remote.process.cpu()
            found = open_loop_load.run(target, rate, CAPACITY_S, PROBE_WARM_UP_S, folder, _nothing)
            used = found.generator_cpu_s, (remote.process.cpu() - before).total_s
            if found.errors:
                raise BenchError("the open loop fails against the remote itself: " + "; ".join(found.marks))
            if (sum(used) if is_shared else max(used)) > CARRIED * found.seconds:
                break
            carried = rate
    return carried


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _nothing() -> None:
    """Nobody looks at the remote's answers meanwhile: every one is counted by its status."""
