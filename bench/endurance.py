"""What a service has to endure, each for some seconds of load: reloads, workers that are replaced, workers that are killed,
its own end, ten million requests. Counts what failed. Knows no figures of speed: those are `bench.runner`'s.
"""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import wrk
from bench.accounting import children_of
from bench.answers import CHECK_ROUTE, LOGIN, LOGIN_ROUTE, Judge, distinct_tokens, sign
from bench.attempt import KEY_BYTES, LOGIN_PATH
from bench.errors import BenchError
from bench.figures import Load
from bench.processes import Process, free_port
from bench.remote import started_remote
from bench.scenarios import CONNECTIONS, SUBJECT, Scenario
from bench.services import Place, Service, wait_until_ready
from bench.stub_remote import LOOPBACK, REPLY_BYTES, reply_object

RELOADS: Final = 20
REPLACEMENTS: Final = 6  # three of each of two workers
KILLS: Final = 10
SLOW_REMOTE_MS: Final = 200.0
END_S: Final = 1.0  # from the last answer to the end of the process
TOKENS: Final = 8_000  # as many as the service remembers: its memory of them is full before the first million
MEMORY_GROWTH_MAX: Final = 1.02  # from the first million requests to the last
MILLION: Final = 1_000_000
ANSWER_S: Final = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one."""

    name: str
    requests: int
    failed: int
    allowed: int  # failures
    told: str = ""

    @property
    def is_passed(self) -> bool:
        """Whether not more failed than may."""
        return self.failed <= self.allowed


class Subject:
    """The service with its remote, started and ready. `workers` processes serve."""

    def __init__(self, process: Process, place: Place, tokens: Path, folder: Path) -> None:
        self.process = process
        self.port = place.port
        self.config = place.folder / "cfg.yml"
        self._tokens = tokens
        self._folder = folder

    def load(self, script: str, seconds: int, glance: Callable[[], None] = lambda: None) -> Load:
        """Have wrk ask for some seconds."""
        return wrk.run(
            wrk.Wrk(script, self.port, CONNECTIONS, seconds, 1, self._tokens, self._folder, cores=None), glance
        )

    def workers(self) -> Sequence[int]:
        """Process ids of those that serve under a supervisor."""
        return children_of(self.process.pid)


def endure(seconds: int, requests: int, say: Say) -> list[Trial]:
    """Run all trials: reloads for `seconds`, the last one for so many `requests`. Each is told when it is over.

    Raises:
        BenchError: the service does not start, or ends when it should not.
    """
    Service(SUBJECT).prepare()
    trials: list[Trial] = []
    plan: tuple[Callable[[], list[Trial]], ...] = (
        lambda: _changes(seconds),
        _kills,
        lambda: _end(1),
        lambda: _end(2),
        lambda: _soak(requests, say),
    )
    for run in plan:
        for trial in run():
            trials.append(trial)
            say(_line(trial))
    return trials


def _line(trial: Trial) -> str:
    allowed = f" of {trial.allowed} that may" if trial.allowed else ""
    verdict = "passed" if trial.is_passed else "FAILED"
    return f"{verdict}  {trial.name}: {trial.requests:,} requests, {trial.failed:,} failed{allowed}; {trial.told}"


def _changes(seconds: int) -> list[Trial]:
    """Reloads and replaced workers, evenly spread over the load."""
    with _started(workers=2) as subject:
        text = subject.config.read_text()
        done = {"reloads": 0, "replaced": 0}
        began = time.monotonic()

        def glance() -> None:
            share = (time.monotonic() - began) / seconds
            if done["reloads"] < min(RELOADS, int(share * (RELOADS + 1))):
                done["reloads"] += 1
                subject.config.write_text(f"{text}requestTokenSeconds: {300 + done['reloads']}\n")
                os.kill(subject.process.pid, signal.SIGHUP)
            due = done["replaced"] < min(REPLACEMENTS, int(share * (REPLACEMENTS + 1)))
            if due and len(pids := subject.workers()) == 2:  # the one before has its successor
                os.kill(pids[done["replaced"] % 2], signal.SIGTERM)
                done["replaced"] += 1

        found = subject.load("mixed", seconds, glance)
        subject.process.check_alive()
    told = f"{done['reloads']} reloads, {done['replaced']} workers replaced"
    if done != {"reloads": RELOADS, "replaced": REPLACEMENTS}:
        raise BenchError(f"not all was done: {told}")
    return [Trial("reloads and replaced workers", found.requests, found.errors, 0, told)]


def _kills() -> list[Trial]:
    """One of two workers is killed each second. Who was being answered by it fails; who waits to be let in must not."""
    with _started(workers=2) as subject:
        kills = 0
        began = time.monotonic()
        newcomers = _Newcomers(subject.port)

        def glance() -> None:
            nonlocal kills
            if kills < KILLS and time.monotonic() - began > kills + 1 and len(pids := subject.workers()) == 2:
                os.kill(pids[kills % 2], signal.SIGKILL)
                kills += 1

        newcomers.start()
        found = subject.load("check_token", KILLS + 3, glance)
        newcomers.stop()
        subject.process.check_alive()
    told = f"{kills} workers killed"
    return [
        # wrk waits for an answer on each of its connections, and those that the dead worker had let in are reset.
        Trial("killed workers, kept connections", found.requests, found.errors, kills * CONNECTIONS, told),
        Trial("killed workers, new connections", newcomers.asked, newcomers.failed, kills, told),
    ]


class _Newcomers:
    """One client after the other, each with a connection of its own."""

    def __init__(self, port: int) -> None:
        self.asked = 0
        self.failed = 0
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.asked += 1
            connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=ANSWER_S)
            try:
                connection.request("GET", CHECK_ROUTE)
                self.failed += connection.getresponse().status != 401
            except (OSError, http.client.HTTPException):
                self.failed += 1
            finally:
                connection.close()


def _end(workers: int) -> list[Trial]:
    """SIGTERM while every connection waits for a slow remote: all are answered, then the process ends with 0."""
    with _started(workers=workers, delay_ms=SLOW_REMOTE_MS) as subject:
        request = (
            f"POST {LOGIN_ROUTE} HTTP/1.1\r\nHost: {LOOPBACK}\r\nContent-Length: {len(LOGIN)}\r\n\r\n{LOGIN}"
        ).encode()
        clients = [socket.create_connection((LOOPBACK, subject.port), ANSWER_S) for _ in range(CONNECTIONS)]
        for client in clients:
            client.sendall(request)
        time.sleep(SLOW_REMOTE_MS / 2000)  # the requests have to have arrived
        os.kill(subject.process.pid, signal.SIGTERM)
        failed = 0
        for client in clients:
            with client:
                failed += not client.recv(64 * 1024).startswith(b"HTTP/1.1 200 ")
        answered = time.monotonic()
        code = subject.process.wait(ANSWER_S)
        took_s = time.monotonic() - answered
    told = f"exit code {code}, {took_s:.2f} s behind the last answer"
    failed += code != 0 or took_s > END_S
    return [Trial(f"SIGTERM with {workers} worker{'s'[: workers > 1]}", CONNECTIONS, failed, 0, told)]


def _soak(requests: int, say: Say) -> list[Trial]:
    """Every kind of request in turn, until there were so many. Memory is looked at after the first million and the last."""
    done = failed = first_kib = 0
    with _started(workers=1) as subject:
        while done < requests:
            for script in ("check_token", "check_token_distinct", "mixed", "get_token"):
                found = subject.load(script, 5)
                done, failed = done + found.requests, failed + found.errors
            last_kib = subject.process.memory_kib()
            if not first_kib and done >= MILLION:
                first_kib = last_kib
            say(f"  {done:,} requests, {failed} failed, {last_kib:,} KiB")
    growth = last_kib / (first_kib or last_kib)
    told = f"memory {first_kib:,} KiB after the first million, {last_kib:,} KiB at the end"
    return [Trial("soak", done, failed + (growth > MEMORY_GROWTH_MAX), 0, told)]


@contextmanager
def _started(*, workers: int, delay_ms: float = 0.0) -> Iterator[Subject]:
    key = secrets.token_urlsafe(KEY_BYTES)
    data = reply_object(REPLY_BYTES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        tokens = folder / "tokens"
        tokens.write_text("\n".join([sign(key, data), *distinct_tokens(key, data, TOKENS)]) + "\n")
        _, remote_port = stack.enter_context(started_remote(folder / "remote", None, delay_ms=delay_ms))
        own = folder / "service"
        own.mkdir()
        place = Place(free_port(), f"http://{LOOPBACK}:{remote_port}{LOGIN_PATH}", key, own, cores=None)
        scenario = Scenario("endurance", "", "mixed", settings={"workers": str(workers)})
        process = stack.enter_context(Service(SUBJECT).start(place, scenario, None))
        judge = Judge(place.port, key, data, faithful=True)
        stack.callback(judge.close)
        wait_until_ready(process, judge)
        yield Subject(process, place, tokens, folder)
