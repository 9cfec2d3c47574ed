"""Raw requests over TCP against the running service: every line of tests/data/http_cases.jsonl, judged with h11.

No run waits for silence. Behind its bytes a run sends one more request, the probe, which asks for the connection's end:
whatever the service made of the bytes stands before the probe's answer or the end, and both arrive as soon as they can.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import socketserver
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from tests.http1.loopback import Answer, read_answers
from tests.running import service_process

KEY: Final = "http-conformance-key-0123456789-abcdefghijklmnopqrstuvwxyz"
CASES_FILE: Final = Path(__file__).parent.parent / "data" / "http_cases.jsonl"
CASES_COUNT: Final = 304
ANSWER_S: Final = 10.0  # nothing takes that long: it ends a run that would hang
PROBE: Final = b"GET /livez HTTP/1.1\r\nHost: probe.example\r\nConnection: close\r\n\r\n"
INTERIM_END: Final = b"\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """One line of the file: what is sent, and what may come back."""

    name: str
    description: str
    pieces: tuple[bytes, ...]  # as they are sent
    afterwards: bytes  # sent when something has come back
    half_close: bool
    slow: bool
    methods: tuple[str, ...]
    each: tuple[tuple[int, ...], ...]  # the statuses allowed for each answer; beyond them `any_status` counts
    any_status: tuple[int, ...]  # empty: every 4xx will do
    answers_min: int
    answers_max: int
    connection: str
    silent_close: bool  # the end without a word will do
    interim: str | None
    remote_calls: int | None


def read_cases() -> Iterator[Case]:
    """Read the file. A case with `bytewise` stands for two runs."""
    for line in CASES_FILE.read_text().splitlines():
        row: dict[str, Any] = json.loads(line)
        data = base64.b64decode(row["bytes_b64"]) if "bytes_b64" in row else zlib.decompress(unpacked(row["bytes_z"]))
        edges = [0, *row.get("cuts", ()), len(data)]
        yield make_case(row, row["id"], tuple(data[start:stop] for start, stop in pairwise(edges)))
        if row["bytewise"]:
            yield make_case(row, row["id"] + "/bytes", tuple(data[at : at + 1] for at in range(len(data))))


def unpacked(text: str) -> bytes:
    """Undo base64."""
    return base64.b64decode(text)


def make_case(row: dict[str, Any], name: str, pieces: tuple[bytes, ...]) -> Case:
    """Take the fields of one line apart."""
    expect = row["expect"]
    exact: int | None = expect["responses"]
    each = tuple(map(tuple, expect.get("each", ())))
    return Case(
        name=name,
        description=row["description"],
        pieces=pieces,
        afterwards=unpacked(row.get("then_b64", "")),
        half_close=row["half_close"],
        slow=row.get("slow", False),
        methods=tuple(row["methods"]),
        each=each,
        any_status=tuple(expect["statuses"]),
        answers_min=1 if exact is None else exact,
        answers_max=expect["max_responses"] if exact is None else exact,
        connection=expect["connection"],
        silent_close=expect["silent_close"],
        interim=expect.get("interim"),
        remote_calls=expect.get("remote_calls"),
    )


class Stub(socketserver.ThreadingTCPServer):
    """The remote: answers every POST with 200 and {"ok":true}, and counts them."""

    daemon_threads = True
    calls = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StubConnection)


class StubConnection(socketserver.StreamRequestHandler):
    """One kept-alive connection of the service."""

    def handle(self) -> None:
        assert isinstance(self.server, Stub)
        with contextlib.suppress(ConnectionError):
            while self.rfile.readline():
                length = 0
                while (line := self.rfile.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                self.rfile.read(length)
                self.server.calls += 1
                self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}')


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    """Run the remote in a thread."""
    with Stub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def service(folder: Path, stub: Stub, more: str = "") -> Iterator[int]:
    """Run the service in front of the stub. Gives its port."""
    remote = f"http://127.0.0.1:{stub.server_address[1]}/login"
    config = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {remote}\nlog: {{access: false}}\n{more}"
    with service_process(folder, config=config) as process:
        yield process.port


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, stub: Stub) -> Iterator[int]:
    """Run the service with its defaults."""
    yield from service(tmp_path_factory.mktemp("service"), stub)


@pytest.fixture(scope="module")
def impatient_port(tmp_path_factory: pytest.TempPathFactory, stub: Stub) -> Iterator[int]:
    """Run the service with short timeouts, for the clients that stall."""
    yield from service(tmp_path_factory.mktemp("impatient"), stub, "timeouts: {head: 0.3, body: 0.3}\n")


def converse(case: Case, port: int) -> bytes:
    """Send what the case says and the probe behind it. Returns everything that came back until the service closed."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):  # refused half way: what was said before can still be read
            for piece in case.pieces:
                client.sendall(piece)
            if case.afterwards:
                while INTERIM_END not in received and (data := client.recv(65536)):
                    received += data
                client.sendall(case.afterwards)
            if case.connection != "close" and not case.half_close:
                client.sendall(PROBE)
        if case.half_close:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
        while data := client.recv(65536):
            received += data
    return received


def is_probe(answer: Answer) -> bool:
    """Whether this answers the probe: no case asks for that route."""
    return (answer.status, answer.body) == (200, b'{"status":"ok"}')


def judge(case: Case, received: bytes) -> list[str]:
    """Compare what came back with what may come back. Returns what is wrong."""
    answers, interims, rest = read_answers(received, case.methods)
    assert rest == b"", "an incomplete response"
    kept = bool(answers) and is_probe(answers[-1])
    if kept:
        answers.pop()
    if not answers and not kept and case.silent_close:
        return []
    wrong = [] if kept or case.connection != "keep" else ["the connection was closed"]
    if not case.answers_min <= len(answers) <= case.answers_max:
        wrong.append(f"{len(answers)} answers, not {case.answers_min} to {case.answers_max}")
    for number, answer in enumerate(answers):
        allowed = case.each[number] if number < len(case.each) else case.any_status
        if answer.status not in (allowed or range(400, 500)):
            wrong.append(f"answer {number + 1} is {answer.status}, not one of {allowed}")
        if answer.status == 401 and b"www-authenticate" not in answer.fields:
            wrong.append("401 without WWW-Authenticate")
        if answer.status == 405 and b"allow" not in answer.fields:
            wrong.append("405 without Allow")
    if case.interim == "required" and interims != [100]:
        wrong.append(f"interim answers {interims}, not one 100")
    if case.interim == "forbidden" and interims:
        wrong.append(f"interim answers {interims}, which this client cannot understand")
    return wrong


CASES: Final = tuple(read_cases())


@pytest.mark.parametrize("case", [case for case in CASES if not case.slow], ids=lambda case: case.name)
def test_case(case: Case, port: int, stub: Stub) -> None:
    """The service answers these bytes as RFC 9110 and 9112 ask, and calls its remote as often as it should."""
    calls = stub.calls
    wrong = judge(case, converse(case, port))
    if case.remote_calls not in (None, stub.calls - calls):
        wrong.append(f"{stub.calls - calls} calls to the remote, not {case.remote_calls}")
    assert not wrong, f"{case.description}: {'; '.join(wrong)}"


@pytest.mark.parametrize("case", [case for case in CASES if case.slow], ids=lambda case: case.name)
def test_slow_case(case: Case, impatient_port: int, stub: Stub) -> None:
    """A client that stalls in the middle of a request gets 408, or nothing, and its connection ends."""
    calls = stub.calls
    wrong = judge(case, converse(case, impatient_port))
    assert not wrong, f"{case.description}: {'; '.join(wrong)}"
    assert stub.calls == calls


def test_the_file_is_complete() -> None:
    """Every case of the file is run."""
    names = {case.name for case in CASES if not case.name.endswith("/bytes")}
    assert len(names) == CASES_COUNT


@pytest.mark.parametrize(
    ("received", "complaint"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401 without WWW-Authenticate"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "answer 1 is 200"),
        (b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n", "405 without Allow"),
        (b"", "0 answers"),
        (2 * b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n", "2 answers"),
        (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n", "the connection was closed"),
    ],
    ids=["no-challenge", "status", "no-allow", "silence", "one-too-many", "closed"],
)
def test_the_judge_complains(received: bytes, complaint: str) -> None:
    """The judge of these tests lets a wrong answer pass."""
    case = next(case for case in CASES if case.name == "rl-baseline-get")
    assert any(complaint in text for text in judge(case, received))
