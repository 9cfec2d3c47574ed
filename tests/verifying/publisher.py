"""Publishes JWKS over HTTP on loopback and counts who fetched them. Knows no tokens."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

JWKS_PATH: Final = "/.well-known/jwks.json"
CONTENT_TYPE: Final = "application/json"
CACHE_CONTROL: Final = "public, max-age=900"


class Publisher:
    """One JWKS for each place: `url(place)` is its address, `fetches[place]` how often it was asked for."""

    def __init__(self, port: int) -> None:
        self.port: Final = port
        self.sources: Final[dict[str, Callable[[], bytes]]] = {}
        self.fetches: Final[Counter[str]] = Counter()
        self.down = False  # answers 503

    def publish(self, place: str, jwks: Callable[[], bytes]) -> str:
        """Publish what `jwks` gives at the time, and return the address."""
        self.sources[place] = jwks
        return f"http://127.0.0.1:{self.port}/{place}{JWKS_PATH}"


@contextlib.contextmanager
def publishing() -> Iterator[Publisher]:
    """Run a server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = self.path.removeprefix("/").removesuffix(JWKS_PATH)
            publisher.fetches[place] += 1
            body = b"" if publisher.down else publisher.sources[place]()
            self.send_response(503 if publisher.down else 200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Cache-Control", CACHE_CONTROL)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        publisher = Publisher(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield publisher
        server.shutdown()
        thread.join()
