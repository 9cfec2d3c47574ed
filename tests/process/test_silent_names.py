"""The end of a process while look-ups of names hang. The name server is a function that never answers."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.running import KEY, run_first, service_process

SITECUSTOMIZE = """
import socket, threading
real = socket.getaddrinfo
def getaddrinfo(host, *args, **options):
    if host == "login.internal":
        threading.Event().wait()
    return real(host, *args, **options)
socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_the_end_while_names_hang(tmp_path: Path, workers: int) -> None:
    """SIGTERM ends the service with exit code 0 when its work is done, whatever look-up of a name still hangs."""
    config = (
        f"port: 0\nlisten: 127.0.0.1\nworkers: {workers}\nencKey: {KEY}\nremote: http://login.internal/login\n"
        "timeouts: {connect: 0.2, remote: 1, drain: 2}\n"
    )
    with service_process(tmp_path, "serve", config=config, environment=run_first(tmp_path, SITECUSTOMIZE)) as service:
        port = service.port
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"POST /getToken HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                answer = client.recv(4096)
                assert answer.startswith(b"HTTP/1.1 500 ")
                body = json.loads(answer.partition(b"\r\n\r\n")[2])
                assert body == {
                    "message": "Remote post failure.",
                    "error": "the remote's name could not be resolved in time",
                }
        before = time.monotonic()
        service.send(signal.SIGTERM)
        code, output, errors = service.ended()
        assert time.monotonic() - before < 3
        assert code == 0, output + errors
        assert "stopped" in output
        assert not errors
