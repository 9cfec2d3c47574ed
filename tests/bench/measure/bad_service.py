"""A token service with routes of its own, in the ways in which one can be wrong. By hand, from the standard library.

Its tokens are texts that it gave. Run with one argument: `good`, or what is wrong.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

BEHAVIOUR: Final = sys.argv[1]
TOKEN: Final = "header.payload-of-a-token.signature"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Give a token."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if BEHAVIOUR != "no-remote":
            asked = urllib.request.Request(os.environ["REMOTE"], json.dumps({"body": body.decode()}).encode())  # noqa: S310 - the bench's remote
            urllib.request.urlopen(asked).read()  # noqa: S310 - likewise
        self.answer(200 if self.path == "/oauth/token" else 404, {"access": [] if BEHAVIOUR == "no-token" else [TOKEN]})

    def do_GET(self) -> None:
        """Check one."""
        is_good = self.headers["X-Token"] == TOKEN or BEHAVIOUR == "trusting"
        self.answer(204 if is_good and self.path == "/me" and BEHAVIOUR != "strict" else 403)

    def answer(self, status: int, plain: object = None) -> None:
        """Write an answer, in one piece."""
        body = b"" if plain is None else json.dumps(plain).encode()
        head = f"HTTP/1.1 {status} Whatever\r\n" + ("" if status == 204 else f"Content-Length: {len(body)}\r\n")
        self.wfile.write(head.encode() + b"\r\n" + body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


if BEHAVIOUR == "does-not-start":
    print("cannot", file=sys.stderr)
    sys.exit(7)
ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
