"""Every kind of answer, thousands of times: none may leave anything behind."""

from __future__ import annotations

import contextlib
import gc
import importlib
import pkgutil
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

import txtoken
from tests.running import KEY, service_process
from txtoken.errors import RemoteError
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.tokens.segments import encode_segment
from txtoken.service.upstream.reply import ReplyParser
from txtoken.settings import IssueSettings

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


def login(password: str) -> bytes:
    """Write a login."""
    return post("/getToken", b'{"user":"ada","password":"%b"}' % password.encode())


def signed(claims: bytes, header: bytes = b'{"alg":"HS256","typ":"JWT"}') -> bytes:
    """Sign a token."""
    signing_input = encode_segment(header) + b"." + encode_segment(claims)
    return signing_input + b"." + HmacKey(KEY.encode()).sign(signing_input)


NOW: Final = int(time.time())
GOOD: Final = TokenIssuer(KeyRing([HmacKey(KEY.encode())]), IssueSettings(3600)).issue(b'{"user":"ada"}', NOW)
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
    "a token": (login("right"), 200),
}
OK: Final = b"HTTP/1.1 200 OK\r\n"
REPLIES: Final = {  # what the remote answers to these passwords, and whether it closes then
    "right": (b'%bContent-Length: 14\r\n\r\n{"user":"ada"}' % OK, False),
    "wrong": (b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}", False),
    "moved": (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", False),
    "no JSON": (b"%bContent-Length: 6\r\n\r\n<html>" % OK, False),
    "a list": (b"%bContent-Length: 2\r\n\r\n[]" % OK, False),
    "too deep": (b'%bContent-Length: 1006\r\n\r\n{"a":%b%b}' % (OK, b"[" * 500, b"]" * 500), False),
    "compressed": (b"%bContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}" % OK, False),
    "too large a token": (b'%bContent-Length: 30008\r\n\r\n{"a":"%b"}' % (OK, b"x" * 30_000), False),
    "a large token": (b'%bContent-Length: 9008\r\n\r\n{"a":"%b"}' % (OK, b"x" * 9_000), False),
    "too large": (b"%bContent-Length: 999999\r\n\r\n" % OK, True),
    "too large in chunks": (b"%bTransfer-Encoding: chunked\r\n\r\n30000\r\n%b" % (OK, b"x" * 0x30000), True),
    "too many fields": (OK + b"X: y\r\n" * 1_000, True),
    "cut short": (b"%bContent-Length: 20000\r\n\r\n%b" % (OK, b"x" * 10_000), True),
    "broken chunks": (b"%bTransfer-Encoding: chunked\r\n\r\n8000\r\n%bz" % (OK, b"x" * 0x8000), True),
    "no HTTP": (b"220 ready\r\n", True),
    "interim replies": (b"HTTP/1.1 103 Hints\r\n\r\n" * 20, True),
    "nothing": (b"", True),
}
FAILED: Final = {  # logins that fail at the remote
    name: (login(name), 200 if name == "a large token" else 500) for name in REPLIES if name != "right"
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
                password = data.rpartition(b'"password":"')[2].partition(b'"')[0].decode()
                reply, is_last = REPLIES[password]
                self.request.sendall(reply)
                if is_last:
                    return


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
            for ask_of, kinds, share in ((ask, KEPT, 1), (ask, FAILED, 8), (ask_once_each, LAST, 20)):
                for request, status in kinds.values():
                    ask_of(port, request, status, WARM_UP // share)
                for name, (request, status) in kinds.items():
                    before = resident_kib(pid)
                    ask_of(port, request, status, COUNT // share)
                    grown[name] = resident_kib(pid) - before
        remote.shutdown()
    assert max(grown.values()) < GROWTH_KIB_MAX, grown
    assert sum(grown.values()) < 3 * GROWTH_KIB_MAX, grown


def named_in(name: str) -> Iterator[tuple[str, object]]:
    """Yield what is named in a module and in its classes, and what containers hold that are."""
    module = importlib.import_module(name)
    places = [module, *(each for each in vars(module).values() if isinstance(each, type) and each.__module__ == name)]
    for place in places:
        for key, value in vars(place).items():
            yield key, value
            if isinstance(value, dict):
                yield from ((key, each) for each in value.values())
            elif isinstance(value, list | tuple | set | frozenset):
                yield from ((key, each) for each in value)


@pytest.mark.parametrize(
    "name",
    [each.name for each in pkgutil.walk_packages(txtoken.__path__, "txtoken.") if not each.name.endswith("__main__")],
)
def test_no_module_holds_an_exception(name: str) -> None:
    """No exception object lives as long as a module: raised again and again, it would keep every frame that it came through."""
    assert not [key for key, value in named_in(name) if isinstance(value, BaseException)]


WRONG_REPLIES: Final = [
    "too large",
    "too large in chunks",
    "too many fields",
    "broken chunks",
    "no HTTP",
    "interim replies",
]


@pytest.mark.parametrize("kind", WRONG_REPLIES)
def test_a_wrong_reply_does_not_wait_for_the_collector(kind: str) -> None:
    """When a reply is refused, nothing of it is left in a circle: not the parser, not its body, not the error."""

    def refuse() -> None:
        parser = ReplyParser(128 * 1024, frozenset((200,)))
        try:
            parser.feed(REPLIES[kind][0])
        except RemoteError:
            parser.close()
            return
        raise AssertionError("it was taken")

    refuse()
    gc.collect()
    gc.disable()
    try:
        refuse()
        assert gc.collect() == 0
    finally:
        gc.enable()
