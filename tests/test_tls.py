"""The whole service over TLS, from outside: real processes, certificates of a test's own, independent clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from tests.certifying import (
    OTHER_CA,
    Files,
    client_context,
    server_context,
    write_authority,
    write_certificate,
)
from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, found_first, service_process

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
LOGIN = json.dumps({"user": "ada", "password": "right"})


@pytest.fixture
def login_api() -> Iterator[LoginApi]:
    """A login API."""
    api = LoginApi()
    yield api
    api.close()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The service's certificate and key, in the folder where it runs; the authority is in `ca.crt`."""
    write_authority(tmp_path)
    return write_certificate(tmp_path, "localhost")


def settings(remote: str, more: str = "", tls: str = "certFile: tls.crt, keyFile: tls.key") -> str:
    """Write a configuration."""
    return f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {remote}\ntls: {{{tls}}}\n{more}"


def connect(port: int, context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
    """Connect to the service, which has to show a certificate for `localhost`."""
    client = http.client.HTTPSConnection("localhost", port, context=context or client_context(), timeout=PATIENCE_S)
    client.connect()
    return client


def log_in(client: http.client.HTTPSConnection) -> tuple[int, str]:
    """Log in. Returns status and what the answer says of the connection."""
    client.request("POST", "/getToken", LOGIN)
    response = client.getresponse()
    answer = json.loads(response.read())
    if response.status == 200:
        assert jwt.decode(answer["token"], KEY, ["HS256"])["data"] == {"user": "ada"}
    return response.status, response.getheader("Connection", "")


def older_context() -> ssl.SSLContext:
    """Make the side of a client that has not heard of TLS 1.2."""
    context = client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def serial(client: http.client.HTTPSConnection) -> str:
    """Tell certificates apart."""
    certificate = client.sock.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def test_a_login(tmp_path: Path, files: Files, login_api: LoginApi) -> None:
    """Logins go through over TLS 1.2 and 1.3, HTTP/1.1 is agreed on, older TLS is not spoken, and the log stays quiet."""
    with service_process(tmp_path, config=settings(login_api.url)) as process:
        port = process.port
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context()
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(["h2", "http/1.1"])
            client = connect(port, context)
            assert isinstance(client.sock, ssl.SSLSocket)
            assert client.sock.selected_alpn_protocol() == "http/1.1"
            assert [log_in(client) for _ in range(3)] == [(200, "")] * 3
            client.close()
        with pytest.raises(OSError, match=r"(?i)EOF|reset|version"):
            connect(port, older_context())
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain:
            plain.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP" not in plain.recv(1000)
        process.send(signal.SIGTERM)
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert [event["client"] for event in map(json.loads, output.splitlines()) if event["message"] == "request"] == [
        "127.0.0.1"
    ] * 6
    assert not [event for event in map(json.loads, output.splitlines()) if event["level"] not in ("info", "debug")]


@needs_curl
def test_curl(tmp_path: Path, files: Files, login_api: LoginApi) -> None:
    """curl gets a token, and an error's text while it is sending a body that is too large."""
    with service_process(tmp_path, config=settings(login_api.url)) as process:
        (tmp_path / "large").write_bytes(b"x" * 8_000_000)
        command = ["curl", "-sS", "--cacert", f"{tmp_path}/ca.crt", f"https://localhost:{process.port}/getToken"]
        done = subprocess.run([*command, "-d", LOGIN], capture_output=True, timeout=PATIENCE_S, check=True)
        assert json.loads(done.stdout)["token"].count(".") == 2
        large = ["-H", "Expect:", "--data-binary", f"@{tmp_path}/large", "-w", "%{http_code}"]
        done = subprocess.run([*command, *large], capture_output=True, timeout=PATIENCE_S, check=False)
        assert done.stdout.endswith(b"413")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_end(tmp_path: Path, files: Files, login_api: LoginApi, workers: int) -> None:
    """After SIGTERM running logins are answered over TLS, with `Connection: close`, beside clients that are idle."""
    with service_process(tmp_path, config=settings(login_api.url, f"workers: {workers}")) as process:
        port = process.port
        idle = connect(port)
        assert log_in(idle) == (200, "")
        assert login_api.arrived.acquire(timeout=PATIENCE_S)
        login_api.gate.clear()
        results: list[tuple[int, str]] = []

        def keep() -> None:
            client = connect(port)
            results.append(log_in(client))
            client.close()

        threads = [threading.Thread(target=keep) for _ in range(20)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert login_api.arrived.acquire(timeout=PATIENCE_S)
        process.send(signal.SIGTERM)
        process.line_with('"draining"')
        login_api.gate.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert [status for status, _ in results] == [200] * 20
        if workers == 1:  # of several, one may answer before the signal has come down to it
            assert {connection for _, connection in results} == {"close"}
        code, _, errors = process.ended()
        assert (code, errors) == (0, "")
        idle.close()


def test_clients_with_certificates(tmp_path: Path, files: Files, login_api: LoginApi) -> None:
    """With `clientCaFile` who has no certificate of that authority gets no answer, and `health` shows the service's own."""
    stranger = write_certificate(tmp_path, "client.example", ca=OTHER_CA, name="stranger")
    friend = write_certificate(tmp_path, "client.example", name="friend")
    config = (
        settings(login_api.url, tls="certFile: tls.crt, keyFile: tls.key, clientCaFile: ca.crt")
        + "log: {level: debug}\n"
    )
    with service_process(tmp_path, config=config) as process:
        port = process.port
        client = connect(port, client_context(certificate=friend))
        assert log_in(client) == (200, "")
        client.close()
        for certificate in (None, stranger):
            with pytest.raises((OSError, http.client.HTTPException)):  # noqa: SIM117 - to connect may fail, or to log in
                with contextlib.closing(connect(port, client_context(certificate=certificate))) as client:
                    log_in(client)
        assert "peer did not return a certificate" in process.line_with("a client's TLS handshake failed")
        with service_process(tmp_path, "health", "--set", f"port={port}") as health:
            assert health.ended()[0] == 0
        process.send(signal.SIGTERM)
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert output.count('"message":"request"') == 1
    assert "traceback" not in output


def test_health_at_the_admin_port(tmp_path: Path, files: Files, login_api: LoginApi) -> None:
    """The admin port never speaks TLS, and `txtoken health` speaks none with it."""
    with service_process(tmp_path, config=settings(login_api.url, "adminPort: 0\n")) as process:
        address = json.loads(process.line_with('"listening"'))["admin_addresses"][0]
        with service_process(tmp_path, "health", "--set", f"adminPort={address.rpartition(':')[2]}") as health:
            code, output, errors = health.ended()
    assert (code, errors) == (0, "")
    assert output.startswith(f"{address}: ready")


@pytest.mark.parametrize("listen", ["127.0.0.1", "unix:t.sock"])
def test_health(tmp_path: Path, files: Files, login_api: LoginApi, listen: str) -> None:
    """`txtoken health` uses TLS, with any certificate for any name, also by a Unix socket."""
    write_certificate(tmp_path, "elsewhere.example", ca=OTHER_CA)
    listen = listen.replace("t.sock", f"{tmp_path}/t.sock")
    with service_process(tmp_path, "serve", "--set", f"listen={listen}", config=settings(login_api.url)) as process:
        address = json.loads(process.line_with('"listening"'))["addresses"][0]
        place = ["--set", f"listen={listen}"]
        if not listen.startswith("unix:"):
            place += ["--set", f"port={address.rpartition(':')[2]}"]
        with service_process(tmp_path, "health", *place) as health:
            code, output, errors = health.ended()
        assert (code, errors) == (0, "")
        assert output.startswith(f"{address}: ready")
        process.send(signal.SIGTERM)
        process.ended()
    with service_process(tmp_path, "health", *place) as health:
        code, output, errors = health.ended()
        assert (code, errors) == (1, "")
        assert "no answer" in output


@pytest.mark.parametrize("workers", [1, 2])
def test_rotation(tmp_path: Path, files: Files, login_api: LoginApi, workers: int) -> None:
    """A certificate that is replaced is shown to who connects later, without a signal. Who was there goes on; a broken pair
    changes nothing, is reported once with its line, and no key is shown.
    """
    config = settings(login_api.url, f"workers: {workers}\nreload: 100ms\n")
    with service_process(tmp_path, config=config) as process:
        port = process.port
        before = connect(port)
        assert log_in(before) == (200, "")
        write_certificate(tmp_path, "localhost")
        assert json.loads(process.line_with("the configuration is reloaded"))["keys"] == [
            "tls.certFile",
            "tls.keyFile",
        ]
        second = until_another(port, serial(before))
        assert log_in(before) == (200, "")
        before.close()
        key = files.key.read_text()
        files.key.write_text("broken")
        (problem,) = json.loads(process.line_with("is rejected, the old one stays"))["problems"]
        assert problem == (
            "example_cfg.yml, line 5: tls.keyFile: tls.key contains no private key in PEM form "
            "(-----BEGIN PRIVATE KEY-----)"
        )
        client = connect(port)
        assert (serial(client), log_in(client)) == (second, (200, ""))
        client.close()
        write_certificate(tmp_path, "localhost")
        process.line_with("the configuration is reloaded")
        until_another(port, second)
        process.send(signal.SIGTERM)
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert max(key.splitlines(), key=len)[10:20] not in output


def until_another(port: int, known: str) -> str:
    """Connect until the certificate is another than the one that is known: workers hear of it a moment later."""
    found = known
    while found == known:
        client = connect(port)
        found = serial(client)
        assert log_in(client) == (200, "")
        client.close()
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_half_written_file_does_not_turn_it_off(
    tmp_path: Path, files: Files, login_api: LoginApi, workers: int
) -> None:
    """A file without `tls`, as one that is half written, is not applied, by a signal either: the port goes on with TLS."""
    secure = settings(login_api.url, f"reload: off\nworkers: {workers}\n")
    with service_process(tmp_path, config=secure) as process:
        port = process.port
        (tmp_path / "example_cfg.yml").write_text(secure.replace("tls:", "# tls:"))
        process.send(signal.SIGHUP)
        assert "tls disappeared from the configuration" in process.line_with("is rejected")
        for _ in range(4):
            client = connect(port)
            client.request("GET", "/livez")
            assert client.getresponse().status == 200
            client.close()
        (tmp_path / "example_cfg.yml").write_text(secure + "expHours: 1\n")
        process.send(signal.SIGHUP)
        process.line_with("the configuration can be used again")
        assert '"keys":["expHours"]' in process.line_with("the configuration is reloaded")


def test_a_bad_start(tmp_path: Path, files: Files) -> None:
    """A certificate without its key ends the start with 78 and its line."""
    write_certificate(tmp_path, "localhost", name="other")
    config = settings("http://127.0.0.1:9/", tls="certFile: tls.crt, keyFile: other.key")
    with service_process(tmp_path, config=config) as process:
        code, output, errors = process.ended()
    assert (code, output) == (78, "")
    assert "line 5: tls.keyFile: the key in other.key does not belong to the certificate in tls.crt" in errors


def test_a_remote_with_tls(tmp_path: Path) -> None:
    """A remote that speaks TLS and wants a certificate is logged in to; its authority can be replaced while serving."""
    write_authority(tmp_path)
    write_certificate(tmp_path, "txtoken.example", ca=OTHER_CA)
    context = server_context("login.example")
    context.verify_mode = ssl.CERT_REQUIRED
    OTHER_CA.configure_trust(context)
    api = LoginApi(tls=context)
    remote = api.url.replace("http://", "https://")
    section = (
        "remoteTls: {caFile: ca.crt, certFile: tls.crt, keyFile: tls.key, serverName: login.example}\nreload: off\n"
    )
    try:
        with service_process(tmp_path, config=settings(remote, section).replace("tls: {", "# ")) as process:
            client = http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_S)
            assert plain_login(client) == (200, None)
            write_authority(tmp_path, OTHER_CA)
            process.send(signal.SIGHUP)
            assert json.loads(process.line_with("the configuration is reloaded"))["keys"] == ["remoteTls.caFile"]
            assert plain_login(client) == (500, "the remote's TLS certificate could not be verified")
            failed = json.loads(process.line_with("the remote failed"))
            assert (failed["error"], "certificate verify failed" in failed["cause"]) == ("tls_verify", True)
            client.close()
    finally:
        api.close()


def plain_login(client: http.client.HTTPConnection) -> tuple[int, str | None]:
    """Log in. Returns the status and the error's text."""
    client.request("POST", "/getToken", LOGIN)
    response = client.getresponse()
    return response.status, json.loads(response.read()).get("error")


def test_a_remote_that_is_not_verified(tmp_path: Path) -> None:
    """`verify: false` takes any certificate, and the log says loudly what that means."""
    api = LoginApi(tls=server_context("other.example"))
    config = settings(api.url.replace("http://", "https://"), "remoteTls: {verify: false}\n").replace("tls: {", "# ", 1)
    try:
        with service_process(tmp_path, config=config) as process:
            assert json.loads(process.line_with("remoteTls.verify is false"))["level"] == "warning"
            client = http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_S)
            assert plain_login(client) == (200, None)
            client.close()
    finally:
        api.close()


def test_without_uvloop(tmp_path: Path, files: Files, login_api: LoginApi) -> None:
    """On asyncio's own loop TLS works the same, from the first login to the end."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "uvloop.py").write_text("raise ImportError('no wheel for this machine')\n")
    environment = found_first(shadow)
    with service_process(tmp_path, config=settings(login_api.url), environment=environment) as process:
        client = connect(process.port)
        assert [log_in(client) for _ in range(3)] == [(200, "")] * 3
        process.send(signal.SIGTERM)
        code, _, errors = process.ended()
        assert (code, errors) == (0, "")
        client.close()
