"""One process: binding, the signals' meaning, and what it does when its parts fail."""

from __future__ import annotations

import http.client
import json
import logging
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, PROGRAM, clean_environment
from txtoken.demo import demo_config
from txtoken.process.descriptors import with_room
from txtoken.settings import Config, LogSettings


@pytest.fixture
def config() -> Config:
    """A good configuration."""
    return demo_config(0, "http://127.0.0.1:9/login", LogSettings())


@pytest.mark.parametrize(
    ("soft", "hard", "asked", "connections", "remote_connections"),
    [
        (20_000, 20_000, None, 10_000, 256),
        (1024, 20_000, 10_336, 10_000, 256),
        (1024, resource.RLIM_INFINITY, 10_336, 10_000, 256),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, 10_000, 256),
        (1024, 4096, 4096, 3916, 100),
        (1024, 1024, 1024, 921, 23),
        (256, 256, 256, 172, 4),
        (64, 64, 64, 31, 1),
    ],
)
def test_room_for_clients(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    soft: int,
    hard: int,
    asked: int | None,
    connections: int,
    remote_connections: int,
) -> None:
    """A process asks for as many files as it needs; where it does not get them, clients and connections to the remote shrink
    in proportion, and a warning says to what.
    """
    calls: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: calls.append(limit[0]))
    limits = with_room(config, logging.getLogger("txtoken.test")).limits
    assert (limits.connections, limits.remote_connections) == (connections, remote_connections)
    assert calls == ([] if asked is None else [asked])
    assert bool(caplog.records) == (connections < 10_000)
    for record in caplog.records:
        fields = {"files": hard, "connections": connections, "remote_connections": remote_connections}
        assert record.fields == fields  # type: ignore[attr-defined]  # of `extra`


@pytest.mark.parametrize("workers", [1, 2])
def test_too_few_files_to_start(tmp_path: Path, workers: int) -> None:
    """With fewer than 64 files the service ends with exit code 1 and says why, however many workers it has."""
    (tmp_path / "cfg.yml").write_text(
        f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nworkers: {workers}\nremote: http://127.0.0.1:9/\n"
    )
    command = ["bash", "-c", 'ulimit -n 63; exec "$@"', "bash", *PROGRAM, "serve", "-c", "cfg.yml"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "this process may open 63 files (ulimit -n): at least 64 are needed" in ended.stderr


def test_few_files_serve_clients_and_the_remote(tmp_path: Path) -> None:
    """With 256 files many clients are let in, their logins reach the remote, and who comes past all places is served."""
    api = LoginApi()
    text = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {api.url}\n"
    (tmp_path / "cfg.yml").write_text(text)
    program = ["bash", "-c", 'ulimit -n 256; exec "$@"', "bash", *PROGRAM]
    with subprocess.Popen(
        [*program, "serve", "-c", "cfg.yml"], cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            events = [json.loads(process.stdout.readline()) for _ in range(2)]
            assert (events[0]["connections"], events[0]["remote_connections"]) == (172, 4)
            port = int(events[1]["addresses"][0].rpartition(":")[2])
            for _ in range(4):
                silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
                clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S) for _ in range(12)]
                for client in clients:
                    client.request("POST", "/getToken", body='{"password":"right"}')
                    assert client.getresponse().status == 200
                for sock in silent:
                    sock.close()
                for client in clients:
                    client.close()
        finally:
            process.terminate()
            api.close()
    assert process.returncode == 0
