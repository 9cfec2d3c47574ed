"""nginx asks the check route before it lets a request pass (`auth_request`): each gets its own verdict.

The configuration is one that people write: connections to the service are kept, and the request's Content-Length is not
cleared. So the check announces a body that never comes. The real program runs where it is installed:
`apt-get install nginx-light`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from pathlib import Path
from typing import Final

import jwt

from tests.fronting import HOST, NGINX_IS_READY, Program, needs, nginx_command, nginx_main
from tests.running import KEY, run, service_process

PORT: Final = 8082
CLIENTS: Final = 20
REQUESTS: Final = 500  # of each client
PATIENCE_S: Final = 55.0
SEED: Final = 9
LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)\r\n")
STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")

# What is protected says who asked it, and for what: a request that another's verdict let pass would show.
SERVERS: Final = """
upstream txtoken {{ server 127.0.0.1:{service}; keepalive 32; }}
upstream protected {{ server unix:{folder}/protected.sock; keepalive 32; }}
access_log off;
keepalive_requests 100000;
server {{
    listen unix:{folder}/protected.sock;
    location / {{ return 200 "$http_authorization $request_uri"; }}
}}
server {{
    listen {host}:{port} backlog=1024;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 5s;
    location = /_check {{
        internal;
        error_log {folder}/check.log crit;
        proxy_pass http://txtoken/checkToken;
    }}
    location / {{
        auth_request /_check;
        proxy_pass http://protected;
    }}
}}
"""


def request_of(authorization: bytes, target: bytes, body: bytes | None) -> bytes:
    """Write one request: a POST where there is a body."""
    lines = b"Host: tokens.example.com\r\nAuthorization: %b\r\n" % authorization
    if body is None:
        return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, lines)
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (target, lines, len(body), body)


class Asking:
    """One client on one connection: two users by turns, each with a token that is good and one that is not."""

    def __init__(self, number: int, good: list[bytes], bad: list[bytes]) -> None:
        self._random = random.Random(SEED + number)
        self._number = number
        self._good = good
        self._bad = bad

    async def ask_all(self) -> None:
        """Ask, and compare each answer with what it has to be."""
        reader, writer = await asyncio.open_connection(HOST, PORT)
        try:
            for at in range(REQUESTS):
                await self._ask(at, reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _ask(self, at: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_good = self._random.random() < 0.5
        authorization = b"Bearer " + (self._good if is_good else self._bad)[at % 2]
        target = b"/%d/%d" % (self._number, at)
        # Were an announced body read, the next request on that connection, another user's, would be taken for it.
        body = None if self._random.random() < 0.5 else b"x" * self._random.choice((1, 25, 200, 4000))
        writer.write(request_of(authorization, target, body))
        head = await reader.readuntil(b"\r\n\r\n")
        status, length = STATUS.match(head), LENGTH.search(head)
        assert status is not None
        assert length is not None
        content = await reader.readexactly(int(length[1]))
        assert int(status[1]) == (200 if is_good else 401), f"request {at}, {body and len(body)} bytes: {head!r}"
        assert not is_good or content == authorization + b" " + target


def token_of(user: str, key: str) -> bytes:
    """Sign a token."""
    return jwt.encode({"data": {"user": user}, "exp": 4_000_000_000}, key, "HS256").encode()


@needs("nginx")
def test_each_verdict_is_its_own(tmp_path: Path) -> None:
    """Of 10 000 requests of two users, with good tokens and bad ones, each passes by its own token and by no other."""
    good = [token_of(user, KEY) for user in ("ada", "bob")]
    bad = [token_of(user, KEY[::-1]) for user in ("ada", "bob")]
    config = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: http://127.0.0.1:9/\nlog: {{access: false}}\n"
    with service_process(tmp_path, "serve", config=config) as service:
        servers = SERVERS.format(service=service.port, folder=tmp_path, host=HOST, port=PORT)
        (tmp_path / "nginx.conf").write_text(nginx_main(tmp_path, servers))
        nginx = Program(nginx_command(tmp_path), tmp_path, NGINX_IS_READY)

        async def main() -> None:
            async with asyncio.TaskGroup() as clients:
                for number in range(CLIENTS):
                    clients.create_task(Asking(number, good, bad).ask_all())

        try:
            run(main(), patience_s=PATIENCE_S)
        finally:
            nginx.close()
