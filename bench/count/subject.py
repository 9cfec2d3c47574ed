"""The service under the emulator: its configuration, its start, its end.

Knows nothing of what is asked of it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.count.build import Build
from bench.count.cases import KEY, ROUTES, TOKEN_S
from bench.count.client import Client
from bench.count.counters import Counters, Snapshot
from bench.count.emulator import Emulator
from bench.count.remote import LOOPBACK
from bench.errors import BenchError
from bench.measure.processes import Process, free_port

READY_S: Final = 120.0  # emulated, and perhaps without compiled bytecode, on a busy machine
_READY_POLL_S: Final = 0.05
# `-P`: the service comes from the interpreter's environment, not from the folder in which it starts.
PYTHON_OPTIONS: Final = ("-P",)


@dataclass(frozen=True, slots=True)
class Subject:
    """A running service: its process, its port, and its counters."""

    process: Process
    port: int
    counters: Counters

    def at_rest(self) -> Snapshot:
        """Wait until it has nothing to do, and return what it has executed so far.

        Raises:
            BenchError: it ended, or does not rest.
        """
        return self.counters.at_rest(self.process.pid, self.process.check_alive)


def environment(seed: int) -> dict[str, str]:
    """Return the whole environment of a start. The seed decides the order of sets and the collisions in dicts."""
    return {"PYTHONHASHSEED": str(seed), "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}


def _configuration(port: int, remote: str) -> str:
    return (
        f"port: {port}\ndebug: false\nencKey: {KEY}\nremote: {remote}\nexpHours: {TOKEN_S // 3600}\n"
        f"getTokenRoute: {ROUTES.login_path}\ncheckTokenRoute: {ROUTES.check_path}\n"
        "requestTokenData: {service: bench}\n"
    )


@contextlib.contextmanager
def started_service(
    emulator: Emulator, build: Build, seed: int, remote: str, settings: Mapping[str, str]
) -> Iterator[Subject]:
    """Start the service of this build and wait until it listens; end it after the block.

    Raises:
        BenchError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="txtoken-count-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        port = free_port()
        config = folder / "cfg.yml"
        config.write_text(_configuration(port, remote))
        settings = {"listen": LOOPBACK, "log.level": "warning", "log.access": "false", **settings}
        serve: Sequence[str | Path] = [build.python, *PYTHON_OPTIONS, "-m", "txtoken", "serve", "-c", config]
        serve = [*serve, *(part for key, text in settings.items() for part in ("--set", f"{key}={text}"))]
        counters = stack.enter_context(Counters(folder / "counters"))
        command = emulator.command(counters.path, {**environment(seed), **build.environment}, serve)
        process = stack.enter_context(Process(command, folder=folder))
        deadline = time.monotonic() + READY_S
        while not _listens(port):
            process.check_alive()
            if time.monotonic() > deadline:
                raise BenchError(f"the service does not listen after {READY_S:g} s: {process.said()}")
            time.sleep(_READY_POLL_S)
        yield Subject(process, port, counters)


def _listens(port: int) -> bool:
    try:
        with Client(port):
            return True
    except OSError:
        return False
