"""The service on Unix sockets and on sockets that systemd opened, from outside: real processes, one worker and several."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import jwt
import pytest

from tests.running import KEY, PATIENCE_S, PROGRAM, ServiceProcess, clean_environment, service_process

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="systemd is not installed")
both_kinds = pytest.mark.parametrize("workers", [1, 2])


def settings(listen: str, workers: int = 1) -> str:
    """Write a configuration."""
    return f"port: 0\nlisten: {listen}\nworkers: {workers}\nencKey: {KEY}\nremote: http://127.0.0.1:9/login\n"


def check(place: str | int) -> int:
    """Have a good token checked, on a connection of its own to a port or a path."""
    client = http.client.HTTPConnection("127.0.0.1", timeout=PATIENCE_S)
    try:
        client.sock = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
        client.sock.settimeout(PATIENCE_S)
        client.sock.connect(place if isinstance(place, str) else ("127.0.0.1", place))
        token = jwt.encode({"exp": time.time() + 60}, KEY, "HS256")
        client.request("GET", "/checkToken", headers={"Authorization": f"Bearer {token}"})
        return client.getresponse().status
    finally:
        client.close()


def is_served(path: str) -> bool:
    """Whether a new client is answered."""
    try:
        return check(path) == 200
    except (ConnectionRefusedError, ConnectionResetError):  # reset: nobody had accepted it when the socket was closed
        return False


def addresses(process: ServiceProcess) -> list[str]:
    """Wait until the service listens, and return where."""
    return list(json.loads(process.line_with('"listening"'))["addresses"])


@both_kinds
def test_a_unix_socket_alone(tmp_path: Path, workers: int) -> None:
    """Every worker answers on the socket; its peers are `unix` in the log, and its file goes with the service."""
    path = f"{tmp_path}/t.sock"
    with service_process(tmp_path, config=settings(f"unix:{path}", workers)) as process:
        assert addresses(process) == [f"unix:{path}"]
        assert [check(path) for _ in range(20)] == [200] * 20
        assert json.loads(process.line_with('"request"'))["client"] == "unix"
        with service_process(tmp_path, "health") as health:
            code, output, _ = health.ended()
            assert (code, output.startswith(f"unix:{path}: ready")) == (0, True)
        process.send(signal.SIGTERM)
        code, _, errors = process.ended()
    assert (code, errors) == (0, "")
    assert not os.path.exists(path)


@both_kinds
def test_beside_an_address(tmp_path: Path, workers: int) -> None:
    """Addresses and paths can stand in one list."""
    path = f"{tmp_path}/t.sock"
    with service_process(tmp_path, config=settings(f"['unix:{path}', 127.0.0.1]", workers)) as process:
        (tcp, unix) = addresses(process)
        assert unix == f"unix:{path}"
        assert check(path) == check(int(tcp.rpartition(":")[2])) == 200


@needs_curl
def test_curl(tmp_path: Path) -> None:
    """curl gets through by the socket."""
    path = f"{tmp_path}/t.sock"
    with service_process(tmp_path, config=settings(f"unix:{path}")) as process:
        addresses(process)
        command = ["curl", "-sS", "--unix-socket", path, "http://localhost/readyz"]
        assert subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True).stdout


@both_kinds
def test_one_after_the_other(tmp_path: Path, workers: int) -> None:
    """A second service on the same path is refused with 1; when the first was killed, it takes the dead one's place."""
    path = f"{tmp_path}/t.sock"
    config = settings(f"unix:{path}", workers)
    with service_process(tmp_path, config=config) as first:
        addresses(first)
        with service_process(tmp_path) as second:
            code, output, errors = second.ended()
        assert (code, output) == (1, "")
        assert errors.startswith(f"txtoken: cannot listen on unix:{path}: the socket is in use.")
        assert check(path) == 200
        first.send(signal.SIGKILL)
        first.ended()
    assert os.path.exists(path)
    with service_process(tmp_path) as third:
        addresses(third)
        assert check(path) == 200


def test_a_missing_directory(tmp_path: Path) -> None:
    """An impossible path is reported in one line, with exit code 1."""
    with service_process(tmp_path, config=settings(f"unix:{tmp_path}/none/t.sock")) as process:
        code, output, errors = process.ended()
    assert (code, output) == (1, "")
    assert f"the directory {tmp_path}/none does not exist" in errors
    assert errors.count("\n") == 1


def test_a_worker_that_dies(tmp_path: Path) -> None:
    """While one of the workers is dead the others answer, and the next one takes its place on the same socket."""
    path = f"{tmp_path}/t.sock"
    with service_process(tmp_path, config=settings(f"unix:{path}", 2) + "log: {level: debug}\n") as process:
        addresses(process)
        pid = process.process.pid
        for _ in range(2):
            os.kill(int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]), signal.SIGKILL)
            assert [check(path) for _ in range(20)] == [200] * 20
            process.line_with("is replaced")
            process.line_with('"worker ready"')
        process.send(signal.SIGTERM)
        assert process.ended()[0] == 0
    assert not os.path.exists(path)


@both_kinds
def test_requests_that_run_at_the_end(tmp_path: Path, workers: int) -> None:
    """At the end a request that has begun is answered, and who comes later is refused."""
    path = f"{tmp_path}/t.sock"
    with service_process(tmp_path, config=settings(f"unix:{path}", workers)) as process:
        addresses(process)
        with socket.socket(socket.AF_UNIX) as begun:
            begun.settimeout(PATIENCE_S)
            begun.connect(path)
            begun.sendall(b"POST /checkToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
            process.send(signal.SIGTERM)
            process.line_with('"draining"')
            while is_served(path):  # the line is written a moment before the sockets are closed
                pass
            begun.sendall(b"}")
            assert begun.recv(1000).startswith(b"HTTP/1.1 401")
        assert process.ended()[0] == 0


@both_kinds
def test_passed_sockets(tmp_path: Path, workers: int) -> None:
    """Sockets that are passed take the place of `listen` and `port`, which the log says, and are left to who made them."""
    path = f"{tmp_path}/t.sock"
    config = settings(f"unix:{tmp_path}/unused.sock", workers)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        port = tcp.getsockname()[1]
        for _ in range(2):  # and once more: the second service takes over where the first has ended
            with service_process(tmp_path, config=config, passed=[tcp, unix]) as process:
                process.line_with("replace listen and port")
                assert addresses(process) == [f"127.0.0.1:{port}", f"unix:{path}"]
                for _ in range(20):
                    assert check(port) == check(path) == 200
                process.send(signal.SIGTERM)
                assert process.ended()[0] == 0
        assert os.path.exists(path)
    assert not os.path.exists(f"{tmp_path}/unused.sock")


def test_something_else_is_passed(tmp_path: Path) -> None:
    """A socket that does not listen ends the start with 1."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        service_process(tmp_path, config=settings("127.0.0.1"), passed=[datagrams]) as process,
    ):
        code, output, errors = process.ended()
    assert (code, output) == (1, "")
    assert errors.startswith(
        "txtoken: file descriptor 3, which was passed to this process (LISTEN_FDS), is not a listening stream"
    )


def test_sockets_of_another_process(tmp_path: Path) -> None:
    """What was meant for another process is left alone."""
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    with service_process(tmp_path, config=settings("127.0.0.1"), environment=environment) as process:
        assert check(process.port) == 200
        assert "replace listen and port" not in "".join(process.lines)


@needs_systemd
@both_kinds
def test_systemd(tmp_path: Path, workers: int) -> None:
    """systemd's own tool starts the service with a socket when the first client comes, and that client is answered."""
    path = f"{tmp_path}/t.sock"
    (tmp_path / "example_cfg.yml").write_text(settings("127.0.0.1", workers))
    command = ["systemd-socket-activate", f"--listen={path}", *PROGRAM]
    for name, text in clean_environment().items():
        if name in ("PATH", "PYTHONPATH"):
            command[1:1] = [f"--setenv={name}={text}"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        try:
            assert b"Listening on" in process.stderr.readline()
            assert check(path) == 200
            # The supervisor writes it, and a worker may have written its access line before.
            assert any(b"replace listen and port" in process.stdout.readline() for _ in range(2))
        finally:
            process.terminate()
        assert process.wait(PATIENCE_S) == 0
