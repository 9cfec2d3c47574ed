"""The peers, each as a program: whether it does the work that it is measured by. Nothing is built here.

A peer is judged if it needs no building, or has been built by `scripts/bench run` or its own `run --prepare`.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

from bench.load.answers import SMALL_DATA, Judge, Keys
from bench.load.remote import started_remote
from bench.load.replies import PROFILE, REPLY_BYTES, compact, reply_object
from bench.load.routes import CONTRACT, LOGIN
from bench.load.stub_remote import LOOPBACK, ok
from bench.load.target import Target
from bench.measure.hosts import Host
from bench.measure.processes import free_port
from bench.measure.scenarios import FLOOR, NAMES, Setup
from bench.measure.services import PEERS, Place, Service, known_services, wait_until_ready
from tests.running import PATIENCE_S

ALL: Final = sorted(run.parent.name for run in PEERS.glob("*/run"))
FAITHFUL: Final = [name for name in ALL if name != FLOOR]
# They repeat a login whose connection the remote had closed. The others leave that to their users.
REPEATING: Final = ["go_fasthttp", "go_nethttp", "rust_axum", "rust_hyper"]
BUILT_BY: Final = {"rust": "cargo", "go": "go", "node": "npm"}  # by the beginning of the name
MADE: Final = ("target", "bin", "node_modules", "Cargo.lock")
MISSING: Final = 69  # EX_UNAVAILABLE of sysexits.h
REQUESTS: Final = 200
KEYS: Final = Keys.make()
HERE: Final = Host(LOOPBACK)
ELSEWHERE: Final = Host("127.0.0.2")
REFUSED: Final = b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 19\r\n\r\n{"error":"refused"}'
BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"
CUT_SHORT: Final = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":1}'


class Login(socketserver.StreamRequestHandler):
    """A connection of the login API."""

    def handle(self) -> None:
        api = cast("LoginApi", self.server)
        with contextlib.suppress(ConnectionError):
            while self.rfile.readline():
                fields = http.client.parse_headers(self.rfile)
                self.rfile.read(int(fields["Content-Length"]))
                self.wfile.write(api.reply)
                if api.closes:
                    break


class LoginApi(socketserver.ThreadingTCPServer):
    """A remote that answers every login by `reply`. If it `closes`, it does so after each answer, unannounced."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Login)
        self.reply = ok(compact(PROFILE))
        self.closes = False

    @property
    def url(self) -> str:
        """Where logins are posted to."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/login"


@pytest.fixture
def login_api() -> Iterator[LoginApi]:
    """Return a remote that does as it is asked. It has to outlive what is connected to it."""
    with LoginApi() as api:
        serving = threading.Thread(target=api.serve_forever, args=(0.01,))
        serving.start()
        yield api
        api.shutdown()
        serving.join()


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH with all programs but those that build."""
    folder = tmp_path_factory.mktemp("tools")
    for place in os.get_exec_path():
        for program in Path(place).glob("*"):
            if program.name not in BUILT_BY.values() and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return str(folder)


def run_peer(name: str, argument: str, tools: str, peers: Path = PEERS) -> subprocess.CompletedProcess[str]:
    """Call a peer's `run`, without what builds."""
    return subprocess.run(
        [peers / name / "run", argument],
        env={**os.environ, "PATH": tools, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def ready(name: str, tools: str) -> str:
    """Return the name of a peer that can be started as it is. Skip those that cannot."""
    made = run_peer(name, "--prepare", tools)
    if made.returncode:
        pytest.skip(f"{name}: {made.stderr.strip().rpartition(chr(10))[2]}")
    return name


@contextlib.contextmanager
def serving(
    name: str, remote: str, folder: Path, data: dict[str, Any] = PROFILE, host: Host = HERE
) -> Iterator[tuple[Judge, int]]:
    """Start a peer and wait until it answers. Gives a judge of it, and its port."""
    target = Target(host.address, free_port(), is_faithful=name != FLOOR)
    with (
        Service(name).start(Place(host, target.port, remote, KEYS, folder, None), Setup()) as process,
        contextlib.closing(Judge(target, KEYS, data)) as judge,
    ):
        wait_until_ready(process, judge)
        yield judge, target.port


def nowhere() -> str:
    """Return the URL of a remote that is not there."""
    return f"http://{LOOPBACK}:{free_port()}/login"


def log_in(port: int, body: str = LOGIN) -> tuple[int, bytes]:
    """Log in on a new connection."""
    with contextlib.closing(http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE_S)) as connection:
        connection.request("POST", CONTRACT.login_path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()


def test_each_peer_has_a_name_for_people() -> None:
    """Every service of the repository is in NAMES, once."""
    assert known_services().keys() <= NAMES.keys()
    assert len(set(NAMES.values())) == len(NAMES)


@pytest.mark.parametrize("name", FAITHFUL)
@pytest.mark.parametrize("size", [REPLY_BYTES, 64 * 1024])
def test_answers_are_right(ready: str, size: int, tmp_path: Path) -> None:
    """Good and bad tokens and logins are judged right, and so are hundreds of requests on one connection."""
    folder = tmp_path / "peer"
    folder.mkdir()
    data = reply_object(size)
    with (
        started_remote(tmp_path / "remote", None, reply_bytes=size) as remote,
        serving(ready, remote.url("/login"), folder, data) as (judge, _),
    ):
        judge.check_before_load(logs_in=True)
        for _ in range(REQUESTS // 2):
            judge.check_once(logs_in=True)
            judge.check_once(logs_in=False)


@pytest.mark.parametrize("name", FAITHFUL)
def test_pipelined_requests_are_answered_in_order(ready: str, login_api: LoginApi, tmp_path: Path) -> None:
    """Requests that are sent at once get their own answers, in their order."""
    check = f"GET {CONTRACT.check_path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEYS.sign(SMALL_DATA)}\r\n\r\n"
    head = f"POST {CONTRACT.login_path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(LOGIN)}"
    with (
        serving(ready, login_api.url, tmp_path) as (_, port),
        socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S) as client,
        client.makefile("rb") as received,
    ):
        client.sendall((check + f"{head}\r\n\r\n{LOGIN}").encode() * (REQUESTS // 2))
        for number in range(REQUESTS):
            assert received.readline().startswith(b"HTTP/1.1 200 ")
            fields = http.client.parse_headers(received)
            body = received.read(int(fields["Content-Length"]))
            assert (b'"Valid"' in body, b'"token"' in body) == ((False, True) if number % 2 else (True, False))


@pytest.mark.parametrize("name", FAITHFUL)
def test_replies_that_cannot_be_signed_are_refused(ready: str, login_api: LoginApi, tmp_path: Path) -> None:
    """A reply that is not a JSON object, a refusal and a reply that is cut short make no token; the next login works."""
    with serving(ready, login_api.url, tmp_path) as (judge, port):
        for reply in (
            ok(b"no JSON"),
            ok(b'{"id":1'),
            ok(b'{"id":1}}'),
            ok(b"[1]"),
            ok(b"null"),
            ok(b""),
            REFUSED,
            BUSY,
        ):
            login_api.reply = reply
            status, body = log_in(port)
            assert (status, b'"message"' in body) == (500, True), reply
        login_api.reply, login_api.closes = CUT_SHORT, True
        assert log_in(port)[0] == 500
        login_api.reply, login_api.closes = ok(b"\r\n " + compact(PROFILE) + b" "), False
        judge.check_once(logs_in=True)
        assert 400 <= log_in(port, "no JSON")[0] < 500


@pytest.mark.parametrize("name", FAITHFUL)
def test_a_remote_that_is_not_there_is_an_error(ready: str, tmp_path: Path) -> None:
    """A login is 500 if nothing listens where the remote should be."""
    with serving(ready, nowhere(), tmp_path) as (_, port):
        assert log_in(port)[0] == 500


@pytest.mark.parametrize("name", REPEATING)
def test_connections_that_the_remote_closes_do_no_harm(ready: str, login_api: LoginApi, tmp_path: Path) -> None:
    """No login fails when the remote closes each connection after its answer, however many were kept."""
    login_api.closes = True
    statuses = []
    with serving(ready, login_api.url, tmp_path) as (judge, port):
        for _ in range(10):
            clients = [threading.Thread(target=lambda: statuses.append(log_in(port)[0])) for _ in range(8)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            judge.check_once(logs_in=True)
    assert statuses == [200] * 80


@pytest.mark.parametrize("name", ALL)
def test_it_listens_where_it_is_asked_to(ready: str, tmp_path: Path) -> None:
    """HOST is where a peer listens, and nowhere else."""
    with serving(ready, nowhere(), tmp_path, host=ELSEWHERE) as (_, port), pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port)).close()


@pytest.mark.parametrize("name", ALL)
def test_versions_are_a_name_and_a_version_each(ready: str, tools: str) -> None:
    """`run --versions` prints what a peer was built from, and needs nothing for it that it does not need to run."""
    said = run_peer(ready, "--versions", tools)
    assert said.returncode == 0
    lines = said.stdout.splitlines()
    assert len(lines) > 2
    assert all(re.fullmatch(r"[\w./-]+ [\w:.+~-]*\d[\w:.+~-]*", line) for line in lines), lines
    assert Service(ready).versions() == dict(line.split(" ") for line in lines)


@pytest.mark.parametrize(
    ("name", "builder"), [(name, BUILT_BY[name.split("_")[0]]) for name in ALL if name.split("_")[0] in BUILT_BY]
)
def test_a_missing_builder_is_named(name: str, builder: str, tools: str, tmp_path: Path) -> None:
    """`run --prepare` of a peer that was never built ends with 69, and its last line names what is missing."""
    for folder in (name, "shared"):
        shutil.copytree(PEERS / folder, tmp_path / folder, ignore=shutil.ignore_patterns(*MADE))
    made = run_peer(name, "--prepare", tools, tmp_path)
    assert made.returncode == MISSING
    assert made.stderr.splitlines()[-1].startswith(f"needs {builder}")
    assert run_peer(name, "--versions", tools, tmp_path).returncode == MISSING
