"""A process that the bench started: its cores, its output, its end.

Knows no services. Everything is ended by the process id it was given; nothing is looked for by name.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from bench.errors import BenchError, Ended
from bench.load.stub_remote import LOOPBACK
from bench.measure.accounting import Cpu, tree_cpu, tree_memory_kib

END_S: Final = 5.0  # that a process gets between SIGTERM and SIGKILL
SAID_CHARACTERS: Final = 600  # of its last output, shown if it ends too early
ROOT: Final = Path(__file__).parents[2]


class Process:
    """A child in a session of its own, so that whatever it starts ends with it. A context manager."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        cores: frozenset[int] | None = None,
        output: IO[bytes] | None = None,
    ) -> None:
        """Start it. Its output goes to a file in `folder`; its stdout to `output`, if there is one.

        Raises:
            BenchError: there is no such program, or it cannot be run.
        """
        self._said = folder / "said"
        self._is_ended = False
        with self._said.open("wb") as said, on_cores(cores):
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env={**os.environ, **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=output or said,
                    stderr=said,
                    start_new_session=True,
                )
            except OSError as error:
                raise BenchError(f"{command[0]} cannot be run: {error.strerror}") from error

    @property
    def pid(self) -> int:
        """Its process id, which is its session's too."""
        return self._process.pid

    def cpu(self) -> Cpu:
        """CPU time of its tree since it was started."""
        return tree_cpu(self.pid)

    def memory_kib(self) -> int:
        """Resident memory of its tree."""
        return tree_memory_kib(self.pid)

    def said(self) -> str:
        """What it wrote last, on one line."""
        return " ".join(self._said.read_text(errors="replace").split())[-SAID_CHARACTERS:]

    def check_alive(self) -> None:
        """Make sure that it has not ended.

        Raises:
            Ended: it has.
        """
        code = self._process.poll()
        if code is not None:
            raise Ended(code, self.said())

    def wait(self, seconds: float) -> int:
        """Wait until it has ended. Returns its exit code.

        Raises:
            BenchError: it does not end.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise BenchError(f"did not end within {seconds:g} s: {self.said()}") from None

    def end(self) -> None:
        """End it and all that it started. Ending it twice is harmless."""
        if self._is_ended:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # the group outlives its leader as long as it has members
        self._process.wait()
        self._is_ended = True

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Generator:
    """A load generator: runs for a known time, ends by itself, and its CPU time is known exactly."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        cores: frozenset[int] | None,
        seconds: float,
    ) -> None:
        """Start it. It is expected to end within `seconds`."""
        with on_cores(cores):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._last_moment = time.monotonic() + seconds
        self.cpu_s = 0.0

    def wait(self, at_most_s: float) -> bool:
        """Wait a little. Whether it has ended.

        Raises:
            BenchError: it ended with a failure, or does not end.
        """
        deadline = time.monotonic() + at_most_s
        while True:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() >= self._last_moment:
                raise BenchError("the load generator does not end")
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode(errors="replace").strip()
        self._process.stderr.close()
        if self._process.returncode:
            raise BenchError(f"the load generator ended with {self._process.returncode}: {said[-SAID_CHARACTERS:]}")
        return True

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()


class LineCount:
    """Reads what a service logs, as a log collector would, and counts it. `stdin` is for the service's stdout."""

    def __init__(self, cores: frozenset[int] | None) -> None:
        with on_cores(cores):
            self._process = subprocess.Popen(["wc", "-l"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        self.stdin: IO[bytes] = self._process.stdin

    def count(self) -> int:
        """Return how many lines there were. The service must have ended."""
        return int(self._process.communicate()[0])

    def __enter__(self) -> LineCount:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def on_cores(cores: frozenset[int] | None) -> Iterator[None]:
    """Run what is started meanwhile on these cores. A process inherits them from its parent."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """Find a free TCP port."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def raise_open_files() -> int:
    """Let this process and its children open as many files as they may. Returns how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
