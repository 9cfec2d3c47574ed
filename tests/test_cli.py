"""What people type and what comes back: texts, JSON, exit codes (contract §4.3). Most commands run in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests.configuring import revealed
from tests.running import KEY, PATIENCE_S
from txtoken.cli import BAD_CONFIG, FAILED, OK, USAGE, main
from txtoken.config.read import load
from txtoken.config.signing_secret import EXAMPLE_KEY
from txtoken.config.table import KEYS
from txtoken.errors import StartError
from txtoken.settings import HIDDEN, Config
from txtoken.version import VERSION

CONFIG: Final = f"encKey: {KEY}\nremote: http://127.0.0.1:9/login\nport: 0\nlisten: 127.0.0.1\n"
COMMANDS: Final = (
    "serve",
    "check",
    "schema",
    "demo",
    "keygen",
    "health",
    "token issue",
    "token verify",
    "token explain",
)
NOON: Final = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read stdout as JSON."""
        return json.loads(self.out)


class Terminal:
    """Runs commands in this process, in a folder with a good `example_cfg.yml`."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        for name in [name for name in os.environ if name.startswith(("TXTOKEN_", "CFG_FILE"))]:
            monkeypatch.delenv(name)
        self.write(CONFIG)

    def write(self, text: str, name: str = "example_cfg.yml") -> None:
        """Write a file in the folder."""
        (self.folder / name).write_text(text)

    def run(self, *arguments: str, stdin: bytes = b"", shows_key: bool = False) -> Ran:
        """Run a command. Whatever it says, it never says the key."""
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse ends so
            code = int(str(ended.code))
        out, err = self._capsys.readouterr()
        assert shows_key or KEY not in out + err
        assert "Traceback" not in err
        return Ran(code, out, err)


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in a folder of its own."""
    return Terminal(tmp_path, capsys, monkeypatch)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """What `serve` was asked to run, in place of running it."""
    configs: list[Config] = []

    def serve(config: Config, load: Callable[[], Config], passed: Sequence[int]) -> int:
        configs.append(config)
        return OK

    monkeypatch.setattr("txtoken.process.supervisor.serve", serve)
    return configs


def token(claims: dict[str, object], key: str = KEY) -> str:
    """Sign a token with the independent library."""
    return jwt.encode(claims, key, algorithm="HS256")


GOOD: Final = token({"data": {"id": 7, "name": "Ünal"}, "exp": 4_000_000_000})
EXPIRED: Final = token({"data": {}, "exp": 1})
FOREIGN: Final = token({"data": {}, "exp": 4_000_000_000}, "another-key-for-tests-0123456789-abcdefgh")


# Usage


@pytest.mark.parametrize("command", ["", *COMMANDS, "token"])
def test_help(terminal: Terminal, command: str) -> None:
    """Every command explains itself, and that is no failure."""
    ran = terminal.run(*command.split(), "--help")
    assert (ran.code, ran.err) == (OK, "")
    assert ran.out.startswith(f"usage: txtoken {command}".rstrip())


def test_help_names_every_command_and_exit_code(terminal: Terminal) -> None:
    """Who reads the help has seen all commands and what the exit codes mean."""
    out = terminal.run("--help").out
    for name in (
        *(command.split()[0] for command in COMMANDS),
        "0 ended as asked",
        "1 failure",
        "78 bad configuration",
    ):
        assert name in " ".join(out.split())


def test_version(terminal: Terminal) -> None:
    """`--version` says which version this is."""
    ran = terminal.run("--version")
    assert (ran.code, ran.out) == (OK, f"txtoken {VERSION}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["token"],
        ["token", "nothing"],
        ["--nothing"],
        ["check", "--nothing"],
        ["check", "surplus"],
        ["check", "--output", "yaml"],
        ["check", "--config"],
        ["check", "--set"],
        ["check", "--set", "port"],
        ["check", "--set", f"encKey:{KEY}"],
        ["keygen", "--config", "x"],
        ["demo", "--port", "70000"],
        ["demo", "--port", "-1"],
        ["demo", "--login-port", "http"],
        ["demo", "--login-only", "everywhere"],
        ["demo", "--login-only", "--once"],
        ["token", "issue", "{}", "--hours", "nan"],
        ["token", "issue", "{}", "--hours", "inf"],
        ["token", "issue", "{}", "--hours", "0"],
        ["token", "issue", "{}", "--hours", "-1"],
        ["token", "issue", "{}", "--hours", "1e300"],
        ["token", "issue", "{}", "--hours", "two"],
    ],
    ids=" ".join,
)
def test_wrong_usage(terminal: Terminal, arguments: list[str]) -> None:
    """What cannot be a command ends with 2, with the usage, and with nothing on stdout."""
    ran = terminal.run(*arguments)
    assert (ran.code, ran.out) == (USAGE, "")
    assert ran.err.startswith("usage: txtoken")


# serve


@pytest.mark.parametrize(
    ("arguments", "port"),
    [
        ([], 1),
        (["serve"], 1),
        (["-c", "b.yml"], 2),
        (["--config", "b.yml"], 2),
        (["--config=b.yml", "--set", "port=3"], 3),
        (["serve", "--set", "port=3", "--set", "port=4"], 4),
        (["--set=port=3"], 3),
    ],
)
def test_serve_is_what_no_command_means(
    terminal: Terminal, served: list[Config], arguments: list[str], port: int
) -> None:
    """Without a command it serves, as the original did, and takes the options of `serve`."""
    terminal.write(CONFIG.replace("port: 0", "port: 1"))
    terminal.write(CONFIG.replace("port: 0", "port: 2"), "b.yml")
    assert terminal.run(*arguments).code == OK
    assert [config.process.port for config in served] == [port]


def test_serve_reads_cfg_file_and_environment(
    terminal: Terminal, served: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CFG_FILE names the file and TXTOKEN_… variables count more than it, for the process as for `load`."""
    terminal.write(CONFIG.replace("port: 0", "port: 2"), "b.yml")
    monkeypatch.setenv("CFG_FILE", "b.yml")
    assert terminal.run().code == OK
    monkeypatch.setenv("TXTOKEN_PORT", "3")
    assert terminal.run("serve").code == OK
    assert [config.process.port for config in served] == [2, 3]


@pytest.mark.parametrize("frozen", [True, False])
def test_serve_as_one_binary_has_a_process_group_of_its_own(
    terminal: Terminal, served: list[Config], monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    """What a terminal sends to its group does not reach the binary twice; elsewhere the group stays the caller's."""
    groups: list[tuple[int, int]] = []
    monkeypatch.setattr("os.setpgid", lambda pid, group: groups.append((pid, group)))
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    assert terminal.run("serve").code == OK
    assert (groups, len(served)) == ([(0, 0)] if frozen else [], 1)


def test_serve_that_cannot_start(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops a good configuration from running is one line on stderr and exit code 1."""

    def serve(config: Config, load: Callable[[], Config], passed: Sequence[int]) -> int:
        raise StartError(f"no room for {config.process.port}")

    monkeypatch.setattr("txtoken.process.supervisor.serve", serve)
    assert terminal.run("serve") == Ran(FAILED, "", "txtoken: no room for 0\n")


def test_interrupted(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a command without a traceback."""

    def serve(_: Config, load: Callable[[], Config], passed: Sequence[int]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("txtoken.process.supervisor.serve", serve)
    assert terminal.run("serve") == Ran(FAILED, "", "")


# Bad configurations

CONFIGURED: Final = [command for command in COMMANDS if command not in ("schema", "demo", "keygen")]


@pytest.mark.parametrize("command", CONFIGURED)
def test_bad_configuration(terminal: Terminal, command: str) -> None:
    """Every command that reads the configuration ends with 78 when it is bad, and says all that is wrong on stderr."""
    terminal.write(f"port: many\nencKey: {KEY[:20]}\n")
    ran = terminal.run(*command.split(), "--set", "debug=perhaps")
    assert (ran.code, ran.out) == (BAD_CONFIG, "")
    assert ran.err.startswith("The configuration has 4 problems, nothing was started:\n")
    for name in ("port", "encKey", "remote", "debug"):
        assert f": {name}: " in ran.err
    assert KEY[:20] not in ran.err


@pytest.mark.parametrize("command", [command for command in CONFIGURED if command != "serve"])
def test_bad_configuration_as_json(terminal: Terminal, command: str) -> None:
    """With `--output json` the problems are data: key, where and text of each."""
    terminal.write(CONFIG + "limits:\n  waiting: x\n")
    ran = terminal.run(*command.split(), "--output", "json")
    assert (ran.code, ran.err) == (BAD_CONFIG, "")
    text = "has to be a whole number from 0 to 1000000"
    where = "example_cfg.yml, line 6"
    assert ran.json == {"valid": False, "problems": [{"key": "limits.waiting", "where": where, "text": text}]}


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("path", ["none.yml", "\udcff.yml", ".", "x" * 5000])
def test_files_that_are_none(terminal: Terminal, output: str, path: str) -> None:
    """A path that leads to no file is a bad configuration, whatever bytes it is made of."""
    ran = terminal.run("check", "--output", output, "-c", path)
    assert ran.code == BAD_CONFIG
    assert "Name another with --config or CFG_FILE." in ran.out + ran.err


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("port=", "--set: port: has to be a whole number from 0 to 65535"),
        ("Port=1", "--set Port: is not a known key: did you mean port?"),
        ("=1", "--set ?: is not a known key"),
        ("limits=5", "--set limits: is not a known key"),
        (f"x {KEY}=1", "--set ?: is not a known key"),
        ("encKey=a=b", "encKey: has to be 32 to 4096 bytes long; this one has 3."),
    ],
)
def test_bad_overrides(terminal: Terminal, pair: str, told: str) -> None:
    """A `--set` that names no key, or a value that its key does not take, is a bad configuration that says so."""
    ran = terminal.run("check", "--set", pair)
    assert ran.code == BAD_CONFIG
    assert told in ran.err


def test_key_of_another_kind_is_found_before_anything_starts(terminal: Terminal) -> None:
    """A configuration that `check` calls good is one that `serve` starts with: a PEM or SSH key is neither."""
    terminal.write("encKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\nremote: http://h/\n")
    for command in ("check", "serve"):
        ran = terminal.run(command)
        assert ran.code == BAD_CONFIG
        assert "is a PEM, SSH or JWK key" in ran.err


# check


def test_check_shows_what_would_run(terminal: Terminal) -> None:
    """`check` names the file and every key with the value that counts, the secrets hidden."""
    ran = terminal.run("check", "--set", "limits.waiting=7")
    assert (ran.code, ran.err) == (OK, "")
    assert ran.out.startswith("The configuration is good (example_cfg.yml). This would run:\n\nport: 0\n")
    lines = [line.strip() for line in ran.out.splitlines()]
    for line in (
        "waiting: 7",
        f"encKey: {HIDDEN}",
        "expHours: 24",
        'listen: ["127.0.0.1"]',
        "remote: http://127.0.0.1:9/login",
    ):
        assert any(line in (found, found.replace(".0", "")) for found in lines), line
    for key in KEYS:
        if not (key.name.endswith("File") and key.instead_of):
            assert any(line.startswith(f"{key.name.rpartition('.')[2]}:") for line in lines), key.name


def test_check_as_json(terminal: Terminal) -> None:
    """With `--output json` what would run is data, and its warnings are a list."""
    ran = terminal.run("check", "--output", "json", "--set", 'requestTokenData={"a": [1]}')
    assert (ran.code, ran.err) == (OK, "")
    assert set(ran.json) == {"valid", "warnings", "configuration"}
    assert (ran.json["valid"], ran.json["warnings"]) == (True, [])
    assert ran.json["configuration"]["requestTokenData"] == {"a": [1]}
    assert ran.json["configuration"]["timeouts"]["remote"] == 5
    assert ran.json["configuration"]["encKey"] == HIDDEN


def test_check_says_warnings(terminal: Terminal) -> None:
    """A weak key that only this machine can use is a warning in both outputs, and still a good configuration."""
    terminal.write(f"encKey: {EXAMPLE_KEY}\nremote: http://h/\nlisten: localhost\n")
    ran = terminal.run("check")
    assert ran.code == OK
    assert "\nWarning: encKey is the example file's key" in ran.out
    (warning,) = terminal.run("check", "--output", "json").json["warnings"]
    assert "is refused elsewhere" in warning
    assert EXAMPLE_KEY not in ran.out + warning


def test_check_without_a_file(terminal: Terminal) -> None:
    """The command line alone can be a configuration, and then no file is named."""
    (terminal.folder / "example_cfg.yml").unlink()
    ran = terminal.run("check", "--set", f"encKey={KEY}", "--set", "remote=http://h/")
    assert ran.code == OK
    assert ran.out.startswith("The configuration is good. This would run:\n")


# keygen


def test_keygen_makes_keys_for_enc_key(terminal: Terminal) -> None:
    """A new key is accepted as encKey as it is printed, in a file and on the command line, and no two are the same."""
    keys = set()
    for _ in range(50):
        ran = terminal.run("keygen")
        key = ran.out.removesuffix("\n")
        assert (ran.code, ran.err) == (OK, "")
        assert re.fullmatch(r"[A-Za-z0-9_-]{48}", key)
        terminal.write(f"encKey: {key}\nremote: http://h/\n")
        assert revealed(load("example_cfg.yml", {}).keys.secret) == key.encode()
        terminal.write(ran.out, "key")
        assert revealed(load("example_cfg.yml", {"TXTOKEN_ENC_KEY_FILE": "key"}).keys.secret) == key.encode()
        keys.add(key)
    assert len(keys) == 50


def test_keygen_as_json(terminal: Terminal) -> None:
    """With `--output json` the key stands under the name of the configuration's key."""
    ran = terminal.run("keygen", "--output", "json")
    assert (ran.code, list(ran.json), len(ran.json["encKey"])) == (OK, ["encKey"], 48)


# health


@contextlib.contextmanager
def answering(status: int) -> Iterator[int]:
    """Answer requests for /readyz with `status`, and anything else with 404. Yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


@pytest.mark.parametrize(("status", "code", "reason"), [(200, OK, "ready"), (503, FAILED, "status 503")])
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104 - nothing is bound there
def test_health_of_a_service_that_answers(terminal: Terminal, status: int, code: int, reason: str, listen: str) -> None:
    """A service is healthy when /readyz says 200, and only then; one that listens everywhere is asked on loopback."""
    with answering(status) as port:
        overrides = ("--set", f"port={port}", "--set", f"listen={listen}")
        ran = terminal.run("health", *overrides)
        assert ran.code == code
        assert re.fullmatch(rf"(127\.0\.0\.1|localhost):{port}: {reason} \([0-9.]+ ms\)\n", ran.out)
        ran = terminal.run("health", "--output", "json", *overrides)
        assert ran.code == code
        assert (ran.json["ready"], ran.json["status"], set(ran.json)) == (
            status == 200,
            status,
            {"ready", "status", "ms"},
        )


def test_health_of_a_service_that_is_not_there(terminal: Terminal) -> None:
    """Where nobody answers the service is not healthy: exit code 1, and a status of null."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        override = f"port={bound.getsockname()[1]}"
        ran = terminal.run("health", "--set", override)
        assert ran.code == FAILED
        assert "no answer" in ran.out
        ran = terminal.run("health", "--output", "json", "--set", override)
        assert (ran.code, ran.json["ready"], ran.json["status"]) == (FAILED, False, None)


def test_health_of_something_else(terminal: Terminal) -> None:
    """What does not speak HTTP is not healthy, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")
                connection.recv(65_536)

        thread = threading.Thread(target=greet)
        thread.start()
        ran = terminal.run("health", "--set", f"port={listening.getsockname()[1]}")
        thread.join(PATIENCE_S)
    assert ran.code == FAILED
    assert "no answer" in ran.out


# token


@pytest.mark.parametrize("by", ["argument", "stdin", "stdin without -"])
def test_token_issue(terminal: Terminal, by: str) -> None:
    """A token carries the object, lives expHours, and is one for the independent library; the object may come on stdin."""
    data = '{"id": 7, "name": "Ünal", "big": 123456789012345678901234567890}'
    arguments = {"argument": [data], "stdin": ["-"], "stdin without -": []}[by]
    stdin = b"" if by == "argument" else f" {data}\n".encode()
    before = int(time.time())
    ran = terminal.run("token", "issue", *arguments, stdin=stdin)
    assert (ran.code, ran.err) == (OK, "")
    claims = jwt.decode(ran.out.strip(), KEY, algorithms=["HS256"])
    assert claims["data"] == json.loads(data)
    assert before <= claims["exp"] - 24 * 3600 <= time.time()


@pytest.mark.parametrize(("hours", "seconds"), [("2", 7200), ("0.5", 1800), ("1e-9", 1), ("878400", 878_400 * 3600)])
def test_token_issue_as_json(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, hours: str, seconds: int) -> None:
    """With `--output json` the token comes with its end, and `--hours` counts more than expHours."""
    monkeypatch.setattr("time.time", lambda: NOON + 0.9)
    ran = terminal.run("token", "issue", "{}", "--output", "json", "--hours", hours)
    assert (ran.code, set(ran.json)) == (OK, {"token", "exp"})
    assert ran.json["exp"] == NOON + seconds
    assert jwt.decode(ran.json["token"], options={"verify_signature": False}) == {"data": {}, "exp": NOON + seconds}


@pytest.mark.parametrize(
    "data", ["[1]", "5", "", "{", '{"a":}', "null", "\udcff", '{"a":"\udcff"}', "[" * 300, '{"a":' * 250]
)
def test_token_issue_wants_an_object(terminal: Terminal, data: str) -> None:
    """What is no JSON object is wrong usage, with a reason that quotes nothing, and no token."""
    for arguments, stdin in (([data], b""), (["-"], data.encode(errors="surrogateescape"))):
        ran = terminal.run("token", "issue", "--", *arguments, stdin=stdin)
        assert (ran.code, ran.out) == (USAGE, "")
        assert ran.err.startswith("txtoken: DATA is n")
        assert "It has to be a JSON object, as the remote would reply." in ran.err


@pytest.mark.parametrize(
    "pasted",
    [
        "{}",
        " {}\r\n",
        '"{}"',
        "'{}'",
        "`{}`",
        "Bearer {}",
        "bearer   {}",
        "Authorization: Bearer {}",
        "authorization:Bearer\t{}",
        "'Authorization: Bearer {}'",
        'Authorization: "Bearer {}"',
        '{{"token":"{}"}}',
        '{{ "token" : "{}" }}\n',
        '{{"exp": 4000000000, "access_token":"{}", "token_type":"Bearer"}}',
        '{{"token":"Bearer {}"}}',
    ],
)
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_tokens_are_taken_as_they_are_copied(terminal: Terminal, pasted: str, is_wrapped: bool) -> None:
    """In an answer's JSON, a header field, quotes, or lines that a terminal or a mail wrapped, it is the token that is judged."""
    token = GOOD if not is_wrapped else "\n  ".join(GOOD[start : start + 40] for start in range(0, len(GOOD), 40))
    text = pasted.format(token)
    for command in ("verify", "explain"):
        assert terminal.run("token", command, "--", text).code == OK
        assert terminal.run("token", command, stdin=text.encode()).code == OK


@pytest.mark.parametrize(
    "text", ["{}", '{"token":5}', '{"token":""}', "Bearer", "Authorization:", '""', "{", "bearertoken.a.b"]
)
def test_what_holds_no_token_is_not_valid(terminal: Terminal, text: str) -> None:
    """What looks like a copy but holds no token is judged as it stands."""
    assert terminal.run("token", "explain", "--", text).code == FAILED


@pytest.mark.parametrize("by", ["argument", "header", "stdin", "stdin without -"])
def test_token_verify(terminal: Terminal, by: str) -> None:
    """A valid token's claims are printed, whichever way it came."""
    arguments = {"argument": [f" {GOOD} "], "header": [f"Bearer {GOOD}"], "stdin": ["-"], "stdin without -": []}[by]
    stdin = b"" if by in ("argument", "header") else f"{GOOD}\n".encode()
    ran = terminal.run("token", "verify", *arguments, stdin=stdin)
    assert (ran.code, ran.err) == (OK, "")
    assert ran.json == {"data": {"id": 7, "name": "Ünal"}, "exp": 4_000_000_000}
    ran = terminal.run("token", "verify", "--output", "json", *arguments, stdin=stdin)
    assert ran.code == OK
    assert ran.json == {"valid": True, "claims": {"data": {"id": 7, "name": "Ünal"}, "exp": 4_000_000_000}}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (EXPIRED, "Token is expired"),
        (FOREIGN, "signature is invalid"),
        ("a.b", "token contains an invalid number of segments"),
        ("", "token contains an invalid number of segments"),
        (GOOD + "=", "token is malformed"),
        ("\udcff", "token contains an invalid number of segments"),
        ("\udcff.\udcff.\udcff", "token is malformed"),
        (token({"data": {}}), "token has no expiry"),
    ],
)
def test_token_verify_says_what_the_service_would(terminal: Terminal, text: str, error: str) -> None:
    """A token that is not valid ends with 1 and the very text that the check route answers with."""
    assert terminal.run("token", "verify", "--", text) == Ran(FAILED, "", f"not valid: {error}\n")
    stdin = text.encode(errors="surrogateescape")
    ran = terminal.run("token", "verify", "--output", "json", stdin=stdin)
    assert (ran.code, ran.err, ran.json) == (FAILED, "", {"valid": False, "error": error})


def test_token_verify_follows_the_rules(terminal: Terminal) -> None:
    """The rules of `verify` hold for tokens on the command line as for those at the check route."""
    assert terminal.run("token", "verify", GOOD, "--set", "verify.iss=me").code == FAILED
    assert terminal.run("token", "verify", token({"data": {}}), "--set", "verify.requireExp=false").code == OK


def test_token_explain(terminal: Terminal) -> None:
    """A valid token is explained with its time left, a foreign one with the reason; both with what can be read of them."""
    ran = terminal.run("token", "explain", GOOD)
    assert (ran.code, ran.err) == (OK, "")
    assert ran.out.startswith("Valid: it is valid for another ")
    assert '  header:  {"alg":"HS256","typ":"JWT"}\n' in ran.out
    assert '"name":"Ünal"' in ran.out
    ran = terminal.run("token", "explain", "-", stdin=FOREIGN.encode())
    assert (ran.code, ran.err) == (FAILED, "")
    assert ran.out.startswith("Not valid: it was signed with another key")
    assert "\n  answer:  signature is invalid\n" in ran.out


def test_token_explain_of_anything(terminal: Terminal) -> None:
    """What cannot be read is said to be unreadable."""
    for text in ("", "x", "\udcff", "a.b.c", "é.é.é"):
        ran = terminal.run("token", "explain", "--", text)
        assert ran.code == FAILED
        assert "cannot be read" in ran.out


@pytest.mark.parametrize(("text", "code"), [(GOOD, OK), (EXPIRED, FAILED), (FOREIGN, FAILED), ("x", FAILED)])
def test_token_explain_as_json(terminal: Terminal, text: str, code: int) -> None:
    """With `--output json` the explanation has five members, null where there is nothing to say."""
    ran = terminal.run("token", "explain", "--output", "json", text)
    assert ran.code == code
    assert set(ran.json) == {"valid", "error", "reason", "header", "claims"}
    assert ran.json["valid"] is (code == OK)
    assert (ran.json["error"] is None) is (code == OK)
    assert ran.json["reason"]
    assert ran.json["header"] == (None if text == "x" else {"alg": "HS256", "typ": "JWT"})
    assert (ran.json["claims"] is None) is (text == "x")


def test_commands_fit_together(terminal: Terminal) -> None:
    """A new key, a token of it, its verdict and its explanation: each takes what the one before printed."""
    key = terminal.run("keygen").out
    terminal.write(key, "key")
    terminal.write("encKeyFile: key\nremote: http://h/\n")
    issued = terminal.run("token", "issue", '{"a":1}').out
    assert terminal.run("token", "verify", stdin=issued.encode()).json["data"] == {"a": 1}
    assert terminal.run("token", "explain", stdin=issued.encode()).code == OK
    shown = terminal.run("check").out
    assert key.strip() not in shown
