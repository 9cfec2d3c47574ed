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
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.load import wrk
from bench.load.stub_remote import LOOPBACK, REPLY_BYTES
from bench.measure.processes import Process, free_port
from bench.measure.scenarios import CONNECTIONS

READY_S: Final = 30.0
POLL_S: Final = 0.02
CAPACITY_S: Final = 1


@contextlib.contextmanager
def started_remote(
    folder: Path, cores: frozenset[int] | None, *, delay_ms: float = 0.0, reply_bytes: int = REPLY_BYTES
) -> Iterator[tuple[Process, int]]:
    """Start it and wait until it listens. Gives the process and its port.

    Raises:
        BenchError: it does not start.
    """
    port = free_port()
    folder.mkdir()
    command = [sys.executable, "-m", "bench.load.stub_remote", "--port", str(port)]
    command += ["--delay-ms", str(delay_ms), "--reply-bytes", str(reply_bytes)]
    with Process(command, folder=folder, cores=cores) as process:
        deadline = time.monotonic() + READY_S
        while not _listens(port):
            process.check_alive()
            if time.monotonic() > deadline:
                raise BenchError("the remote does not listen")
            time.sleep(POLL_S)
        yield process, port


def capacity(folder: Path, service_cores: frozenset[int] | None, load_cores: frozenset[int] | None) -> float:
    """Measure how many requests/s it answers on a core of its own, by the CPU time that each costs when it is busy."""
    tokens = folder / "no-tokens"
    tokens.write_text("")
    with started_remote(folder / "remote", service_cores) as (process, port):
        load = wrk.Wrk("remote", port, CONNECTIONS, CAPACITY_S, 1, tokens, folder, load_cores)
        wrk.run(load, _nothing)  # to warm up
        before = process.cpu()
        found = wrk.run(load, _nothing)
        used = process.cpu() - before
    if found.errors or not found.requests:
        raise BenchError("the remote itself fails under load: " + "; ".join(found.marks))
    return found.requests / used.total_s


def logins_of(port: int) -> int:
    """Ask a remote how many logins it has answered."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=READY_S)
    try:
        connection.request("GET", "/stats")
        return int(json.loads(connection.getresponse().read())["requests"])
    finally:
        connection.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _nothing() -> None:
    """Nobody looks at the remote's answers meanwhile: every one is counted by its status."""
