"""The one client of a count: a connection that is kept, one request at a time, each answer checked.

Knows HTTP's frame as the service writes it, and no routes.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from bench.count.remote import LOOPBACK
from bench.errors import BenchError

ANSWER_S: Final = 20.0
_READ_BYTES: Final = 1 << 18
_SHOWN_BYTES: Final = 200


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Make a request as a client sends it."""
    head = {"Host": "bench.example", "User-Agent": "bench-count", "Accept": "*/*", **headers}
    if body:
        head["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Client:
    """One connection to the service. A context manager."""

    def __init__(self, port: int) -> None:
        """Connect.

        Raises:
            OSError: nobody listens.
        """
        self._socket = socket.create_connection((LOOPBACK, port), timeout=ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, whole: bytes) -> Any:
        """Send one request and return what the answer's JSON says.

        Raises:
            BenchError: the answer is not 200 with JSON, or there is none.
        """
        try:
            self._socket.sendall(whole)
            head, body = self._answer()
        except OSError as error:
            raise BenchError(f"the service does not answer: {error or type(error).__name__}") from error
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"the service answers {(head + body)[:_SHOWN_BYTES]!r} instead of 200")
        try:
            return json.loads(body)
        except ValueError as error:
            raise BenchError(f"the service answers {body[:_SHOWN_BYTES]!r}, which is not JSON") from error

    def _answer(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [
            int(text)
            for name, _, text in (line.partition(b":") for line in head.split(b"\r\n"))
            if name.lower() == b"content-length"
        ]
        if len(lengths) != 1:
            raise BenchError(f"the service's answer has no Content-Length: {head[:_SHOWN_BYTES]!r}")
        while len(body) < lengths[0]:
            body += self._more()
        if len(body) > lengths[0]:
            raise BenchError("the service sends more than one answer to a request")
        return head, body

    def _more(self) -> bytes:
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise ConnectionError("it closes the connection")
        return data

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
