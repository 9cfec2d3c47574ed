"""Service, remote and honest client as processes, each on its core, and attackers on the last one. Knows no row.

With two cores the service has the first; honest client, remote and attackers share the other, where nice 19 puts attackers last.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import secrets
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from bench.errors import BenchError
from bench.measure.processes import ROOT, Process, free_port, on_cores
from bench.withstand.honest import LANES, summary
from bench.withstand.measures import Done, Honest
from bench.withstand.subject import LOOPBACK, Launch, Subject
from bench.withstand.swarm import Plan

KEY_BYTES: Final = 32
LISTEN_S: Final = 20.0
POLL_S: Final = 0.02
SAY_S: Final = 20.0  # until the honest client has finished its requests
OVER_S: Final = 30.0  # for attackers to end, after their time
WATCH_S: Final = 0.1
SAID_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where. None: the kernel chooses."""

    service: frozenset[int] | None
    honest: frozenset[int] | None
    attackers: frozenset[int] | None

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Divide the cores that this process may use."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            return cls(None, None, None)
        first, last = frozenset(cores[:1]), frozenset(cores[-1:])
        return cls(first, frozenset(cores[1:-1][:1]) or last, last)


class Remote:
    """The remote's process."""

    def __init__(self, folder: Path, cores: frozenset[int] | None) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "bench.withstand.login_api", "--port", str(self.port)]
        self.process = Process(command, folder=folder, cores=cores)
        deadline = time.monotonic() + LISTEN_S
        while True:
            try:
                self.ask("report")
            except (OSError, http.client.HTTPException):
                self.process.check_alive()
                if time.monotonic() > deadline:
                    raise BenchError("the remote does not listen") from None
                time.sleep(POLL_S)
            else:
                return

    def ask(self, word: str) -> dict[str, Any]:
        """Send it a command. Returns what it saw of the honest client's nonces."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=LISTEN_S)
        try:
            connection.request("GET", f"/{word}")
            account: dict[str, Any] = json.loads(connection.getresponse().read())
            return account
        finally:
            connection.close()


class HonestClient:
    """The honest client's process."""

    def __init__(self, port: int, key: str, remote: Remote | None, cores: frozenset[int] | None) -> None:
        self._remote = remote
        self._doubled = self._snares = 0
        command = [sys.executable, "-m", "bench.withstand.honest", "--port", str(port), f"--key={key}"]
        with on_cores(cores):
            # A session of its own: Ctrl-C is for the battery, which ends it.
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def go(self, lanes: str = "") -> None:
        """Let it ask. `lanes`: those that begin so; all else."""
        self._say("go " + ",".join(lane for lane in LANES if lane.startswith(lanes)))

    def pause(self, *, may_break: bool = False) -> Honest:
        """Let it finish what it has asked, and judge what it got."""
        self._say("pause")
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], SAY_S)[0]:
            raise BenchError("the honest client does not answer")
        line = self._process.stdout.readline().decode()
        if not line:
            raise BenchError("the honest client ended")
        account = self._remote.ask("report") if self._remote is not None else {}
        before, self._snares = self._snares, account.get("snares", 0)
        excused = frozenset(account.get("excused", ()))
        seen = summary(line, excused, may_break=may_break, may_lose=self._snares - before)
        before, self._doubled = self._doubled, account.get("doubled", 0)
        doubled = self._doubled - before
        if not doubled:
            return seen
        reasons = {**seen.reasons, "login: sent to the remote twice": doubled}
        return dataclasses.replace(seen, reasons=reasons)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchError("the honest client ended") from None

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class Attackers:
    """A swarm's process, at nice 19."""

    def __init__(self, plan: Plan, cores: frozenset[int] | None) -> None:
        self._plan = plan
        with on_cores(cores):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.withstand.swarm"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(f"{plan.to_json()}\n".encode())
        self._process.stdin.close()

    def is_over(self) -> bool:
        """Whether they have ended."""
        return self._process.poll() is not None

    def wait_until_open(self, seconds: float) -> None:
        """Wait until all of their connections were open.

        Raises:
            BenchError: they are not in time.
        """
        assert self._process.stdout is not None
        if (
            not select.select([self._process.stdout], [], [], seconds)[0]
            or b"open" not in self._process.stdout.readline()
        ):
            raise BenchError("the attackers could not open their connections")

    def stop(self) -> Done:
        """End them early. Returns what they did."""
        self._process.terminate()
        return self.wait()

    def stop_at_once(self) -> None:
        """Kill them."""
        self._process.kill()

    def wait(self) -> Done:
        """Wait until they have ended. Returns what they did; an attack that failed is void."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        deadline = time.monotonic() + self._plan.seconds + OVER_S
        while not self.is_over() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if not self.is_over():
            self._process.kill()
        said = self._process.stdout.read().decode().splitlines()
        wrote = self._process.stderr.read().decode(errors="replace").split()
        self._process.stdout.close()
        self._process.stderr.close()
        return outcome(self._process.wait(), said, " ".join(wrote)[-SAID_CHARACTERS:])

    def __enter__(self) -> Attackers:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_over():
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def outcome(code: int, said: list[str], wrote: str) -> Done:
    """Read how a swarm ended: its exit code, its lines of JSON, and what it wrote on stderr."""
    if code or not said:
        return Done(void=f"the attackers ended with {code}: {wrote or 'no output'}")
    counts: Mapping[str, int] = json.loads(said[-1]).get("counts", {})
    if not counts.get("opened"):
        failures = ", ".join(f"{count} x {name}" for name, count in counts.items() if name.startswith("failed"))
        return Done(counts, void=f"the attackers could not connect: {failures or 'nothing was tried'}")
    return Done(counts)


class Watch:
    """Counts the service's open files meanwhile. A context manager."""

    def __init__(self, subject: Subject) -> None:
        self.files_most = 0
        self._subject = subject
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._ended.wait(WATCH_S):
            try:
                self.files_most = max(self.files_most, self._subject.usage().files)
            except BenchError:
                return  # it has ended, which the row reports

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@dataclass(frozen=True, slots=True)
class Stage:
    """The processes of a row."""

    subject: Subject
    remote: Remote
    honest: HonestClient
    cores: Cores
    key: str


@contextlib.contextmanager
def staged(
    python: str,
    folder: Path,
    *,
    workers: int = 1,
    settings: Mapping[str, Any] | None = None,
    output: IO[bytes] | None = None,
    names_hang: Path | None = None,
) -> Iterator[Stage]:
    """Start everything and wait until it is ready.

    Raises:
        BenchError: something does not start.
    """
    cores = Cores.of_this_machine()
    key = secrets.token_urlsafe(KEY_BYTES)
    with contextlib.ExitStack() as stack:
        for name in ("remote", "service"):
            (folder / name).mkdir(parents=True)
        remote = Remote(folder / "remote", cores.honest)
        stack.callback(remote.process.end)
        host = LOOPBACK if names_hang is None else "login.test"
        url = f"http://{host}:{remote.port}/login"
        launch = Launch(
            python, folder / "service", key, url, workers, settings, cores.service, output=output, names_hang=names_hang
        )
        subject = stack.enter_context(Subject(launch))
        honest = HonestClient(subject.port, key, remote, cores.honest)
        stack.callback(honest.end)
        subject.wait_until_ready()
        yield Stage(subject, remote, honest, cores, key)
