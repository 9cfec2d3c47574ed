"""Every kind of answer, thousands of times: none may leave anything behind."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.running import KEY, service_process
from txtoken.service.keys import HmacKey
from txtoken.service.segments import encode_segment
from txtoken.service.tokens import TokenIssuer

BATCH: Final = 25  # requests that are sent at once
WARM_UP: Final = 1_500  # answers of each kind, after which all that is remembered is full
COUNT: Final = 6_000
GROWTH_KIB_MAX: Final = 1_024  # the leak that this was written for took 756 bytes an answer: 4.5 MB


def head(line: str, *lines: str) -> bytes:
    """Write a request's head."""
    return "".join(f"{each}\r\n" for each in (f"{line} HTTP/1.1", "Host: a", *lines, "")).encode()


def post(path: str, body: bytes, *lines: str) -> bytes:
    """Write a whole request with a body."""
    return head(f"POST {path}", f"Content-Length: {len(body)}", *lines) + body


def bearer(token: bytes) -> bytes:
    """Write a check of a token."""
    return head("GET /checkToken", f"Authorization: Bearer {token.decode()}")


def signed(claims: bytes, header: bytes = b'{"alg":"HS256","typ":"JWT"}') -> bytes:
    """Sign a token."""
    signing_input = encode_segment(header) + b"." + encode_segment(claims)
    return signing_input + b"." + encode_segment(HmacKey(KEY.encode()).sign(signing_input))


NOW: Final = int(time.time())
GOOD: Final = TokenIssuer(HmacKey(KEY.encode()), 3600).issue(b'{"user":"ada"}', NOW)
KEPT: Final = {  # after these answers the connection goes on
    "no token": (head("GET /checkToken"), 401),
    "no token, posted": (post("/checkToken", b"{}"), 401),
    "segments": (bearer(b"a.b"), 401),
    "malformed": (bearer(b"a.b.c="), 401),
    "algorithm": (bearer(signed(b"{}", b'{"alg":"none"}')), 401),
    "signature": (bearer(GOOD[:-4] + b"AAAA"), 401),
    "no expiry": (bearer(signed(b"{}")), 401),
    "expired": (bearer(signed(b'{"exp":1}')), 401),
    "not yet": (bearer(signed(b'{"exp":%d,"nbf":%d}' % (NOW + 3600, NOW + 3000))), 401),
    "valid": (bearer(GOOD), 200),
    "not found": (head("GET /nothing"), 404),
    "method": (head("DELETE /getToken"), 405),
    "health": (head("GET /livez"), 200),
    "bad body": (post("/getToken", b"{" + b"x" * 2_000), 400),
    "a token": (post("/getToken", b'{"user":"ada","password":"right"}'), 200),
    "a wrong password": (post("/getToken", b'{"user":"ada","password":"guess"}'), 500),
}
LAST: Final = {  # after these it is closed
    "malformed request": (b"GET / HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n" + b"x" * 8_000, 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "too many fields": (head("GET /", *["X: y"] * 101), 431),
    "too large a head": (head("GET /", "X: " + "y" * 66_000), 431),
    "too large a body": (head("POST /getToken", "Content-Length: 2000000"), 413),
    "version": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "expectation": (head("GET /", "Expect: x"), 417),
}


class Login(socketserver.BaseRequestHandler):
    """A remote that takes each read for a request: small ones come whole."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65_536):
                status, body = (b"200 OK", b'{"user":"ada"}') if b'"right"' in data else (b"401 No", b"{}")
                self.request.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


class Remote(socketserver.ThreadingTCPServer):
    """As many of them as the service opens connections."""

    daemon_threads = True
    block_on_close = False


def answers(sock: socket.socket, status: int) -> Iterator[int]:
    """Yield how many answers of this status have come, read by read; others fail."""
    start, tail = b"HTTP/1.1 %d " % status, b""
    while data := sock.recv(1 << 20):
        data = tail + data
        count = data.count(start)
        assert count == data.count(b"HTTP/1.1 "), data[:300]
        yield count
        cut = data.rfind(b"HTTP/1.1 ") + 9
        tail = data[max(cut, len(data) - 16) :]


def ask(port: int, request: bytes, status: int, count: int) -> None:
    """Ask the same so often on one connection."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as sock:
        for _ in range(count // BATCH):
            sock.sendall(request * BATCH)
            missing = BATCH
            for came in answers(sock, status):
                missing -= came
                if missing <= 0:
                    break
            assert missing == 0


def ask_once_each(port: int, request: bytes, status: int, count: int) -> None:
    """Ask the same so often, each on a connection of its own."""
    for _ in range(count):
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as sock:
            sock.sendall(request)
            assert sock.recv(65_536).startswith(b"HTTP/1.1 %d " % status)


def resident_kib(pid: int) -> int:
    """How much memory a process has."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_no_answer_leaves_anything_behind(tmp_path: Path) -> None:
    """However often each kind of answer is given, memory stays where the first ones left it."""
    grown = {}
    with Remote(("127.0.0.1", 0), Login) as remote:
        threading.Thread(target=remote.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{remote.server_address[1]}/login"
        config = f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {url}\nlog: {{access: false}}\n"
        with service_process(tmp_path, config=config) as service:
            port, pid = service.port, service.process.pid
            for ask_of, kinds, share in ((ask, KEPT, 1), (ask_once_each, LAST, 20)):
                for request, status in kinds.values():
                    ask_of(port, request, status, WARM_UP // share)
                for name, (request, status) in kinds.items():
                    before = resident_kib(pid)
                    slow = 10 if status in (200, 500) and b"getToken" in request else 1
                    ask_of(port, request, status, COUNT // share // slow)
                    grown[name] = resident_kib(pid) - before
        remote.shutdown()
    assert max(grown.values()) < GROWTH_KIB_MAX, grown
    assert sum(grown.values()) < 3 * GROWTH_KIB_MAX, grown
