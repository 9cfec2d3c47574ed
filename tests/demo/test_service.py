"""The demo as people run it: its requests, the commands that it prints, its options, and every way in which it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests.login_api import LoginApi
from tests.running import PATIENCE_S, PROGRAM, ServiceProcess, clean_environment, run_first, service_process
from txtoken.demo.greeting import greeting

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
ANY: Final = ("--port", "0", "--login-port", "0")
COLUMNS: Final = 40  # of a narrow terminal
KINDS: Final = {"ES256": "EC", "EdDSA": "OKP", "RS256": "RSA", "PS256": "RSA"}


def answer(url: str, body: bytes | None = None, token: str = "") -> tuple[int, Any]:
    """Make a request. Returns the status and the JSON of the answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - it is the demo's
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as found:  # noqa: S310 - see above
            return found.status, json.loads(found.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def url_of(demo: ServiceProcess) -> str:
    """Return the URL that the demo names first."""
    url = demo.line_with("Open http").split()[1]
    assert url.endswith("/")
    return url.rstrip("/")


def log_in(url: str) -> str:
    """Log in as the demo's user. Returns the token."""
    status, found = answer(f"{url}/getToken", b'{"user":"ada","password":"engine"}')
    assert status == 200
    return str(found["token"])


def test_once(tmp_path: Path) -> None:
    """`demo --once` makes four requests, shows them, and ends with 0 because they went as they should. It shows no whole token,
    and its lines fit a narrow terminal.
    """
    with service_process(tmp_path, "demo", "--once") as process:
        code, output, errors = process.ended()
    assert (code, errors) == (0, "")
    assert "POST /getToken" in output
    assert '"Valid": true' in output
    assert '"name": "Ada Lovelace"' in output
    assert "expires in 24 h" in output
    assert output.count("ok    ") == 4
    token, checked, changed = re.findall(r"eyJ\w{5}….eyJ\w{5}….[\w-]{8}…", output)
    assert token == checked != changed  # the character that changed is shown
    assert not re.search(r"[\w-]{20,}", output)
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) <= COLUMNS


@pytest.mark.parametrize(("no_colour", "is_coloured"), [("", True), ("1", False)])
def test_colours(tmp_path: Path, no_colour: str, is_coloured: bool) -> None:
    """There are colours on a terminal, and none where NO_COLOR asks for none."""
    ours, theirs = os.openpty()
    environment = clean_environment() | {"NO_COLOR": no_colour, "TERM": "xterm"}
    with subprocess.Popen(
        [*PROGRAM, "demo", "--once"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path
    ) as process:
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
            while data := os.read(ours, 4096):
                output += data
        os.close(ours)
        assert process.wait(PATIENCE_S) == 0
    assert b"Valid" in output
    assert (b"\x1b[" in output) == is_coloured


def test_a_failed_request_is_an_exit_code(tmp_path: Path) -> None:
    """`demo --once` ends with 1 where its requests did not go as they should: images are tested by it."""
    code = "from txtoken.demo import client\nclient.PROFILE = {}\n"
    with service_process(tmp_path, "demo", "--once", environment=run_first(tmp_path, code)) as process:
        exit_code, output, errors = process.ended()
    assert (exit_code, errors) == (1, "")
    assert output.count("FAILED") == 1


@pytest.mark.parametrize("arguments", [("--once",), ANY])
def test_a_reader_who_has_seen_enough(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """`| head -1` ends the demo, without a word."""
    command = [*PROGRAM, "demo", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(), cwd=tmp_path, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(PATIENCE_S)
        assert process.stderr.read() == b""


@needs_curl
@pytest.mark.parametrize("workers", ["1", "2"])
def test_its_commands(tmp_path: Path, workers: str) -> None:
    """The demo prints commands that work as they stand, and logs what happens; with several workers, too."""
    with service_process(tmp_path, "demo", *ANY, "--workers", workers) as process:
        log_in = process.line_with("curl -s -d").strip()
        verify = process.line_with("curl -s -H").strip()
        done = subprocess.run(["bash", "-c", log_in], capture_output=True, timeout=PATIENCE_S, check=True)
        assert "token" in json.loads(done.stdout)
        done = subprocess.run(["bash", "-c", verify], capture_output=True, timeout=PATIENCE_S, check=True)
        assert json.loads(done.stdout)["Valid"] is True
        assert f"workers={workers}" in process.line_with("listening")
        process.line_with("GET /checkToken 200")


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_its_end(tmp_path: Path, workers: str, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the demo with 0, without a traceback, and at once although a page waits for events. Its ports are
    free then.
    """
    with service_process(tmp_path, "demo", *ANY, "--workers", workers) as process:
        url = url_of(process)
        api = process.line_with("login API is at ").split(" is at ")[1].rstrip(".\n")
        process.line_with("listening")
        position = answer(f"{url}/demo/events")[1]["next"]
        with socket.create_connection(url.removeprefix("http://").split(":"), PATIENCE_S) as page:  # type: ignore[arg-type]
            page.sendall(b"GET /demo/events?after=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % position)
            began = time.monotonic()
            process.send(number)
            assert page.makefile("rb").read().count(b"draining") == 1
        code, _, errors = process.ended()
    assert (code, errors) == (0, "")
    assert time.monotonic() - began < 8  # WAIT_S is 10
    for place in (url, api):
        host, port = place.removeprefix("http://").removesuffix("/login").split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), PATIENCE_S)


def has_begun(process: subprocess.Popen[bytes]) -> bool:
    """Whether the program holds signals back, as it does while it is loaded."""
    found = re.search(r"^SigBlk:\s*(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) & 1 << (signal.SIGINT - 1))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
@pytest.mark.parametrize("moment", ["loading", "greeting", "requests", "twice"])
def test_ctrl_c_at_any_moment(tmp_path: Path, moment: str) -> None:
    """Whenever Ctrl-C comes, to the whole group of processes as from a terminal, there is no traceback, and nothing is left."""
    arguments = ("--once",) if moment == "requests" else ANY
    with subprocess.Popen(
        [*PROGRAM, "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        cwd=tmp_path,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        if moment == "loading":
            while not has_begun(process):
                assert process.poll() is None
        else:
            process.stdout.readline()
        for _ in range(2 if moment == "twice" else 1):
            os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert errors == b""  # and both have let go of stdout and stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_demo(tmp_path: Path, workers: str) -> None:
    """Nothing is left of a demo that was killed: what it leaves ends by itself, and lets go of stdout and the ports."""
    with service_process(tmp_path, "demo", *ANY, "--workers", workers) as process:
        url = url_of(process)
        process.line_with("listening")
        process.send(signal.SIGKILL)
        code, _, _ = process.ended()
        assert code == -signal.SIGKILL
        host, port = url.removeprefix("http://").split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), PATIENCE_S)


@pytest.mark.parametrize("option", ["--port", "--login-port"])
def test_a_port_in_use(tmp_path: Path, option: str) -> None:
    """A port that somebody has ends the demo with 1, and one line that says which it is and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with service_process(tmp_path, "demo", *ANY, option, port) as process:
            code, output, errors = process.ended()
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert f"127.0.0.1:{port}: the port is in use. " in errors
    assert option in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "many"), "argument --port: wants a whole number from 0 to 65535"),
        (("--workers", "0"), "argument --workers: wants a number of processes, or auto"),
        (("--workers", "999"), "argument --workers: has to be a whole number from 1 to 256, or auto"),
        (("--host", "nowhere"), "argument --host: wants an IP address, for example 0.0.0.0"),
        (("--host", "unix:/tmp/a"), "argument --host: wants an IP address, for example 0.0.0.0"),
        (
            ("--host", "192.0.2.1"),
            "cannot listen on 192.0.2.1:0: this machine does not have that address. Correct `--host`.",
        ),
        (("--remote", "ftp://a"), "argument --remote: has to be an absolute http or https URL"),
        (("--remote", "http://a/", "--once"), "argument --once: not allowed with --remote"),
        (("--remote", "http://a/", "--login-port", "0"), "argument --login-port: not allowed with --remote"),
        (("--algorithm", "none"), "argument --algorithm: "),
    ],
)
def test_wrong_values(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """A wrong value ends the demo with a line that names it and says what is wrong."""
    ports = ANY[:2] if "--remote" in arguments else ANY
    with service_process(tmp_path, "demo", *ports, *arguments) as process:
        code, output, errors = process.ended()
    assert (code, output) == (2 if words.startswith("argument") else 1, "")
    assert words in errors
    assert "Traceback" not in errors


def test_a_host(tmp_path: Path) -> None:
    """`--host` is what the service listens on; where that is every address, the demo says who can use it."""
    with service_process(tmp_path, "demo", *ANY, "--host", "0.0.0.0") as process:  # noqa: S104 - it is what is tested
        url = url_of(process)
        process.line_with("Anyone who can reach this machine can use it.")
        process.line_with("listening")
        assert url.startswith("http://127.0.0.1:")
        assert log_in(url.replace("127.0.0.1", "127.0.0.2"))


@pytest.mark.parametrize(("host", "is_open"), [("127.0.0.1", False), ("::1", False), ("192.0.2.1", True), ("::", True)])
def test_who_can_use_it_is_said(host: str, is_open: bool) -> None:
    """Wherever others reach the demo, it says so: at one address of the machine as at all of them."""
    text = greeting("http://x", "http://y", is_own=True, host=host)
    assert ("Anyone who can reach this machine can use it." in text) is is_open


def test_a_remote(tmp_path: Path) -> None:
    """`--remote` puts the service in front of another login API, and the demo has none of its own."""
    api = LoginApi()
    try:
        with service_process(tmp_path, "demo", "--port", "0", "--remote", api.url) as process:
            url = url_of(process)
            process.line_with(f"Your login API is at {api.url}.")
            process.line_with("listening")
            status, found = answer(f"{url}/getToken", b'{"password":"right"}')
            assert status == 200
            assert answer(f"{url}/checkToken", token=found["token"])[0] == 200
            assert answer(f"{url}/getToken", b'{"password":"wrong"}')[0] == 500
            process.send(signal.SIGTERM)
            code, _, errors = process.ended()
    finally:
        api.close()
    assert (code, errors) == (0, "")


@pytest.mark.parametrize("algorithm", KINDS)
def test_an_algorithm(tmp_path: Path, algorithm: str) -> None:
    """With `--algorithm` tokens are signed by a key whose public half is published, and which is in no file."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    arguments = ("demo", *ANY, "--algorithm", algorithm)
    with service_process(tmp_path, *arguments, environment={"TMPDIR": str(folder)}) as process:
        url = url_of(process)
        process.line_with("listening")
        assert [*folder.iterdir()] == []
        token = log_in(url)
        (key,) = answer(f"{url}/.well-known/jwks.json")[1]["keys"]
    assert key["kty"] == KINDS[algorithm]
    assert jwt.decode(token, jwt.PyJWK(key), [algorithm])["data"]["user"] == "ada"
