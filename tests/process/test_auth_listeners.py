"""Dedicated addresses of forward authentication (`forwardAuth.listen`), from outside: real processes, one worker and several."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import time
from pathlib import Path
from typing import Final

import jwt
import pytest

from tests.configuring import changed
from tests.exchange import House
from tests.running import KEY, PATIENCE_S, ServiceProcess, run, service_process
from tests.scrape import scrape
from tests.service.listener import Listener
from tests.service.test_routes import head
from txtoken.demo.configuration import demo_config
from txtoken.errors import ProtocolError, StartError
from txtoken.http1.buffers import EASED_BYTES
from txtoken.http1.messages import Request
from txtoken.observe.logs import LineWriter, open_log
from txtoken.process import heap
from txtoken.process.auth_listeners import CONNECTIONS_MIN, AuthListener, auth_limits, open_auth_listeners
from txtoken.process.inheritance import Inheritance
from txtoken.process.worker import Worker
from txtoken.service.app import App
from txtoken.settings import MIB, Config, ForwardAuthSettings, Limits, LogSettings

both_kinds = pytest.mark.parametrize("workers", [1, 2])
UNKNOWN: Final = ("/livez", "/getToken", "/checkToken", "/metrics", "/", "/fax", "/other/fa", "//fa", "/%66a", "*")


def settings(listener: str, workers: int = 1, more: str = "") -> str:
    """Write a configuration."""
    return (
        f"port: 0\nlisten: 127.0.0.1\nworkers: {workers}\nencKey: {KEY}\nremote: http://127.0.0.1:9/login\n"
        f"forwardAuth: {{route: /fa, headers: {{X-User: /data/id}}, listen: {listener}{more}}}\n"
    )


def listening(process: ServiceProcess) -> tuple[int, list[str]]:
    """Wait until the service listens, and return its port and the addresses of its listeners."""
    fields = json.loads(process.line_with('"listening"'))
    return int(fields["addresses"][0].rpartition(":")[2]), list(fields["forward_auth_addresses"])


def ask(place: str, path: str, token: str = "", method: str = "GET") -> tuple[int, str | None]:
    """Ask on a connection of its own; return the status and the user's header."""
    client = http.client.HTTPConnection("127.0.0.1", timeout=PATIENCE_S)
    try:
        if place.startswith("unix:"):
            client.sock = socket.socket(socket.AF_UNIX)
            client.sock.settimeout(PATIENCE_S)
            client.sock.connect(place.removeprefix("unix:"))
        else:
            client.port = int(place.rpartition(":")[2])
        if "[::1]" in place:
            client.host = "::1"
        client.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = client.getresponse()
        return answer.status, answer.headers["X-User"]
    finally:
        client.close()


def token() -> str:
    """Sign a token."""
    return jwt.encode({"data": {"id": "ada"}, "exp": time.time() + 60}, KEY, "HS256")


@both_kinds
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_nothing_else_is_there(tmp_path: Path, kind: str, workers: int) -> None:
    """On its address the route answers by the token, and every other path is 401, with a good token too. The service's own
    address does not have the route.
    """
    path = f"{tmp_path}/listener.sock"
    with service_process(
        tmp_path, config=settings(f"unix:{path}" if kind == "unix" else "'127.0.0.1:0'", workers)
    ) as process:
        port, (listener,) = listening(process)
        for _ in range(4 * workers):
            assert ask(listener, "/fa", token()) == (200, "ada")
            assert ask(listener, "/fa/livez?x=y", token(), "POST") == (200, "ada")
            assert ask(listener, "/fa/../livez", token()) == (200, "ada")
        assert ask(listener, "/fa") == (401, None)
        for other in UNKNOWN:
            method = "OPTIONS" if other == "*" else "GET"
            assert ask(listener, other, token(), method) == (401, None)
            assert ask(listener, other, "", method) == (401, None)
        assert ask(f"127.0.0.1:{port}", "/fa", token())[0] == 404
        assert ask(f"127.0.0.1:{port}", "/livez")[0] == 200
        process.send(signal.SIGTERM)
        assert process.ended()[0] == 0
    assert not os.path.exists(path)


def test_everything_is_below_the_root(tmp_path: Path) -> None:
    """With `route: /` every path asks: a proxy that sends its client's path needs no prefix. All of it is counted as forward
    authentication, and on the service's own port nothing is.
    """
    text = settings("'[::1]:0'").replace("route: /fa", "route: /") + "adminPort: 0\n"
    with service_process(tmp_path, config=text) as process:
        fields = json.loads(process.line_with('"listening"'))
        (listener,) = fields["forward_auth_addresses"]
        ask(fields["addresses"][0], "/nothing", token())
        for path in UNKNOWN[:-1]:
            assert ask(listener, path, token()) == (200, "ada")
            assert ask(listener, path) == (401, None)
        line = json.loads(process.line_with('"status":200'))
        assert line["path"] == "/*"  # the client's path is another service's
        found = scrape(int(fields["admin_addresses"][0].rpartition(":")[2]))
        count = len(UNKNOWN) - 1
        for route, status, times in (
            ("forward_auth", "200", count),
            ("forward_auth", "401", count),
            ("other", "404", 1),
        ):
            assert found.value("txtoken_requests_total", route=route, status=status) == times


def test_an_address_in_use_is_refused(tmp_path: Path) -> None:
    """A listener that cannot be bound keeps the service from starting, and the message names the key."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = f"127.0.0.1:{taken.getsockname()[1]}"
        with service_process(tmp_path, config=settings(f"'{listener}'")) as process:
            code, _, errors = process.ended()
    assert code == 1
    assert f"cannot listen on {listener}: the port is in use" in errors
    assert "forwardAuth.listen" in errors


def test_all_listeners_are_closed_when_one_cannot_be_had(tmp_path: Path) -> None:
    """When one address cannot be bound, those before it are let go of, their files included."""
    path = f"{tmp_path}/listener.sock"
    with socket.create_server(("127.0.0.1", 0)) as found:
        free = f"127.0.0.1:{found.getsockname()[1]}"
    with pytest.raises(StartError), open_auth_listeners([f"unix:{path}", free, f"unix:{tmp_path}/none/listener.sock"]):
        pass
    assert not os.path.exists(path)
    with open_auth_listeners([free]) as auth_listeners:
        assert [sock.fileno() >= 0 for sock in auth_listeners[0].sockets] == [True]
    assert auth_listeners[0].sockets[0].fileno() == -1


@both_kinds
def test_a_reload_moves_no_listener(tmp_path: Path, workers: int) -> None:
    """A reload applies to a dedicated address. A configuration with another address is not applied at all, since its route
    would be nowhere. A listener whose section has gone refuses all.
    """
    listener = f"unix:{tmp_path}/listener.sock"
    first = settings(listener, workers)
    with service_process(tmp_path, config=first) as process:
        listening(process)
        assert ask(listener, "/fa", token()) == (200, "ada")

        def reload(text: str, said: str) -> None:
            (tmp_path / "example_cfg.yml").write_text(text)
            process.send(signal.SIGHUP)
            process.line_with(said)

        reload(first.replace("/data/id", "/data/none"), "is reloaded")
        # One of two workers may have taken it over a little later.
        wait_for(lambda: all(ask(listener, "/fa", token()) == (200, "") for _ in range(16)))
        moved = settings(f"unix:{tmp_path}/other.sock", workers)
        reload(moved, f"forwardAuth.listen: unix:{tmp_path}/other.sock needs a restart")
        assert ask(listener, "/fa", token()) == (200, "")
        reload(first.partition("forwardAuth")[0], "forwardAuth was removed from the configuration")
        wait_for(lambda: ask(listener, "/fa", token()) == (401, None))
        assert ask(listener, "/fa", token()) == (401, None)
        reload(first, "is reloaded")
        wait_for(lambda: ask(listener, "/fa", token()) == (200, "ada"))


def wait_for(happens: object) -> None:
    """Ask until it is so in a worker that is asked, and then in as many more as there may be."""
    assert callable(happens)
    ends = time.monotonic() + PATIENCE_S
    in_a_row = 0
    while in_a_row < 8:
        assert time.monotonic() < ends
        in_a_row = in_a_row + 1 if happens() else 0


@pytest.fixture
def config() -> Config:
    """Return the configuration of a quiet service."""
    return demo_config(0, "http://127.0.0.1:9/login", LogSettings(access=False))


def with_listener(config: Config, **settings_: object) -> Config:
    """Add a listener to a configuration."""
    listener = ForwardAuthSettings("/fa", listen="unix:/listener", **settings_)  # type: ignore[arg-type]
    return changed(config, forward_auth=(listener,), process__auth_addresses=("unix:/listener",))


def test_a_listener_never_answers_with_5xx(config: Config) -> None:
    """Whatever cannot be served at a listener is refused with a 4xx: an Envoy may let requests pass when it gets a 5xx."""

    async def main() -> None:
        house = House(with_listener(config))
        app: App = house.worker._app
        for status in (400, 408, 413, 431, 500, 501, 503, 505):
            refusal = app.auth_router("unix:/listener").refusal(ProtocolError(status, "any", "any"))
            assert refusal.status == (status if status < 500 else 403)
            assert app.router.refusal(ProtocolError(status, "any", "any")).status == status
        assert app.auth_router("unix:/listener").failure(RuntimeError()).status == 403
        await house.close()

    run(main())


def test_refusals_at_a_listener_are_its_route_s(config: Config) -> None:
    """Without `body` nothing at a listener has one, whatever is asked there."""

    async def main() -> None:
        for has_body in (True, False):
            house = House(with_listener(config, has_body=has_body))
            listener = house.worker._app.auth_router("unix:/listener")
            client = Listener()
            listener.find(head("GET", "/elsewhere")).handle(Request(head("GET", "/elsewhere"), b""), client)
            assert (client.told[0].status, bool(client.told[0].body)) == (401, has_body)
            assert bool(listener.refusal(ProtocolError(503, "any", "any")).body) == has_body
            await house.close()

    run(main())


def test_a_listener_lives_as_the_service_does(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener speaks TLS when the service does, returns memory, is counted among the connections, and drains with it."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            whole = with_listener(config)
            writer = LineWriter(1)
            inheritance = Inheritance(auth_listeners=[AuthListener("unix:/listener", [sock])])
            worker = Worker(whole, open_log(writer, level="error", as_json=True), writer, inheritance=inheritance)
            servers = worker._servers
            (listener,) = servers._auth_servers
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            servers.secure(tls)
            assert listener.places.acceptor.tls is tls
            servers.secure(None)
            assert servers.connections_max == Limits().connections + 1000
            given: list[bool] = []
            monkeypatch.setattr(heap, "give_back", lambda: given.append(True))
            listener.buffers._most = 2 * EASED_BYTES
            worker._sweep(asyncio.get_running_loop().time())
            assert given == [True]
            listener.places.deferred, listener.places.handshakes_failed = 2, 3
            assert (servers.take_deferred(), servers.take_handshakes_failed()) == (2, 3)
            assert (servers.take_deferred(), servers.take_handshakes_failed()) == (0, 0)
            await worker.start([])
            client = socket.create_connection(sock.getsockname())
            client.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(client, b"GET /fa HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await asyncio.get_running_loop().sock_recv(client, 1 << 16)
            assert servers.connection_count == 1
            await worker.stop()
            assert sock.fileno() == -1
            assert servers.connection_count == 0
            client.close()
            writer.close()

    run(main())


def test_what_a_listener_takes_on() -> None:
    """A listener takes on a part of what the service does, and never more than that."""
    usual = auth_limits(Limits())
    assert (usual.connections, usual.buffered_bytes, usual.head_bytes) == (1000, 8 * MIB, Limits().head_bytes)
    assert auth_limits(Limits(connections=100)).connections == CONNECTIONS_MIN
    assert auth_limits(Limits(connections=3, buffered_bytes=MIB)) == Limits(connections=3, buffered_bytes=MIB)
