"""What is protected: answers every request with what it got of it, as JSON. Knows no tokens.

It also runs alone: `python -m bench.forward_auth.upstream --port N`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.load.stub_remote import LOOPBACK

SEEN: Final = b"X-Seen"
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+) *\r\n")
_CHUNKED: Final = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked *\r\n")


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came. Field names are in lower case."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: str

    def values(self, name: str) -> list[str]:
        """Return the values of the fields of this name, a line each."""
        return [value for other, value in self.fields if other == name.lower()]


def seen_in(text: bytes | str) -> Seen:
    """Read an answer's body."""
    value = json.loads(text)
    return Seen(value["method"], value["target"], [(name, text) for name, text in value["fields"]], value["body"])


class Connection(asyncio.Protocol):
    """One connection: request after request. While it is open its transport is in `opened`."""

    def __init__(self, note: Callable[[Seen], None], opened: set[asyncio.Transport]) -> None:
        self._note = note
        self._opened = opened
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._opened.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._opened.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (whole := _take(self._received)) is not None:
            seen, self._received = whole
            self._note(seen)
            body = json.dumps(
                {"method": seen.method, "target": seen.target, "fields": seen.fields, "body": seen.body}
            ).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
            # An answer to HEAD has no body, so it says the same in a field.
            rest = b"%b: %b\r\n\r\n" % (SEEN, body) if seen.method == "HEAD" else b"\r\n" + body
            assert self._transport is not None
            self._transport.write(head + rest)


def _take(data: bytes) -> tuple[Seen, bytes] | None:
    """Take the first request, when it is there whole. Returns it and what follows."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    lines = b"\r\n" + head + b"\r\n"
    length = _LENGTH.search(lines)
    if _CHUNKED.search(lines):
        found = _take_chunks(rest)
        if found is None:
            return None
        body, rest = found
    else:
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return None
        body, rest = rest[:size], rest[size:]
    first, *others = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    fields = [(name.lower(), value.strip(" \t")) for name, _, value in (line.partition(":") for line in others)]
    return Seen(method, target, fields, body.decode("latin-1")), rest


def _take_chunks(data: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            return None
        size = int(line.partition(b";")[0], 16)
        if len(data) < size + 2:
            return None
        if not size:
            return body, data[2:]
        body, data = body + data[:size], data[size + 2 :]


async def serve(port: int, note: Callable[[Seen], None], opened: set[asyncio.Transport]) -> asyncio.Server:
    """Listen on loopback, and call `note` with every request. `opened` are the connections that are there."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(note, opened), LOOPBACK, port, backlog=1024)


async def _main(port: int) -> None:
    server = await serve(port, lambda _: None, set())
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_main(parser.parse_args().port))
