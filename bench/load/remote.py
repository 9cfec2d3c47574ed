"""The stub remote as a process, and its capacity: it has to be so fast that it is never the limit.

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
from bench.load import wrk
from bench.load.replies import REPLY_BYTES
from bench.load.target import Target
from bench.measure.hosts import ONE, Host
from bench.measure.processes import Process, free_port
from bench.measure.scenarios import CONNECTIONS

READY_S: Final = 30.0
POLL_S: Final = 0.02
CAPACITY_S: Final = 1


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


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _nothing() -> None:
    """Nobody looks at the remote's answers meanwhile: every one is counted by its status."""
