"""Running things in tests: coroutines on the service's own loop, and the service as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from txtoken.process.loop import new_event_loop

KEY: Final = "a-key-for-tests-only-0123456789-abcdefgh"
PROGRAM: Final = (sys.executable, "-P", "-m", "txtoken")  # the service as a command, of the build that is tested
PATIENCE_S: Final = 20.0  # generous: two cores run many tests at once

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, loop: str = "service", patience_s: float = PATIENCE_S) -> T:
    """Run a coroutine on the loop that the service uses, or with `loop="asyncio"` on asyncio's own, for so long at most."""
    factory = new_event_loop if loop == "service" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(asyncio.wait_for(main, patience_s))


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what configures the service."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("TXTOKEN_", "CFG_FILE"))}


def run_command(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None, **streams: Any
) -> subprocess.CompletedProcess[Any]:
    """Run a command of txtoken until it ends. Of this process's environment it gets nothing that configures the service."""
    environ = clean_environment() | dict(environment or {})
    return subprocess.run([*PROGRAM, *arguments], cwd=folder, env=environ, timeout=PATIENCE_S, check=False, **streams)


def found_first(folder: Path) -> dict[str, str]:
    """Have modules looked for in `folder` before everywhere else, and then where this process looks: what is tested may be a
    copy.
    """
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}


def run_first(folder: Path, code: str) -> dict[str, str]:
    """Have `code` run in a process before anything else. It is kept in a folder below `folder`."""
    shadow = folder / "shadow"
    shadow.mkdir()
    (shadow / "sitecustomize.py").write_text(code)
    return found_first(shadow)


class ServiceProcess:
    """`python -m txtoken …` as a process. Its stdout is read line by line, its stderr kept."""

    def __init__(
        self,
        arguments: list[str],
        environment: Mapping[str, str],
        folder: Path,
        passed: Sequence[socket.socket] = (),
        stdout: int = subprocess.PIPE,
    ) -> None:
        command = [*PROGRAM, *arguments]
        fds = [sock.fileno() for sock in passed]
        if fds:
            # As systemd does it: descriptors from 3 on, and the environment names the process that they are for.
            places = " ".join(f"{number}<&{fd}" for number, fd in enumerate(fds, 3))
            start = f'LISTEN_PID=$$ LISTEN_FDS={len(fds)} LISTEN_FDNAMES=x exec "$@" {places}'
            command = ["bash", "-c", start, "bash", *command]
        self.process = subprocess.Popen(
            command,
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=clean_environment() | dict(environment),
            cwd=folder,
        )
        self.lines: list[str] = []
        self._arriving: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._arriving.put(line.decode())
        self._arriving.put(None)

    def line_with(self, text: str) -> str:
        """Wait for a line of stdout that holds `text`."""
        while True:
            line = self._arriving.get(timeout=PATIENCE_S)
            if line is None:
                self._arriving.put(None)
                assert self.process.stderr is not None
                raise AssertionError(f"no {text!r} in {self.lines}, stderr: {self.process.stderr.read().decode()}")
            self.lines.append(line)
            if text in line:
                return line

    @property
    def port(self) -> int:
        """Wait until the service listens (with JSON logs), and return its port."""
        listening = json.loads(self.line_with('"listening"'))
        return int(listening["addresses"][0].rpartition(":")[2])

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str, str]:
        """Wait for the end. Returns exit code, all of stdout, all of stderr."""
        code = self.process.wait(PATIENCE_S)
        while (line := self._arriving.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
        assert self.process.stderr is not None
        return code, "".join(self.lines), self.process.stderr.read().decode()

    def close(self) -> None:
        """Make sure that nothing is left of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(PATIENCE_S)  # until the last of its workers has ended
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def service_process(
    folder: Path,
    *arguments: str,
    config: str | None = None,
    environment: Mapping[str, str] | None = None,
    passed: Sequence[socket.socket] = (),
    stdout: int = subprocess.PIPE,
) -> Iterator[ServiceProcess]:
    """Start the service (or another command of it) in `folder`, with `config` as its `example_cfg.yml`, and with sockets
    that are `passed` to it. With another `stdout` than a pipe no lines are read.
    """
    if config is not None:
        (folder / "example_cfg.yml").write_text(config)
    process = ServiceProcess(list(arguments), environment or {}, folder, passed, stdout)
    try:
        yield process
    finally:
        process.close()
