"""The service on all addresses, as it listens when nothing is said: clients of both families, and their names in the log."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Final

import pytest

from tests.running import KEY, PATIENCE_S, run_command, service_process

CONFIG: Final = f"port: 0\nencKey: {KEY}\nremote: http://127.0.0.1:9/login\nreload: off\n"
CLAIM: Final = b"X-Forwarded-For: 203.0.113.9"
HOSTS: Final = ("127.0.0.1", "::1") if socket.has_ipv6 else ("127.0.0.1",)


def check_from(host: str, port: int, *lines: bytes) -> bytes:
    """Ask the check route, and return the status line."""
    with socket.create_connection((host, port), timeout=PATIENCE_S) as client:
        client.sendall(b"\r\n".join((b"GET /checkToken HTTP/1.1", b"Host: a", b"Connection: close", *lines, b"", b"")))
        with client.makefile("rb") as answer:
            return answer.read().partition(b"\r\n")[0]


def health(folder: Path, port: int, *overrides: str) -> str:
    """Run `txtoken health` for the service on this port, and return what it says."""
    options = [word for override in (f"port={port}", *overrides) for word in ("--set", override)]
    done = run_command(folder, "health", *options, capture_output=True)
    assert done.stderr == b""
    said: str = done.stdout.decode()
    return said


@pytest.mark.parametrize("workers", [1, 2])
def test_the_default_is_both_families(tmp_path: Path, workers: int) -> None:
    """Without `listen` clients of IPv4 and IPv6 are served, and one of IPv4 is named as such and trusted by its network."""
    config = f"{CONFIG}workers: {workers}\ntrustedProxies: [127.0.0.0/8]\n"
    with service_process(tmp_path, "serve", config=config) as process:
        port = process.port
        for host in HOSTS:
            for lines in ((), (CLAIM,)):
                assert check_from(host, port, *lines) == b"HTTP/1.1 401 Unauthorized"
        assert f"127.0.0.1:{port}: ready" in health(tmp_path, port)
        process.send(signal.SIGTERM)
        code, output, _ = process.ended()
    assert code == 0
    events = [json.loads(line) for line in output.splitlines()]
    assert sorted(event["client"] for event in events if event.get("path") == "/checkToken") == sorted(
        ["127.0.0.1", "203.0.113.9", "::1", "::1"][: 2 * len(HOSTS)]
    )
    (listening,) = (event for event in events if event["message"] == "listening")
    assert listening["addresses"] == ([f"[::]:{port}"] if socket.has_ipv6 else [f"0.0.0.0:{port}"])


def test_the_admin_port_too(tmp_path: Path) -> None:
    """The admin port has the same addresses, and `health` finds it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        admin = free.getsockname()[1]
    with service_process(tmp_path, "serve", config=f"{CONFIG}adminPort: {admin}\n") as process:
        port = process.port
        for host in HOSTS:
            with socket.create_connection((host, admin), timeout=PATIENCE_S) as client:
                client.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert f"127.0.0.1:{admin}: ready" in health(tmp_path, port, f"adminPort={admin}")
        process.send(signal.SIGTERM)
        assert process.ended()[0] == 0


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("listen", "asked"),
    [("::,127.0.0.2", "::1"), ("::1", "::1"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1")],  # noqa: S104 - that is the question
)
def test_health_asks_where_it_listens(tmp_path: Path, listen: str, asked: str) -> None:
    """`health` asks an address that the service has: loopback of a family that it listens on."""
    with service_process(tmp_path, "serve", "--set", f"listen={listen}", config=CONFIG) as process:
        port = process.port
        assert health(tmp_path, port, f"listen={listen}").startswith(
            f"{f'[{asked}]' if ':' in asked else asked}:{port}: ready"
        )
        process.send(signal.SIGTERM)
        assert process.ended()[0] == 0


def test_a_weak_key_where_systemd_listens(tmp_path: Path) -> None:
    """A key that everybody knows is not served on sockets that were passed: `listen` does not say where these are bound."""
    example = (Path(__file__).parents[1] / "example_cfg.yml").read_text()
    with (
        socket.create_server(("127.0.0.1", 0)) as passed,
        service_process(tmp_path, "serve", config=example, passed=[passed]) as process,
    ):
        code, _, errors = process.ended()
    assert code == 78
    assert "is the example file's key" in errors
