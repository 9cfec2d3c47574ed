"""Envoy as no file of ours has it: open when txtoken fails, and without a prefix. What txtoken answers holds all the same."""

from __future__ import annotations

import contextlib
import re
import select
import socket
from pathlib import Path
from typing import Final

import pytest

from tests.forward_auth.stage import DOOR_PORT, PORT, USER, Front, Stage, bearer, of
from tests.fronting import HOST
from tests.running import KEY, PATIENCE_S, service_process

DOOR: Final = Front("envoy", f"{HOST}:{DOOR_PORT}")
PREFIX: Final = Front("envoy", "/prefix")
CLIENTS: Final = 100
HALF_BYTES: Final = 15_000  # a head that has not come to its end; of all together 1 MiB is held


def open_on_failure(text: str) -> str:
    """Let requests pass when txtoken cannot be asked."""
    assert "failure_mode_allow: false" in text
    return text.replace("failure_mode_allow: false", "failure_mode_allow: true")


def without_prefix(text: str) -> str:
    """Request the client's path alone, as a gateway without a configured path."""
    assert "path_prefix: /prefix" in text
    return re.sub("path_prefix: .*", "", text)


@of(DOOR, PREFIX)
def test_open_on_failure(stage: Stage, front: Front) -> None:
    """A fail-open Envoy passes nobody whom txtoken can refuse; with txtoken down all pass, without any claim of their own."""
    opened = Front(front.program, front.section)
    port = stage.start(opened, open_on_failure, f"open {front}")
    asked = _Opened(stage, port)
    assert asked.status(bearer(user="ada")) == 200
    for line in (
        *(
            "X-None: 1",
            "Authorization: Bearer x",
            f"Authorization: Bearer {'x' * 12_000}",
            f"Authorization: {'x' * 20_000}",
        ),
        *(f"Cookie: __Host-session={'x' * 30_000}", f"Authorization: Bearer x\r\nCookie: a={'y' * 40_000}"),
    ):
        before = len(stage.protected.seen)
        assert asked.status(line) in (400, 401, 403, 431), line[:60]
        assert len(stage.protected.seen) == before
    stage.stop_service()
    try:
        assert asked.status(f"{USER}: spoof", f"{USER.lower().replace('-', '_')}: spoof") == 200
        assert not any("spoof" in value for _, value in stage.protected.seen[-1].fields)
    finally:
        stage.restart_service()
    assert asked.status("X-None: 1") == 401


class _Opened:
    """Asks a proxy at a port."""

    def __init__(self, stage: Stage, port: int) -> None:
        self._stage = stage
        self._port = port

    def status(self, *lines: str) -> int:
        """Send one request. Returns its status."""
        return self._stage.ask_at(self._port, "GET", "/x", *lines).status


@of(PREFIX)
def test_why_the_file_has_a_prefix(stage: Stage, front: Front) -> None:
    """Without it, and without an address of its own, a client's path is asked for: txtoken's health lets it pass."""
    asked = _Opened(stage, stage.start(front, without_prefix, "no prefix"))
    assert asked.status("X-None: 1") == 404
    assert stage.ask_at(stage.start(front, without_prefix, "no prefix"), "GET", "/livez").status == 200


@pytest.mark.parametrize("route", ["/prefix", "/"])
def test_want_of_room_is_no_5xx(tmp_path: Path, route: str) -> None:
    """A txtoken that holds too much gives up questions with 403, which a fail-open proxy takes for a refusal."""
    listen = f"listen: '{HOST}:{DOOR_PORT + 1}', " if route == "/" else ""
    config = (
        f"port: {PORT + 1}\nlisten: {HOST}\nencKey: {KEY}\nremote: http://127.0.0.1:9/\nlimits: {{bufferedBytes: 1MiB}}\n"
        f"log: {{access: false}}\nforwardAuth: {{route: {route}, {listen}envoy: true}}\n"
    )
    statuses = set()
    with service_process(tmp_path, "serve", config=config) as service, contextlib.ExitStack() as stack:
        assert service.port == PORT + 1
        port = DOOR_PORT + 1 if listen else PORT + 1
        socks = [stack.enter_context(socket.create_connection((HOST, port), PATIENCE_S)) for _ in range(CLIENTS)]
        for sock in socks:
            sock.sendall(f"GET {route} HTTP/1.1\r\nHost: a\r\nX-Long: {'x' * HALF_BYTES}".encode())
        assert select.select(socks, [], [], PATIENCE_S)[0]  # some were given up
        for sock in socks:
            with contextlib.suppress(ConnectionError):
                sock.sendall(b"\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                statuses.add(sock.recv(12))
    assert b"HTTP/1.1 403" in statuses
    assert statuses <= {b"HTTP/1.1 403", b"HTTP/1.1 401"}
