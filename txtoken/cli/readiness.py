"""Whether a service is ready: it is asked for /readyz. Knows where it is asked, and nothing of how that was found out.

A container asks every few seconds, so this loads nothing that takes long: no typing, no argparse, no HTTP library, and TLS only
where the service speaks it.
"""

from __future__ import annotations

import importlib
import socket
import time
from collections.abc import Mapping, Sequence

from txtoken.cli.exit_codes import FAILED, OK, USAGE
from txtoken.cli.terminal import complain, say

TIMEOUT_S = 2.0
URL_EXAMPLE = "http://127.0.0.1:8888, or unix:/run/txtoken.sock"
_HEAD_BYTES_MAX = 4096  # of what is read until the status is known
_PORTS = {"http": 80, "https": 443}


class Place:
    """Where a service is asked. `host` is `unix:` and a path, or a host with `port`; `tls` is an SSL context or None."""

    __slots__ = ("host", "port", "route", "tls")

    def __init__(self, host: str, port: int, tls: object = None, route: str = "/readyz") -> None:
        self.host = host
        self.port = port
        self.tls = tls
        self.route = route

    def __str__(self) -> str:
        if self.host.startswith("unix:"):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Answer:
    """What came back: a status, or None, with the reason in plain words, and how long it took."""

    __slots__ = ("ms", "reason", "status")

    def __init__(self, status: int | None, reason: str, ms: float) -> None:
        self.status = status
        self.reason = reason
        self.ms = ms

    @property
    def is_ready(self) -> bool:
        """Whether the service said that it is."""
        return self.status == 200


def run_quickly(words: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """Run `txtoken health` where it is typed as containers do: bare, with `--url`, or with `--config`. Returns the exit code, or
    None for what the whole command line has to look at.
    """
    match [*words]:
        case ["--url", url]:
            place = place_of_url(url)
            if place is None:
                complain(f"txtoken: --url wants the address of a service, for example {URL_EXAMPLE}")
                return USAGE
        case []:
            place = configured_place("", environ)
        case ["-c" | "--config", path] if path:
            place = configured_place(path, environ)
        case _:
            return None
    return None if place is None else tell(place, ask(place))


def configured_place(path: str, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Place | None:
    """Find where the service of a configuration listens, without the rest of it. None: it takes the whole configuration."""
    found = importlib.import_module("txtoken.config.place").find_place(path, environ, overrides or {})
    return None if found is None else Place(*found)


def place_of_url(url: str) -> Place | None:
    """Take a URL apart: `http://HOST:PORT`, `https://…`, or `unix:` and the path of a socket. None: it is none of these.

    A path other than / is asked in place of /readyz.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "@" in url or "#" in url:
        return None
    if url.startswith("unix:/"):
        return Place(url, 0)
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in _PORTS:
        return None
    netloc, _, path = rest.partition("/")
    if netloc.startswith("["):
        host, bracket, port = netloc[1:].partition("]")
        colon, port = port[:1], port[1:]
        if not bracket or ":" not in host:
            return None
    else:
        host, colon, port = netloc.partition(":")
    if not host or "?" in netloc or colon not in ("", ":"):
        return None
    if colon and not (port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535):
        return None
    number = int(port) if port else _PORTS[scheme]
    return Place(host, number, unverified_tls() if scheme == "https" else None, f"/{path}" if path else "/readyz")


def unverified_tls() -> object:
    """Make an SSL context that takes any certificate: it does not name the address that is asked here, and the request holds no
    secret.
    """
    ssl = importlib.import_module("ssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask(place: Place) -> Answer:
    """Ask a service, for two seconds at most in all."""
    started = time.monotonic()
    try:
        status = _status(place, started + TIMEOUT_S)
    except (OSError, ValueError) as error:  # the second: a host that cannot be looked up, an answer that is not HTTP
        status, reason = None, f"no answer: {error}"
    else:
        reason = "ready" if status == 200 else f"status {status}"
    return Answer(status, reason, round((time.monotonic() - started) * 1000, 1))


def _status(place: Place, deadline: float) -> int:
    """Return the status of the answer.

    Raises:
        OSError: there is none in time.
        ValueError: it is not HTTP, or the host is none.
    """
    is_unix = place.host.startswith("unix:")
    host = "localhost" if is_unix else str(place)
    request = f"GET {place.route} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    with _connected(place, deadline) as sock:
        sock.settimeout(_left_s(deadline))
        if place.tls is not None:
            sock = place.tls.wrap_socket(sock)  # type: ignore[attr-defined] # an SSL context, which only TLS loads
        with sock:
            sock.settimeout(_left_s(deadline))
            sock.sendall(request.encode("ascii"))
            return _read_status(sock, deadline)


def _left_s(deadline: float) -> float:
    """Return the seconds that are left.

    Raises:
        TimeoutError: there are none.
    """
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s


def _connected(place: Place, deadline: float) -> socket.socket:
    """Open a connection."""
    if place.host.startswith("unix:"):
        return _connect(socket.AF_UNIX, place.host.removeprefix("unix:"), deadline)
    error: OSError | None = None
    # As bytes, a host is not looked up by way of the codec for names in other scripts, which takes 1.5 ms to load.
    for family, _, _, _, address in socket.getaddrinfo(place.host.encode("ascii"), place.port, type=socket.SOCK_STREAM):
        try:
            return _connect(family, address, deadline)
        except OSError as caught:
            error = caught
    raise error or OSError("no such host")


def _connect(family: int, address: object, deadline: float) -> socket.socket:
    left_s = _left_s(deadline)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(left_s)
        sock.connect(address)  # type: ignore[arg-type] # of that family
    except BaseException:
        sock.close()
        raise
    return sock


def _read_status(sock: socket.socket, deadline: float) -> int:
    head = b""
    while b"\r\n" not in head and len(head) < _HEAD_BYTES_MAX:
        sock.settimeout(_left_s(deadline))
        data = sock.recv(_HEAD_BYTES_MAX)
        if not data:
            break
        head += data
    version, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    status = rest[:3]
    if (
        version not in (b"HTTP/1.1", b"HTTP/1.0")
        or len(status) < 3
        or not status.isdigit()
        or rest[3:4] not in (b"", b" ")
    ):
        raise ValueError("it does not speak HTTP" if head else "it closed the connection")
    return int(status)


def tell(place: Place, answer: Answer) -> int:
    """Print an answer for people. Returns the exit code."""
    say(f"{place}: {answer.reason} ({answer.ms} ms)")
    return OK if answer.is_ready else FAILED
