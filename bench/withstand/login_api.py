"""The remote: good to the honest client, and to everybody else what their login asks for (`{"do": "reset"}`).

Keeps account of the honest client's nonces: which came twice (a login is never sent twice), and which came on a connection on
which a stray reply was sent before. HTTP/1.1 cannot distinguish that reply from the answer, so such a login may fail.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Final, cast

import uvloop

LOOPBACK: Final = "127.0.0.1"
LATE_S: Final = 0.005
SLOW_S: Final = 0.2
DRIP_S: Final = 0.1
# Of a request. Who it is from and what it asks for stands at the beginning; the honest client must not wait while 1 MiB of
# somebody else's body is searched.
READ_BYTES_MAX: Final = 4096
CHUNK: Final = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
SEED: Final = 1815
RESET: Final = struct.pack("ii", 1, 0)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NONCE: Final = re.compile(rb'"honest":"([^"]+)"')
_DO: Final = re.compile(rb'"do":"([a-z_0-9]+)"')


def reply(body: bytes, status: bytes = b"200 OK", *lines: bytes) -> bytes:
    """Make a whole reply."""
    head = [b"HTTP/1.1 " + status, b"Content-Type: application/json", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join([*head, b"", body])


GUEST: Final = reply(b'{"user":"guest","id":1815,"roles":["member"]}')
STRAY: Final = reply(b'{"user":"stray","data":"nonce-of-nobody"}')
# Replies that are written unchanged. CLOSED names those after which the connection is closed.
WRITTEN: Final[Mapping[str, bytes]] = {
    "ok": GUEST,
    "large": reply(b'{"list":"%b"}' % (b"x" * 8192)),
    "refused": reply(b'{"error":"wrong password"}', b"401 Unauthorized"),
    "failing": reply(b'{"error":"no database"}', b"500 Internal Server Error"),
    "elsewhere": reply(b"", b"302 Found", b"Location: /login2"),
    "not_json": reply(b"<html>It works!</html>"),
    "list": reply(b"[1,2,3]"),
    "too_deep": reply(b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"),
    "encoded": reply(b"\x1f\x8b\x08\x00", b"200 OK", b"Content-Encoding: gzip"),
    "too_large": reply(b'{"list":"%b"}' % (b"x" * 200 * 1024)),
    "token_too_long": reply(b'{"list":"%b"}' % (b"x" * 40 * 1024)),
    "truncated": GUEST[:-10],
    "garbage": b"SSH-2.0-OpenSSH_9.9\r\n",
    "many_fields": reply(b"{}", b"200 OK", *(b"X-%d: y" % number for number in range(20_000))),
    "dense": reply(b'{"a":[%b[]]}' % (b"[]," * 43_000)),
    "digits": reply(b'{"a":"%b"}' % (b"9" * 127_000)),
    "long_number": reply(b'{"a":[%b0],"b":%b}' % (b"1.5," * 30_000, b"9" * 320)),
    "twice": GUEST + STRAY,
    "late": GUEST,
    "empty": b"",
    "interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" + GUEST,
}
CLOSED: Final = frozenset(("truncated", "garbage", "empty"))
FLAPS: Final = (
    "ok",
    "ok",
    "refused",
    "failing",
    "empty",
    "reset",
    "truncated",
    "garbage",
    "twice",
    "late",
    "endless",
    "too_large",
)


class Account:
    """What all connections share."""

    def __init__(self) -> None:
        self.logins = 0
        self.seen: set[str] = set()
        self.doubled = 0
        self.excused: list[str] = []
        # Connections that ended under a login which had a stray reply for its own: the next one was lost on them.
        self.snares = 0
        self.is_stalled = False  # nothing is answered
        self.greets = False  # every fourth connection starts with an unrequested reply
        self.random = random.Random(SEED)  # noqa: S311 - it chooses a fault, no key

    def control(self, word: str) -> None:
        """Change its conduct."""
        match word:
            case "stall":
                self.is_stalled = True
            case "greet":
                self.greets = True
            case "behave":
                self.is_stalled = self.greets = False

    def report(self) -> bytes:
        """Say what it has seen, as JSON."""
        said = {"logins": self.logins, "doubled": self.doubled, "excused": self.excused, "snares": self.snares}
        return json.dumps(said).encode()


class Connection(asyncio.Protocol):
    """One connection of the service."""

    def __init__(self, account: Account, call_later: Callable[..., object]) -> None:
        self._account = account
        self._call_later = call_later
        self._data = bytearray()
        self._total = 0  # bytes of the request that arrives, 0 until its head is there
        self._is_spoiled = False
        self._is_endless = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._account.greets and self._account.random.random() < 0.25:
            self._stray()

    def connection_lost(self, _error: Exception | None) -> None:
        self._is_endless = False

    def resume_writing(self) -> None:
        if self._is_endless:
            self._transport.write(CHUNK * 4)

    def pause_writing(self) -> None:
        """Nothing: it writes when it may."""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while self._total or self._begin():
            if len(self._data) < self._total:
                return
            self._answer(bytes(self._data[: min(self._total, READ_BYTES_MAX)]))
            del self._data[: self._total]
            self._total = 0

    def _begin(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = _LENGTH.search(self._data, 0, end)
        self._total = end + 4 + (int(length[1]) if length else 0)
        return True

    def _answer(self, request: bytes) -> None:
        account = self._account
        if request.startswith(b"GET "):
            account.control(request.split(b" ", 2)[1].decode().lstrip("/"))
            self._transport.write(reply(account.report()))
            return
        account.logins += 1
        honest = _NONCE.search(request)
        if honest is not None:
            nonce = honest[1].decode()
            account.doubled += nonce in account.seen
            account.seen.add(nonce)
            if self._is_spoiled:
                account.excused.append(nonce)
        if account.is_stalled:
            return
        if honest is not None:
            self._transport.write(reply(b'{"user":"honest","nonce":"%b"}' % honest[1]))
            return
        asked = _DO.search(request)
        self._do(asked[1].decode() if asked else "ok")

    def _do(self, what: str) -> None:
        if what == "flap":
            what = self._account.random.choice(FLAPS)
        match what:
            case "stall":
                return
            case "reset":
                sock = self._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self._transport.abort()
                return
            case "slow":
                self._call_later(SLOW_S, self._transport.write, GUEST)
                return
            case "drip":
                self._drip(GUEST)
                return
            case "endless":
                self._is_endless = True
                self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK * 4)
                return
        if what == "twice":
            self._is_spoiled = True
        self._transport.write(WRITTEN[what])
        if what in CLOSED:
            self._account.snares += self._is_spoiled
            self._transport.close()
        elif what == "late":
            self._call_later(LATE_S, self._stray)

    def _stray(self) -> None:
        self._is_spoiled = True
        if not self._transport.is_closing():
            self._transport.write(STRAY)

    def _drip(self, rest: bytes) -> None:
        if rest and not self._transport.is_closing():
            self._transport.write(rest[:1])
            self._call_later(DRIP_S, self._drip, rest[1:])


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    account = Account()
    server = await loop.create_server(lambda: Connection(account, loop.call_later), LOOPBACK, port, backlog=4096)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.withstand.login_api", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
