"""The whole service from outside: real processes, real sockets, real signals."""

from __future__ import annotations

import http.client
import json
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, PROGRAM, ServiceProcess, found_first, service_process


@pytest.fixture
def login_api() -> Iterator[LoginApi]:
    """A login API."""
    api = LoginApi()
    yield api
    api.close()


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def settings(api: LoginApi, more: str = "") -> str:
    """Write a configuration."""
    return f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {api.url}\nexpHours: 2\n{more}"


@pytest.fixture
def service(tmp_path: Path, login_api: LoginApi) -> Iterator[ServiceProcess]:
    """The service in front of the login API."""
    with service_process(tmp_path, "serve", config=settings(login_api)) as process:
        yield process


def post(port: int, credentials: object, path: str = "/getToken") -> tuple[int, Any]:
    """POST JSON on a connection of its own. Returns status and answer."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.request("POST", path, json.dumps(credentials))
        response = client.getresponse()
        return response.status, json.loads(response.read())
    finally:
        client.close()


def check(port: int, token: str) -> tuple[int, Any]:
    """Have a token checked."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.request("GET", "/checkToken", headers={"Authorization": f"Bearer {token}"})
        response = client.getresponse()
        return response.status, json.loads(response.read())
    finally:
        client.close()


def test_login_and_check(service: ServiceProcess, login_api: LoginApi) -> None:
    """A login becomes a token that PyJWT and the check route find valid; a wrong one becomes none."""
    port = service.port
    status, answer = post(port, {"user": "ada", "password": "right"})
    assert status == 200
    claims = jwt.decode(answer["token"], KEY, ["HS256"])
    assert claims["data"] == {"user": "ada"}
    assert abs(claims["exp"] - time.time() - 7200) < 5
    assert check(port, answer["token"])[1]["Claims"] == claims
    assert check(port, answer["token"][:-2])[0] == 401
    assert post(port, {"user": "ada", "password": "wrong"}) == (
        500,
        {"message": "Remote post status failure.", "status": 401},
    )
    bearer = jwt.decode(login_api.bearers[0].removeprefix("Bearer "), KEY, ["HS256"])
    assert bearer["data"] == {}
    assert abs(bearer["exp"] - time.time() - 300) < 5


@needs_curl
def test_curl(service: ServiceProcess) -> None:
    """curl, which most people try first, gets a token with a body of its own type."""
    command = ["curl", "-sS", "-d", '{"user":"ada","password":"right"}', f"http://127.0.0.1:{service.port}/getToken"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True)
    assert json.loads(done.stdout)["token"].count(".") == 2


def test_a_running_login_survives_sigterm(service: ServiceProcess, login_api: LoginApi) -> None:
    """After SIGTERM running logins are answered, with `Connection: close`, and the service ends with 0."""
    port = service.port
    login_api.gate.clear()
    results: list[tuple[int, str | None]] = []

    def log_in() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        client.request("POST", "/getToken", '{"password":"right"}')
        response = client.getresponse()
        results.append((response.status, response.getheader("Connection")))
        client.close()

    threads = [threading.Thread(target=log_in) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert login_api.arrived.acquire(timeout=PATIENCE_S)
    service.send(signal.SIGTERM)
    service.line_with('"draining"')
    login_api.gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert results == [(200, "close")] * 20
    code, output, errors = service.ended()
    assert (code, errors) == (0, "")
    assert '"stopped"' in output


def test_sigterm_under_load(service: ServiceProcess) -> None:
    """Clients that send request after request lose none when the service ends: an answer, or a connection not taken."""
    port = service.port
    token = jwt.encode({"exp": time.time() + 60}, KEY, "HS256")
    answered = threading.Semaphore(0)
    faults: list[str] = []

    def keep_checking() -> None:
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            except ConnectionError:
                return  # it has ended: nobody was there to take a request
            with client:
                request = f"GET /checkToken HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode()
                while True:
                    try:
                        client.sendall(request)
                        head = client.recv(65536)
                    except ConnectionError as error:
                        head = b""
                        faults.append(f"cut: {error}")
                    if not head.startswith(b"HTTP/1.1 200"):
                        faults.append(f"no answer: {head[:50]!r}")
                        return
                    answered.release()
                    if b"Connection: close" in head:
                        return

    threads = [threading.Thread(target=keep_checking) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(500):
        assert answered.acquire(timeout=PATIENCE_S)
    service.send(signal.SIGTERM)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert faults == []
    assert service.ended()[0] == 0


def test_nobody_is_left_waiting_at_the_end(service: ServiceProcess, login_api: LoginApi) -> None:
    """While running logins are finished, who connects anew is refused at once and not kept waiting for a reset."""
    port = service.port
    login_api.gate.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(b"POST /getToken HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + b'{"password":"right"}')
        assert login_api.arrived.acquire(timeout=PATIENCE_S)
        service.send(signal.SIGTERM)
        service.line_with('"draining"')
        refused = False
        while not refused:  # the line is written a moment before the sockets are closed
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as late:
                    late.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert late.recv(1000).startswith(b"HTTP/1.1 200")
            except ConnectionResetError:
                pass  # it was in the socket's queue in the moment in which that was closed
            except ConnectionRefusedError:
                refused = True
        login_api.gate.set()
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    assert service.ended()[0] == 0


def test_a_second_signal_ends_at_once(service: ServiceProcess, login_api: LoginApi) -> None:
    """A second signal does not wait for a login that hangs."""
    port = service.port
    login_api.gate.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(b"POST /getToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert login_api.arrived.acquire(timeout=PATIENCE_S)
        service.send(signal.SIGINT)
        service.line_with('"draining"')
        service.send(signal.SIGINT)
        code, output, _ = service.ended()
    assert code == 1
    assert "stopped at once by a second signal" in output


def test_a_port_in_use(tmp_path: Path, login_api: LoginApi) -> None:
    """A port in use ends the start with exit code 1 and one line that says so (the original: 0)."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with service_process(tmp_path, "serve", "--set", f"port={port}", config=settings(login_api)) as process:
            code, output, errors = process.ended()
    assert code == 1
    assert output == ""
    assert errors.startswith(f"txtoken: cannot listen on 127.0.0.1:{port}: the port is in use.")
    assert errors.count("\n") == 1


def test_a_bad_configuration(tmp_path: Path) -> None:
    """A bad configuration ends the start with exit code 78, all problems in one message and no secret in it."""
    config = "port: 99999\nencKey: short-secret\nremote: ftp://x\nexpHuors: 1\n"
    with service_process(tmp_path, config=config) as process:
        code, output, errors = process.ended()
    assert (code, output) == (78, "")
    for line in range(1, 5):
        assert f"example_cfg.yml, line {line}: " in errors
    assert "did you mean expHours?" in errors
    assert "short-secret" not in errors


def test_without_uvloop(tmp_path: Path, login_api: LoginApi) -> None:
    """Where uvloop cannot be had the service runs on asyncio's own loop, says so, and answers the same."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "uvloop.py").write_text("raise ImportError('no wheel for this machine')\n")
    environment = found_first(shadow)
    with service_process(tmp_path, "serve", config=settings(login_api), environment=environment) as process:
        assert json.loads(process.line_with("uvloop is not installed"))["level"] == "warning"
        port = process.port
        token = post(port, {"user": "ada", "password": "right"})[1]["token"]
        assert check(port, token)[1]["Claims"]["data"] == {"user": "ada"}
        process.send(signal.SIGTERM)
        assert process.ended()[0] == 0


def test_logs(tmp_path: Path, login_api: LoginApi) -> None:
    """Every request has its line, and no line holds a token, a key or a body."""
    with service_process(tmp_path, "serve", config=settings(login_api)) as process:
        port = process.port
        token = post(port, {"user": "ada-lovelace", "password": "right"})[1]["token"]
        post(port, {"password": "hunter-two"})
        check(port, token)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        client.request("GET", f"/checkToken?access_token={token}", headers={"X-Request-Id": "r-42"})
        assert client.getresponse().status == 200
        client.close()
        process.send(signal.SIGTERM)
        _, output, errors = process.ended()
    requests = [event for event in map(json.loads, output.splitlines()) if event["message"] == "request"]
    assert [(event["path"], event["status"]) for event in requests] == [
        ("/getToken", 200),
        ("/getToken", 500),
        ("/checkToken", 200),
        ("/checkToken", 200),
    ]
    assert requests[0]["remote_ms"] <= requests[0]["ms"]
    assert requests[3]["request_id"] == "r-42"
    for secret in (token, token.rpartition(".")[2], KEY, "ada-lovelace", "hunter-two", "eyJ"):
        assert secret not in output + errors


def test_a_closed_log_does_not_stop_it(tmp_path: Path, login_api: LoginApi) -> None:
    """When the reader of the log goes away, the service keeps running."""
    (tmp_path / "example_cfg.yml").write_text(settings(login_api))
    command = f"exec {shlex.join(PROGRAM)} serve > >(exec head -n 1)"
    with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        port = int(json.loads(process.stdout.readline())["addresses"][0].rpartition(":")[2])
        assert process.stdout.read() == b""  # `head` has ended
        token = jwt.encode({"exp": time.time() + 60}, KEY, "HS256")
        for _ in range(20):
            assert check(port, token)[0] == 200
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_nothing_is_said_of_health_checks(tmp_path: Path, login_api: LoginApi) -> None:
    """Health routes answer without a token and leave no line in the log."""
    with service_process(tmp_path, "serve", config=settings(login_api)) as process:
        port = process.port
        for path in ("/livez", "/readyz", "/healthz"):
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            client.request("GET", path)
            assert client.getresponse().status == 200
            client.close()
        with service_process(tmp_path, "health", "--set", f"port={port}") as health:
            assert health.ended()[0] == 0
        process.send(signal.SIGTERM)
        assert '"request"' not in process.ended()[1]
