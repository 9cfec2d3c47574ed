"""Which address `txtoken health` asks, and what it makes of the answer."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.cli.terminal import Terminal
from tests.running import PATIENCE_S
from txtoken.cli.exit_codes import FAILED, OK


@contextlib.contextmanager
def answering(status: int) -> Iterator[int]:
    """Answer requests for /readyz with `status`, and anything else with 404. Yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


@pytest.mark.parametrize(("status", "code", "reason"), [(200, OK, "ready"), (503, FAILED, "status 503")])
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104 - nothing is bound there
def test_health_of_a_service_that_answers(terminal: Terminal, status: int, code: int, reason: str, listen: str) -> None:
    """A service is healthy when /readyz says 200, and only then; one that listens everywhere is asked on loopback."""
    with answering(status) as port:
        overrides = ("--set", f"port={port}", "--set", f"listen={listen}")
        ran = terminal.run("health", *overrides)
        assert ran.code == code
        assert re.fullmatch(rf"(127\.0\.0\.1|localhost):{port}: {reason} \([0-9.]+ ms\)\n", ran.out)
        ran = terminal.run("health", "--output", "json", *overrides)
        assert ran.code == code
        assert (ran.json["ready"], ran.json["status"], set(ran.json)) == (
            status == 200,
            status,
            {"ready", "status", "ms"},
        )


def test_health_of_a_service_that_is_not_there(terminal: Terminal) -> None:
    """Where nobody answers the service is not healthy: exit code 1, and a status of null."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        override = f"port={bound.getsockname()[1]}"
        ran = terminal.run("health", "--set", override)
        assert ran.code == FAILED
        assert "no answer" in ran.out
        ran = terminal.run("health", "--output", "json", "--set", override)
        assert (ran.code, ran.json["ready"], ran.json["status"]) == (FAILED, False, None)


def test_health_of_something_else(terminal: Terminal) -> None:
    """What does not speak HTTP is not healthy, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")
                connection.recv(65_536)

        thread = threading.Thread(target=greet)
        thread.start()
        ran = terminal.run("health", "--set", f"port={listening.getsockname()[1]}")
        thread.join(PATIENCE_S)
    assert ran.code == FAILED
    assert "no answer" in ran.out
