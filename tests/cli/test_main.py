"""What holds for every verb: usage, exit codes, bad configurations (contract §4.3). Commands run in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pytest

from tests.cli.terminal import COMMANDS, CONFIG, Ran, Terminal
from tests.running import KEY
from txtoken.cli.exit_codes import BAD_CONFIG, FAILED, OK, USAGE
from txtoken.cli.verbs import VERBS
from txtoken.errors import StartError
from txtoken.settings import Config
from txtoken.version import VERSION

# Usage


def test_every_verb_is_tested() -> None:
    """The commands that the tests here run are those of all verbs."""
    assert {command.split()[0] for command in COMMANDS} == {*VERBS}


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
        ["keys"],
        ["keys", "generate", "--alg", "none"],
        ["keys", "generate", "--format", "der"],
        ["keys", "generate", "--format", "jwk", "--kid", "a b"],
        ["keys", "generate", "--alg", "RS256", "--bits", "1024"],
        ["keys", "generate", "--alg", "RS256", "--bits", "many"],
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


# Failures


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

CONFIGURED: Final = [
    "export nginx" if command == "export" else command
    for command in COMMANDS
    if command not in ("schema", "demo", "keygen", "keys generate", "init", "completion")
]
DIFFERENT: Final = (
    "serve",
    "export nginx",
    "health",
)  # no --output, or (the last) a look at nothing but where it listens


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


@pytest.mark.parametrize("command", [command for command in CONFIGURED if command not in DIFFERENT])
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
        ("limits=5", '--set: limits: has to be a JSON object, for example {"headBytes": 65536}'),
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


# All together


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
