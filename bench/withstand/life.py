"""Trials without load: the end while logins wait or names hang, names that come back, a worker that is stopped,
a log that is slow. Each judges itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.withstand.attack import Scale, Trial
from bench.withstand.floods import CHECK, asking, endless_head, login
from bench.withstand.measures import Row
from bench.withstand.stage import Stage, staged
from bench.withstand.subject import LOOPBACK
from bench.withstand.swarm import READ_BYTES

BUSY: Final = 64  # logins that wait at the end
DRAIN_S: Final = 5.0
END_S: Final = 1.0  # after the last answer, or after `drain`
ANSWER_S: Final = 10.0
WAIT_S: Final = 20.0  # for what has to happen
SILENCE_S: Final = 20.0  # of the name service
POLL_S: Final = 0.02
BEAT_S: Final = 10.0  # after which a worker that does not beat is replaced (contract §4.3)
WORKERS: Final = 2
PLACES: Final = 20
CROWD: Final = 60
WAVES: Final = 3
PIPELINED: Final = 6
STUCK_S: Final = 0.2  # a client that the service does not read
LARGE_HEAD_BYTES: Final = 50_000
PIPE_BYTES: Final = 4096
LINES: Final = 3000
FIRST_LOGIN: Final = login(b'{"honest":"nonce-of-the-first"}')


def _sigterm_busy(workers: int) -> Callable[[str, Scale], Row]:
    def run(python: str, _scale: Scale) -> Row:
        about = f"SIGTERM while {BUSY} logins wait, {workers} worker{'s'[: workers > 1]}"
        with _stage(python, workers=workers) as stage:
            clients = [_sent(stage, asking("slow")) for _ in range(BUSY)]
            _wait(lambda: stage.remote.ask("report")["logins"] >= BUSY, "the logins do not come through")
            stage.subject.signal(signal.SIGTERM)
            answers = [_answer(client) for client in clients]
            answered = time.monotonic()
            code, took_s = _end(stage, answered)
        unanswered = sum(not answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
        problems = [f"{unanswered} of {BUSY} logins not answered"] if unanswered else []
        return _row(
            f"SIGTERM busy, {workers}",
            about,
            [*problems, *_ends_well(code, took_s, END_S)],
            f"exit {code}, {took_s:.2f} s after the last answer",
        )

    return run


def _sigterm_names(workers: int) -> Callable[[str, Scale], Row]:
    def run(python: str, _scale: Scale) -> Row:
        name = f"SIGTERM, names hang, {workers}"
        about = f"SIGTERM while look-ups of the remote's name hang, {workers} worker{'s'[: workers > 1]}"
        with (
            _flag() as flag,
            _stage(python, workers=workers, names_hang=flag, settings={"timeouts": {"drain": DRAIN_S}}) as stage,
        ):
            clients = [_sent(stage, asking("ok")) for _ in range(8)]
            if not _hangs(flag):
                return Row(name, about, void=NOT_PATCHED)
            stage.subject.signal(signal.SIGTERM)
            code, took_s = _end(stage, time.monotonic())
            for client in clients:
                client.close()
        return _row(name, about, _ends_well(code, took_s, DRAIN_S + END_S), f"exit {code} after {took_s:.2f} s")

    return run


NOT_PATCHED: Final = "no look-up hung: the service does not look up names by Python's socket module"


def _names_come_back(python: str, scale: Scale) -> Row:
    """Only checks can be answered meanwhile; the first login after it must be."""
    name, about = (
        "names come back",
        f"the name service hangs for {SILENCE_S * scale.share:g} s; then the next login succeeds",
    )
    with _flag() as flag, _stage(python, names_hang=flag) as stage:
        stage.honest.go("check")
        ends = time.monotonic() + max(3.0, SILENCE_S * scale.share)
        failed = []
        while time.monotonic() < ends:
            with _sent(stage, asking("ok")) as client:
                failed.append(_answer(client))
        if not _hangs(flag):
            return Row(name, about, void=NOT_PATCHED)
        flag.unlink()
        with _sent(stage, FIRST_LOGIN) as client:
            first = _answer(client)
        honest = stage.honest.pause()
    problems = [] if first.startswith(b"HTTP/1.1 200 ") else [f"the first login was answered with {_status(first)}"]
    if honest.failures:
        problems.append(f"{honest.failures} checks failed meanwhile: {dict(honest.reasons)}")
    named = sum(b"HTTP/1.1 500" in answer for answer in failed)
    return _row(name, about, problems, f"{named} of {len(failed)} logins were answered with 500 meanwhile")


def _worker_stopped(python: str, _scale: Scale) -> Row:
    name, about = "worker stopped", "SIGSTOP to one of two workers: it is replaced, and new clients are served"
    with _stage(python, workers=WORKERS) as stage:
        _wait(lambda: len(stage.subject.workers()) == WORKERS, "the workers do not start")
        stopped = stage.subject.workers()[0]
        os.kill(stopped, signal.SIGSTOP)
        began = time.monotonic()
        try:
            _wait(lambda: stopped not in stage.subject.workers() and len(stage.subject.workers()) == WORKERS, "")
        except BenchError:
            os.kill(stopped, signal.SIGCONT)
            return _row(name, about, [f"it is not replaced within {WAIT_S:g} s"], "")
        took_s = time.monotonic() - began
        _wait(stage.subject.is_ready, "its successor is not ready")
        stage.honest.go()
        time.sleep(END_S)
        honest = stage.honest.pause()
    problems = [f"honest failures after that: {dict(honest.reasons)}"] if honest.failures else []
    return _row(name, about, problems, f"replaced after {took_s:.1f} s")


def _places(python: str, _scale: Scale) -> Row:
    """Clients that leave in the moment in which they are accepted, or are closed for others."""
    name, about = "places", f"{CROWD} clients with {PLACES} places pipeline large checks and reset: no place is lost"
    request = endless_head(LARGE_HEAD_BYTES) + b"\r\nX: y\r\n\r\n"
    with _stage(python, settings={"limits": {"connections": PLACES}}) as stage:
        for _ in range(WAVES):
            clients = []
            for _ in range(CROWD):
                client = socket.create_connection((LOOPBACK, stage.subject.port), ANSWER_S)
                client.settimeout(STUCK_S)
                with contextlib.suppress(OSError):
                    client.sendall(request * PIPELINED)
                clients.append(client)
            for client in clients:
                client.close()
        try:
            _wait(lambda: _open_connections(stage) == 0, "")
        except BenchError:
            problems = [f"{_open_connections(stage)} connections are open that no client has"]
        else:
            problems = []
        with _sent(stage, CHECK) as client:
            if not _answer(client).startswith(b"HTTP/1.1 401"):
                problems.append("a new client is not answered")
    return _row(name, about, problems, f"{WAVES * CROWD:,} clients")


def _open_connections(stage: Stage) -> int:
    """Ask the service's own metrics."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{stage.subject.admin_port}/metrics", timeout=ANSWER_S) as answer:
        text: str = answer.read().decode()
    found = re.search(r"^txtoken_connections_open ([0-9.]+)$", text, re.MULTILINE)
    if found is None:
        raise BenchError("the service does not say how many connections are open")
    return int(float(found[1]))


def _small_pipe(python: str, _scale: Scale) -> Row:
    """A non-blocking pipe of one page: EAGAIN means to wait, not to drop."""
    name, about = (
        "log pipe non-blocking",
        f"{LINES:,} requests at once, stdout is a non-blocking pipe of one page: no line is lost",
    )
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writer, False)
    taken: list[bytes] = []

    def read() -> None:
        while data := os.read(reader, PIPE_BYTES):
            taken.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        with (
            open(writer, "wb") as output,
            _stage(python, output=output) as stage,
            _sent(stage, CHECK * LINES) as client,
        ):
            answers = b""
            while answers.count(b"HTTP/1.1 401") < LINES and (data := client.recv(READ_BYTES)):
                answers += data
    finally:
        thread.join(WAIT_S)
        os.close(reader)
    lines = b"".join(taken).count(b'"status":401')
    problems = [f"{LINES - lines:,} of {LINES:,} lines are lost"] if lines != LINES else []
    return _row(name, about, problems, f"{lines:,} lines")


LIFE: Final = (
    Trial("places", "more clients than places pipeline large checks and reset", _places, is_quick=True),
    Trial("SIGTERM busy, 1", "64 logins wait at the end, one worker", _sigterm_busy(1), is_quick=True),
    Trial("SIGTERM busy, 2", "64 logins wait at the end, two workers", _sigterm_busy(2), is_quick=True),
    Trial("SIGTERM, names hang, 1", "look-ups hang at the end, one worker", _sigterm_names(1), is_quick=True),
    Trial("SIGTERM, names hang, 2", "look-ups hang at the end, two workers", _sigterm_names(2)),
    Trial("names come back", "look-ups hang for 20 s, then the next login succeeds", _names_come_back, is_quick=True),
    Trial("worker stopped", "SIGSTOP to one of two workers: it is replaced", _worker_stopped, is_quick=True),
    Trial("log pipe non-blocking", "stdout is a non-blocking pipe of one page", _small_pipe, is_quick=True),
)


@contextlib.contextmanager
def _stage(python: str, **options: Any) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="withstand-") as folder, staged(python, Path(folder), **options) as stage:
        yield stage


@contextlib.contextmanager
def _flag() -> Iterator[Path]:
    """Make the file while which exists names do not resolve. It is gone at the end, so that nothing hangs on."""
    with tempfile.TemporaryDirectory(prefix="withstand-") as folder:
        flag = Path(folder) / "names-hang"
        flag.touch()
        yield flag


def _hangs(flag: Path) -> bool:
    """Whether a look-up has hung. It has to have begun by now, or shortly."""
    try:
        _wait(Path(f"{flag}.hung").exists, "", END_S)
    except BenchError:
        return False
    return True


def _wait(is_so: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > ends:
            raise BenchError(what)
        time.sleep(POLL_S)


def _sent(stage: Stage, request: bytes) -> socket.socket:
    client = socket.create_connection((LOOPBACK, stage.subject.port), ANSWER_S)
    client.sendall(request)
    return client


def _answer(client: socket.socket) -> bytes:
    """Read an answer, or b"" for none."""
    with client, contextlib.suppress(OSError):
        return client.recv(READ_BYTES)
    return b""


def _status(answer: bytes) -> str:
    return answer[9:12].decode("latin-1") or "nothing"


def _end(stage: Stage, since: float) -> tuple[int | None, float]:
    """Wait for the service's end. None in place of its exit code when it does not end."""
    try:
        code: int | None = stage.subject.process.wait(DRAIN_S + WAIT_S)
    except BenchError:
        code = None
    return code, time.monotonic() - since


def _ends_well(code: int | None, took_s: float, most_s: float) -> list[str]:
    if code is None:
        return ["it does not end"]
    problems = [] if code == 0 else [f"exit code {code}"]
    return problems if took_s <= most_s else [*problems, f"it ends after {took_s:.1f} s"]


def _row(name: str, about: str, problems: list[str], note: str) -> Row:
    return Row(name, about, problems=problems, note=note)
