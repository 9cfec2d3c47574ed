"""`txtoken health --url`, and what it makes of answers that are none."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.terminal import Terminal
from tests.cli.test_health import answering
from tests.running import PATIENCE_S
from txtoken.cli.exit_codes import FAILED, OK, USAGE
from txtoken.cli.readiness import Place, ask, place_of_url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://127.0.0.1:8888", "127.0.0.1:8888/readyz"),
        ("HTTP://localhost", "localhost:80/readyz"),
        ("http://localhost:1/", "localhost:1/readyz"),
        ("http://[::1]:9/livez?a=b", "[::1]:9/livez?a=b"),
        ("https://h", "h:443/readyz"),
        ("unix:/run/t.sock", "unix:/run/t.sock/readyz"),
    ],
)
def test_urls(url: str, place: str) -> None:
    """A URL says where to ask, and may say for what; only https takes TLS."""
    found = place_of_url(url)
    assert found is not None
    assert f"{found}{found.route}" == place
    assert (found.tls is not None) is url.startswith("https:")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "localhost",
            "127.0.0.1:8888",
            "ftp://h",
            "http://",
            "http:///x",
            "http://h:0",
            "http://h:70000",
            "http://h:x",
        ),
        *(
            "http://u:p@h/",
            "http://h/#a",
            "http://h/ a",
            "http://h\r\n",
            "http://ü/",
            "http://[::1",
            "http://[h]:1/",
            "unix:run",
        ),
        "http://h?a",
    ],
)
def test_urls_that_are_none(terminal: Terminal, url: str) -> None:
    """Anything else is wrong usage, with an example, in both forms of the output."""
    for output in ([], ["--output", "json"]):
        ran = terminal.run("health", "--url", url, *output)
        assert (ran.code, ran.out) == (USAGE, "")
        assert "for example http://127.0.0.1:8888" in ran.err


@pytest.mark.parametrize(("status", "code"), [(200, OK), (503, FAILED)])
def test_url_reads_no_file(terminal: Terminal, status: int, code: int) -> None:
    """With `--url` the configuration may be missing, or wrong."""
    terminal.write("port: [")
    with answering(status) as port:
        ran = terminal.run("health", "--url", f"http://localhost:{port}")
        assert (ran.code, ran.err) == (code, "")
        assert ran.out.startswith(f"localhost:{port}: ")
        ran = terminal.run("health", f"--url=http://127.0.0.1:{port}/", "--output", "json")
        assert (ran.code, ran.json["status"]) == (code, status)


def test_a_file_that_is_wrong_elsewhere(terminal: Terminal) -> None:
    """A service that runs is ready, whatever has become of the rest of its file."""
    with answering(200) as port:
        terminal.write(f"port: {port}\nlisten: 127.0.0.1\nencKey: short\nunknown: 1\n")
        assert terminal.run("health").code == OK
        assert terminal.run("health", "-c", "example_cfg.yml").code == OK
        assert terminal.run("health", "--output", "json").code == OK


@pytest.mark.parametrize(
    ("parts", "status", "reason"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\n"], 200, "ready"),
        ([b"H", b"TTP/1.0 2", b"04\r", b"\n"], 204, "status 204"),
        ([b"HTTP/1.1 200\r\n"], 200, "ready"),
        ([b"HTTP/1.1 20\r\n"], None, "no answer: it does not speak HTTP"),
        ([b"HTTP/1.1 2000 OK\r\n"], None, "no answer: it does not speak HTTP"),
        ([b"HTTP/2 200\r\n"], None, "no answer: it does not speak HTTP"),
        ([b"x" * 9000], None, "no answer: it does not speak HTTP"),
        ([], None, "no answer: it closed the connection"),
    ],
)
@pytest.mark.parametrize("is_unix", [False, True])
def test_answers(tmp_path: Path, parts: list[bytes], status: int | None, reason: str, is_unix: bool) -> None:
    """Only a status line of HTTP/1 is an answer, however it arrives."""
    listening = socket.socket(socket.AF_UNIX) if is_unix else socket.create_server(("127.0.0.1", 0))
    with listening:
        if is_unix:
            listening.bind(str(tmp_path / "s"))
            listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                assert connection.recv(65_536).startswith(b"GET /readyz HTTP/1.1\r\nHost: ")
                for part in parts:
                    connection.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        place = Place(f"unix:{tmp_path}/s", 0) if is_unix else Place(*listening.getsockname())
        answer = ask(place)
        thread.join(PATIENCE_S)
    assert (answer.status, answer.reason) == (status, reason)


def test_a_service_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one deadline for all of it."""
    monkeypatch.setattr("txtoken.cli.readiness.TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answer = ask(Place(*listening.getsockname()))
    assert answer.status is None
    assert "timed out" in answer.reason


def test_a_host_with_many_silent_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is for all of its addresses together."""
    now, left = 0.0, []

    class Silent(socket.socket):
        """A socket whose connection takes a part of the time that it gets."""

        def connect(self, address: object) -> None:
            nonlocal now
            timeout_s = self.gettimeout()
            assert timeout_s is not None
            left.append(timeout_s)
            now += 1.5
            raise TimeoutError("timed out")

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))] * 3
    monkeypatch.setattr("txtoken.cli.readiness.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr("txtoken.cli.readiness.socket.getaddrinfo", lambda *_, **__: addresses)
    monkeypatch.setattr("txtoken.cli.readiness.socket.socket", Silent)
    answer = ask(Place("many.example", 80))
    assert (answer.status, answer.reason) == (None, "no answer: timed out")
    assert left == [2.0, 0.5]


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 70, "a..b"])
def test_a_host_that_is_none(host: str) -> None:
    """A host that cannot be found is no answer, and no traceback."""
    answer = ask(Place(host, 80))
    assert answer.status is None
    assert answer.reason.startswith("no answer: ")
