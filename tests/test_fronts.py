"""What ends TLS in front of the service, by the examples in deploy/: logins and checks pass, and a login is sent once.

The real programs run, each where it is installed: `apt-get install nginx caddy`.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

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
from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, service_process
from txtoken.settings import Limits

CA: Final = trustme.CA()
PORT: Final = 8443


def nginx(folder: Path, servers: list[str]) -> list[str]:
    """Write nginx's files into `folder`. Returns the command that serves by them."""
    changes = {
        f"server {SERVER} ": "".join(f"server {server};\n" for server in servers[1:]) + f"server {servers[0]} ",
        "listen 443 ssl": f"listen {HOST}:{PORT} ssl",
        "/etc/ssl/tokens.example.com.pem": f"{folder}/cert.pem",
        "/etc/ssl/tokens.example.com.key": f"{folder}/key.pem",
        "/var/log/nginx": str(folder),
    }
    (folder / "txtoken.conf").write_text(adapted("nginx/txtoken.conf", changes))
    (folder / "nginx.conf").write_text(nginx_main(folder, f"include {folder}/txtoken.conf;"))
    return nginx_command(folder)


def caddy(folder: Path, servers: list[str]) -> list[str]:
    """Write Caddy's file into `folder`. Returns the command that serves by it."""
    changes = {
        "\n{\n": "\n{\n\tadmin off\n\tauto_https disable_redirects\n",
        f"{NAME} {{": f"https://{NAME}:{PORT} {{\n\tbind {HOST}\n\ttls {folder}/cert.pem {folder}/key.pem\n",
        SERVER: " ".join(servers),
    }
    (folder / "Caddyfile").write_text(adapted("caddy/Caddyfile", changes))
    return caddy_command(folder)


Write = Callable[[Path, list[str]], list[str]]
# Each with what it says when it listens.
FRONTS: Final = [
    pytest.param(write, said, id=write.__name__, marks=needs(write.__name__))
    for write, said in ((nginx, NGINX_IS_READY), (caddy, CADDY_IS_READY))
]


class Front(Program):
    """A running program that ends TLS."""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Send one request on a connection of its own. Returns status and body."""
        context = ssl.create_default_context()
        CA.configure_trust(context)
        client = HTTPSConnection(NAME, PORT, timeout=PATIENCE_S, context=context)
        client.sock = context.wrap_socket(socket.create_connection((HOST, PORT), PATIENCE_S), server_hostname=NAME)
        try:
            client.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = client.getresponse()
            return response.status, response.read()
        finally:
            client.close()


Start = Callable[[list[str]], Front]


@pytest.fixture
def start(tmp_path: Path, write: Write, said: str) -> Iterator[Start]:
    """Start a front for these servers, with a certificate of the tests' CA."""
    started: list[Front] = []
    certificate = CA.issue_cert(NAME)
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)

    def begin(servers: list[str]) -> Front:
        started.append(Front(write(tmp_path, servers), tmp_path, said))
        return started[-1]

    yield begin
    for front in started:
        front.close()


@dataclass
class Upstream:
    """Takes the service's place and remembers what came. With `is_mute` it takes a request and closes without an answer."""

    is_mute: bool = False
    heads: list[dict[str, str]] = field(default_factory=list)
    peers: set[int] = field(default_factory=set)  # ports that requests came from: one for each connection

    def __post_init__(self) -> None:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                upstream.heads.append({name.lower(): text for name, text in self.headers.items()})
                upstream.peers.add(self.client_address[1])
                self.answer()

            def do_GET(self) -> None:  # health checks
                self.answer()

            def answer(self) -> None:
                if upstream.is_mute and self.command == "POST":
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize(("write", "said"), FRONTS)
def test_logins_and_checks_pass(start: Start, tmp_path: Path) -> None:
    """Over TLS a login gives a token that a check finds valid, and no other route is open."""
    api = LoginApi()
    config = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {api.url}\n"
    with service_process(tmp_path, "serve", config=config) as service:
        front = start([f"127.0.0.1:{service.port}"])
        status, body = front.ask("POST", "/getToken", b'{"user":"ada","password":"right"}', X_Request_Id="req-7")
        assert status == 200
        assert json.loads(service.line_with('"/getToken"'))["request_id"] == "req-7"
        token = json.loads(body)["token"]
        status, body = front.ask("GET", "/checkToken", Authorization=f"Bearer {token}")
        assert status == 200
        assert json.loads(body)["Claims"]["data"] == {"user": "ada"}
        made = json.loads(service.line_with('"/checkToken"'))["request_id"]
        assert len(made) >= 32
        assert front.ask("POST", "/getToken", b'{"user":"ada","password":"wrong"}')[0] == 500
        assert front.ask("GET", "/readyz")[0] == 404
    api.close()


@pytest.mark.parametrize(("write", "said"), FRONTS)
def test_what_the_service_is_told(start: Start) -> None:
    """Where a request came from is the front's own word, and connections to the service are kept."""
    upstream = Upstream()
    front = start([upstream.address])
    for _ in range(5):
        assert front.ask("POST", "/getToken", b"{}", X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="http")[0] == 200
    assert {head["x-forwarded-for"] for head in upstream.heads} == {"127.0.0.1"}
    assert {head["x-forwarded-proto"] for head in upstream.heads} == {"https"}
    assert {head["host"].partition(":")[0] for head in upstream.heads} == {NAME}
    assert len({head["x-request-id"] for head in upstream.heads}) == 5
    assert len(upstream.peers) < 5  # Caddy may dial a second before the first is back in its pool
    upstream.close()


@pytest.mark.parametrize(("write", "said"), FRONTS)
def test_bodies_are_limited(start: Start) -> None:
    """A body as long as the service takes passes, a longer one does not."""
    upstream = Upstream()
    front = start([upstream.address])
    body_bytes_max = Limits().body_bytes
    assert front.ask("POST", "/getToken", b" " * body_bytes_max)[0] == 200
    # Caddy says 502 when it stops in the middle.
    assert front.ask("POST", "/getToken", b" " * (body_bytes_max + 1))[0] in (413, 502)
    upstream.close()


@pytest.mark.parametrize(("write", "said"), FRONTS)
def test_a_login_is_sent_once(start: Start) -> None:
    """A login that was sent and got no answer is not sent to the next server, one whose connection was refused is."""
    good, mute, gone = Upstream(), Upstream(is_mute=True), Upstream()
    gone.close()
    front = start([good.address, mute.address, gone.address])
    statuses = [front.ask("POST", "/getToken", b"{}")[0] for _ in range(12)]
    assert mute.heads
    assert statuses.count(502) == len(mute.heads)
    assert statuses.count(200) == len(good.heads) == 12 - len(mute.heads)
    for upstream in (good, mute):
        upstream.close()
