"""Many clients through one front, over connections to the service that the front keeps and shares: nobody gets another's.

The real programs run, each where it is installed: `apt-get install nginx-light haproxy caddy`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

import jwt
import pytest

from tests.ambiguous import AMBIGUOUS, PROBE, WELL_FORMED, Kind, Writer, body_of, post
from tests.fronting import (
    CADDY_IS_READY,
    HOST,
    NAME,
    NGINX_IS_READY,
    SERVER,
    Program,
    adapted,
    caddy_command,
    needs,
    nginx_command,
    nginx_main,
)
from tests.login_api import QuietServer
from tests.running import KEY, run, service_process

PORT: Final = 8081
STALL: Final = "1s"  # the fronts' patience with a request that does not end
ODD_CLIENTS: Final = 300
HONEST_CLIENTS: Final = 8
HONEST_LOGINS: Final = 40  # of each
PATIENCE_S: Final = 45.0
TOKEN: Final = re.compile(rb'"token":"([^"]+)"')
SEED: Final = 9
LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)\r\n")


def nginx(folder: Path, service: str) -> tuple[list[str], str | None]:
    """Write nginx's files: the example without TLS. Returns the command, and what it says when it listens."""
    changes = {
        f"server {SERVER} ": f"server {service} ",
        "listen 443 ssl": f"listen {HOST}:{PORT} backlog=1024",
        "    ssl_certificate     /etc/ssl/tokens.example.com.pem;\n": "",
        "    ssl_certificate_key /etc/ssl/tokens.example.com.key;\n": "",
        "client_header_timeout 10s": f"client_header_timeout {STALL}",
        "client_body_timeout 30s": f"client_body_timeout {STALL}; keepalive_timeout 3s",
        "/var/log/nginx": str(folder),
    }
    (folder / "txtoken.conf").write_text(adapted("nginx/txtoken.conf", changes))
    (folder / "nginx.conf").write_text(nginx_main(folder, f"include {folder}/txtoken.conf;"))
    return nginx_command(folder), NGINX_IS_READY


def caddy(folder: Path, service: str) -> tuple[list[str], str | None]:
    """Write Caddy's file: the example without TLS."""
    changes = {
        "\n{\n": "\n{\n\tadmin off\n\tauto_https off\n",
        f"{NAME} {{": f"http://:{PORT} {{\n\tbind {HOST}\n",
        "read_header 10s": f"read_header {STALL}",
        "read_body 30s": f"read_body {STALL}",
        "idle 75s": "idle 3s",
        SERVER: service,
    }
    (folder / "Caddyfile").write_text(adapted("caddy/Caddyfile", changes))
    return caddy_command(folder), CADDY_IS_READY


def haproxy(folder: Path, service: str) -> tuple[list[str], str | None]:
    """Write HAProxy's file. It shares connections as boldly as it can. It uses a socket that listens already."""
    (folder / "haproxy.cfg").write_text(
        "global\n  maxconn 2000\n"
        "defaults\n  mode http\n  http-reuse always\n  timeout connect 3s\n  timeout server 2s\n  timeout client 3s\n"
        f"  timeout http-request {STALL}\n  timeout http-keep-alive 3s\n"
        'frontend clients\n  bind "fd@${LISTENING_FD}"\n  default_backend txtoken\n'
        f"backend txtoken\n  server one {service}\n"
    )
    return ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], None


Write = Callable[[Path, str], tuple[list[str], str | None]]
FRONTS: Final = [
    pytest.param(write, id=write.__name__, marks=needs(write.__name__)) for write in (nginx, haproxy, caddy)
]


class Remote:
    """The login API: answers with the nonce that it was sent, and keeps every body."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        remote = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                remote.bodies.append(body)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        self._server = QuietServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/login"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def remote() -> Iterator[Remote]:
    """Run the login API."""
    api = Remote()
    yield api
    api.close()


@contextlib.contextmanager
def fronted(write: Write, folder: Path, remote: Remote) -> Iterator[int]:
    """Run the service with a front before it. Gives the service's port."""
    config = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {remote.url}\nlog: {{access: false}}\n"
    with service_process(folder, "serve", config=config) as service, socket.socket() as listening:
        port = service.port
        command, said_when_ready = write(folder, f"127.0.0.1:{port}")
        passed = []
        if said_when_ready is None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((HOST, PORT))
            listening.listen(1024)
            passed.append(listening.fileno())
            command = ["env", f"LISTENING_FD={listening.fileno()}", *command]
        program = Program(command, folder, said_when_ready, passed)
        try:
            yield port
        finally:
            program.close()


async def exchange(data: bytes, cut: int) -> bytes:
    """Send bytes in two pieces on a connection of their own, and return all that comes until its end."""
    reader, writer = await asyncio.open_connection(HOST, PORT)
    received = b""
    with contextlib.suppress(ConnectionError):  # a front that has refused a request need not read the rest
        writer.write(data[:cut])
        await writer.drain()
        writer.write(data[cut:])
        while more := await reader.read(65536):
            received += more
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return received


async def log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nonce: str) -> bytes:
    """Send one login on a connection that is kept, and return the answer."""
    writer.write(post(body_of(nonce)))
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    assert length is not None, head
    return head + await reader.readexactly(int(length[1]))


async def honest_client(writing: Writer, received: list[bytes]) -> None:
    """Log in again and again on one connection."""
    reader, writer = await asyncio.open_connection(HOST, PORT)
    try:
        for _ in range(HONEST_LOGINS):
            writing.sent.append(nonce := writing.nonce())
            received.append(await log_in(reader, writer, nonce))
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@dataclass
class Odd:
    """A client that sends something odd once."""

    kind: Kind
    writing: Writer
    received: bytes = b""

    async def talk(self) -> None:
        """Send it, and then ask for the end."""
        data = self.kind(self.writing)
        self.received = await exchange(data + PROBE, self.writing.random.randint(1, len(data)))


def nonces(received: bytes) -> list[str]:
    """Return whom the tokens in some answers are for."""
    tokens = [found.decode() for found in TOKEN.findall(received)]
    return [jwt.decode(token, KEY, algorithms=["HS256"])["data"]["nonce"] for token in tokens]


def kept_connections(port: int) -> int:
    """Count the connections that are open at the service's port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(local.endswith(f":{port:04X}") and state == "01" for _, local, _, state, *_ in rows)


@pytest.mark.parametrize("write", FRONTS)
def test_nobody_gets_what_is_another_clients(write: Write, remote: Remote, tmp_path: Path) -> None:
    """While many send what can be read in two ways, a login is sent once and whole, and its token goes to who sent it."""
    seeds = random.Random(SEED)
    kinds = [*WELL_FORMED, *AMBIGUOUS]
    odd = [Odd(kinds[at % len(kinds)], Writer(random.Random(seeds.random()))) for at in range(ODD_CLIENTS)]
    honest = [(Writer(random.Random(seeds.random())), list[bytes]()) for _ in range(HONEST_CLIENTS)]

    async def main() -> None:
        async with asyncio.TaskGroup() as clients:
            for writing, received in honest:
                clients.create_task(honest_client(writing, received))
            for client in odd:
                clients.create_task(client.talk())

    with fronted(write, tmp_path, remote) as port:
        run(main(), patience_s=PATIENCE_S)
        assert kept_connections(port), "the front keeps no connection, and nothing was tried"
    seen = Counter(remote.bodies)
    sent = {body_of(nonce) for client in odd for nonce in client.writing.sent}
    sent |= {body_of(nonce) for writing, _ in honest for nonce in writing.sent}
    assert not seen.keys() - sent, "split, joined, or out of where no request was"
    assert set(seen.values()) == {1}, "sent twice"
    for writing, received in honest:
        assert nonces(b"".join(received)) == writing.sent
    for client in odd:
        got = nonces(client.received)
        assert got == [nonce for nonce in client.writing.sent if nonce in got], f"{client.kind.__name__}: not its own"
        assert {body_of(nonce) for nonce in got} <= seen.keys()
        if client.kind in WELL_FORMED:
            assert got == client.writing.sent, f"{client.kind.__name__}: {client.received!r}"
