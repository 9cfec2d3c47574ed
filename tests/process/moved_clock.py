"""Services whose wall clock a test moves, and connections to each of their workers. Knows no tokens."""

from __future__ import annotations

import contextlib
import http.client
import json
import mmap
import os
import struct
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from tests.process.test_supervisor import workers_of
from tests.running import PATIENCE_S, ServiceProcess, run_first

# Runs first in a service. Only the wall clock is moved: deadlines go by another one.
CODE: Final = """
import mmap, struct, time
with open({path!r}, "rb") as file:
    moved = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
time.time = lambda: struct.unpack("d", moved)[0]
"""


class MovedClock:
    """The wall clock of a service and all its processes. It stands until it is set."""

    def __init__(self, folder: Path, now: float) -> None:
        path = folder / "clock"
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._time = mmap.mmap(file.fileno(), 8)
        self.environment: Final = run_first(folder, CODE.format(path=str(path)))
        self.set(now)

    def set(self, now: float) -> None:
        """Let it be this time (Unix time) from now on. A worker takes notice with its next beat."""
        self._time[:] = struct.pack("d", now)


class Line:
    """A kept connection to one worker."""

    def __init__(self, port: int, worker: int) -> None:
        strangers = []
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            self.ask("GET", "/livez")  # when that is answered it has been accepted
            if holds(worker, self._client.sock.getsockname()[1], port):
                break
            strangers.append(self._client)
            assert time.monotonic() < deadline, "the worker gets no connection"
        for client in strangers:
            client.close()

    def ask(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request. Returns status, header fields and body."""
        self._client.request(method, path, body, headers or {})
        response = self._client.getresponse()
        return response.status, dict(response.getheaders()), response.read()

    def wait_for(self, second: int) -> None:
        """Wait until it is this second for the worker."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            _, fields, _ = self.ask("GET", "/livez")
            if parsedate_to_datetime(fields["Date"]).timestamp() == second:
                return
            assert time.monotonic() < deadline, fields

    def log_in(self) -> str:
        """Return a token."""
        status, _, body = self.ask("POST", "/getToken", "{}")
        assert status == 200, body
        return str(json.loads(body)["token"])

    def check(self, token: str) -> tuple[int, str]:
        """Have a token checked. Returns the status, and what is wrong with it."""
        status, _, body = self.ask("GET", "/checkToken", headers={"Authorization": f"Bearer {token}"})
        answer: dict[str, Any] = json.loads(body)
        return status, answer.get("error", "")

    def close(self) -> None:
        """Close it."""
        self._client.close()


def lines_to(service: ServiceProcess, workers: int) -> list[Line]:
    """Connect to each worker of a service with so many."""
    port = service.port
    return [Line(port, worker) for worker in (workers_of(service) if workers > 1 else [service.process.pid])]


def holds(pid: int, client_port: int, port: int) -> bool:
    """Whether the server's end of a connection is open in this process (proc_pid_fd(5))."""
    ends = f"0100007F:{port:04X} 0100007F:{client_port:04X}"
    inodes: set[str] = set()
    while not inodes:  # the table may change while it is read, and then lack a line
        inodes = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if ends in line}
    held = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            held.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return not held.isdisjoint(f"socket:[{inode}]" for inode in inodes)
