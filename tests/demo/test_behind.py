"""The demo behind a real proxy, by what is exported for it: its requests, its commands, its end, and what it says without one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.fronting import needs
from tests.running import PATIENCE_S, service_process
from txtoken.demo import proxy
from txtoken.errors import StartError

BEHIND = pytest.mark.parametrize("behind", [pytest.param(name, marks=needs(name)) for name in proxy.COMMANDS])
ANY = ("--port", "0", "--login-port", "0", "--proxy-port", "0")


def is_open(url: str) -> bool:
    """Whether somebody listens at a URL."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    gone = contextlib.suppress(ConnectionRefusedError, ConnectionResetError)
    with gone, socket.create_connection((host, int(port)), PATIENCE_S):
        return True
    return False


@BEHIND
def test_once(tmp_path: Path, behind: str) -> None:
    """`demo --once --behind` asks for the protected page with and without a token, ends with 0, and leaves no file."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    with service_process(
        tmp_path, "demo", "--once", "--behind", behind, environment={"TMPDIR": str(folder)}
    ) as process:
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert "Hello ada." in output
    assert "The proxy says that you are: member,author" in " ".join(output.split())
    assert output.count("ok    ") == 7
    assert max(map(len, output.splitlines())) <= 40
    assert [*folder.iterdir()] == []


@BEHIND
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_its_commands_and_its_end(tmp_path: Path, behind: str) -> None:
    """The commands that it prints work as they stand; when it ends, the proxy and its files are gone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    with service_process(tmp_path, "demo", "--behind", behind, *ANY, environment={"TMPDIR": str(folder)}) as process:
        url = process.line_with("And a page at ").split()[4].rstrip(",")
        refused, passed = (process.line_with(text).strip() for text in ("curl -s -i", 'curl -s -H "Authorization'))
        process.line_with("listening")
        for command, expected in ((refused, b"HTTP/1.1 401 "), (passed, b"Hello ada.")):
            for more in ("", " -H 'X-Auth-Request-User: root'"):
                done = subprocess.run(
                    ["bash", "-c", command + more], capture_output=True, timeout=PATIENCE_S, check=True
                )
                assert expected in done.stdout
                assert b"Hello root" not in done.stdout
        assert is_open(url)
        process.send(signal.SIGINT if behind == "nginx" else signal.SIGTERM)
        code, _, errors = process.ended()
    assert (code, errors) == (0, "")
    assert not is_open(url)
    assert [*folder.iterdir()] == []


@BEHIND
@pytest.mark.parametrize("who", ["service", "companion"])
def test_a_killed_demo(tmp_path: Path, behind: str, who: str) -> None:
    """When a process of the demo is killed, the proxy ends."""
    with service_process(tmp_path, "demo", "--behind", behind, *ANY) as process:
        url = process.line_with("And a page at ").split()[4].rstrip(",")
        process.line_with("listening")
        service = process.process.pid
        (child,) = map(int, Path(f"/proc/{service}/task/{service}/children").read_text().split())
        assert is_open(url)
        os.kill(service if who == "service" else child, signal.SIGKILL)
        until = time.monotonic() + PATIENCE_S
        while is_open(url):
            assert time.monotonic() < until


@BEHIND
def test_a_port_in_use(tmp_path: Path, behind: str) -> None:
    """A port of the proxy's that somebody has ends the demo with 1 and one line that says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ("--port", "0", "--login-port", "0", "--behind", behind, "--proxy-port", port)
        with service_process(tmp_path, "demo", *arguments) as process:
            code, _, errors = process.ended()
    assert code == 1
    assert errors == (
        f"txtoken: the demo's {behind} cannot listen on 127.0.0.1:{port}: the port is in use. "
        "Choose another with --proxy-port.\n"
    )


@BEHIND
def test_a_proxy_that_does_not_start(tmp_path: Path, behind: str) -> None:
    """A proxy that rejects its configuration is reported with its own last words, and nothing runs."""
    word = {"nginx": "unknown directive", "caddy": "unrecognized directive"}[behind]
    with (
        pytest.raises(StartError, match=f"(?s){behind} does not listen on .*{word}"),
        proxy.running(behind, tmp_path, "http://127.0.0.1 {\n\tnonsense\n}\n", "127.0.0.1", proxy.free_port()),
    ):
        pass


@pytest.mark.parametrize("name", proxy.COMMANDS)
def test_a_proxy_that_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what installs it."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(StartError, match=f"{name} is not installed here. On Debian and Ubuntu: apt-get install {name}"):
        proxy.find(name)
