"""A login API for tests of the whole service: real HTTP, in threads of its own, with answers that can be delayed."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.running import PATIENCE_S


class QuietServer(ThreadingHTTPServer):
    """A server of one thread a connection, that says nothing of connections which break."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: who gave its login up is not there to take the answer, and that is what some tests are about."""


class LoginApi:
    """A remote. With `reply` it answers that to everybody, else a user object to who knows the password `right`, and 401.
    With `tls` it speaks that.

    While `gate` is closed its answers wait; `arrived` counts the requests it has, `bearers` are what they presented.
    """

    def __init__(self, reply: Mapping[str, object] | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)
        self.bearers: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = (
                True  # head and body are two writes, and the second would wait 40 ms for the first
            )

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.bearers.append(self.headers["Authorization"])
                api.arrived.release()
                api.gate.wait(PATIENCE_S)
                good = reply is not None or body.get("password") == "right"
                answer = json.dumps(reply or ({"user": body.get("user")} if good else {"error": "no"})).encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/login"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
