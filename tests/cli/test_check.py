"""What `txtoken check` shows of a good configuration."""

from __future__ import annotations

import re

import pytest

from tests.cli.terminal import CONFIG, Terminal
from tests.running import KEY
from tests.service.keys.material import pair, pem
from txtoken.cli.exit_codes import BAD_CONFIG, OK
from txtoken.config.signing_secret import EXAMPLE_KEY
from txtoken.config.table import KEYS
from txtoken.settings import HIDDEN


def test_check_shows_what_would_run(terminal: Terminal) -> None:
    """`check` names the file and every key with the value that counts, the secrets hidden."""
    sections = ("--set", "refresh.grace=0", "--set", "throttle.field=/user")  # which turn these on
    ran = terminal.run("check", "--set", "limits.waiting=7", *sections)
    assert (ran.code, ran.err) == (OK, "")
    assert ran.out.startswith(
        "The configuration is good (example_cfg.yml). This would run:\n\nport: 0  # example_cfg.yml, line 3\n"
    )
    lines = [line.strip().partition("  # ")[0] for line in ran.out.splitlines()]
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
    assert set(ran.json) == {"valid", "warnings", "configuration", "sources"}
    assert (ran.json["valid"], ran.json["warnings"]) == (True, [])
    assert ran.json["configuration"]["requestTokenData"] == {"a": [1]}
    assert ran.json["configuration"]["timeouts"]["remote"] == 5
    assert ran.json["configuration"]["encKey"] == HIDDEN


def test_check_says_where_values_came_from(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value has its source: a line of the file, a variable, an option, another key that stands for it, or the default."""
    terminal.write(CONFIG.replace("encKey", "encKeyFile").replace(KEY, "key") + "debug: true\ntimeouts:\n  head: 5s\n")
    terminal.write(KEY, "key")
    monkeypatch.setenv("TXTOKEN_LIMITS", '{"bodyBytes": "1MB"}')
    monkeypatch.setenv("TXTOKEN_LIMITS_WAITING", "7")
    options = ("--port", "9", "--set", "timeouts.idle=1m", "--set", 'verify={"leeway": "5s"}')
    expected = {
        "port": "--port",
        "encKey": "example_cfg.yml, line 1 (encKeyFile)",
        "remote": "example_cfg.yml, line 2",
        "timeouts.head": "example_cfg.yml, line 7",
        "timeouts.idle": "--set",
        "timeouts.body": "default",
        "verify.leeway": "--set",
        "limits.bodyBytes": "environment TXTOKEN_LIMITS",
        "limits.waiting": "environment TXTOKEN_LIMITS_WAITING",
        "log.format": "example_cfg.yml, line 5 (debug)",
        "checkResponse": "default",
    }
    sources = terminal.run("check", "--output", "json", *options).json["sources"]
    assert {name: sources[name] for name in expected} == expected
    out = terminal.run("check", *options).out
    for name, source in expected.items():
        assert re.search(rf"^ *{name.rpartition('.')[2]}: .*  # {re.escape(source)}$", out, re.MULTILINE), name


def test_check_has_colours_on_a_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal what is no default stands out."""
    monkeypatch.setattr("txtoken.cli.terminal.has_colour", lambda **_: True)
    out = terminal.run("check", "--port", "9").out
    assert "port: 9  \x1b[36m# --port\x1b[0m\n" in out
    assert "debug: false  \x1b[2m# default\x1b[0m\n" in out


def test_check_says_warnings(terminal: Terminal) -> None:
    """A weak key that only this machine can use is a warning in both outputs, and still a good configuration."""
    terminal.write(f"encKey: {EXAMPLE_KEY}\nremote: http://h/\nlisten: localhost\n")
    ran = terminal.run("check")
    assert ran.code == OK
    assert "\nWarning: encKey is the example file's key" in ran.out
    (warning,) = terminal.run("check", "--output", "json").json["warnings"]
    assert "it is accepted only because" in warning
    assert EXAMPLE_KEY not in ran.out + warning


def test_check_without_a_file(terminal: Terminal) -> None:
    """The command line alone can be a configuration, and then no file is named."""
    (terminal.folder / "example_cfg.yml").unlink()
    ran = terminal.run("check", "--set", f"encKey={KEY}", "--set", "remote=http://h/")
    assert ran.code == OK
    assert ran.out.startswith("The configuration is good. This would run:\n")


def test_check_hides_keys(terminal: Terminal) -> None:
    """Of a keyset the names, algorithms and times are shown, in a form that the file could have, and nothing that is secret: no
    private key, no file's name that holds one, no secret that keys are derived from.
    """
    secret = "a-secret-that-nobody-may-see-0123456789-abcdefghijklmnopqrstuvwxyz"
    (terminal.folder / "key.pem").write_bytes(pem(pair("ES256")))
    (terminal.folder / "root").write_bytes(bytes(range(100, 148)))
    listed = f"[{{alg: HS512, kid: h, secret: {secret}}}, {{alg: ES256, keyFile: key.pem, kid: e, from: 2020-01-01T00:00:00Z}}]"
    for keys, shown in (
        (
            listed,
            [
                {"alg": "HS512", "kid": "h", "secret": HIDDEN},
                {"alg": "ES256", "kid": "e", "keyFile": HIDDEN, "from": "2020-01-01T00:00:00Z"},
            ],
        ),
        (
            "{secretFile: [root], alg: EdDSA, every: 24h, iss: a}",
            {"alg": "EdDSA", "secretFile": [HIDDEN], "every": 86400, "lead": 86400, "iss": "a"},
        ),
    ):
        terminal.write(f"remote: http://127.0.0.1:9/login\nkeys: {keys}\n")
        as_json, as_text = terminal.run("check", "--output", "json"), terminal.run("check")
        assert (as_json.code, as_text.code) == (OK, OK), as_text.err
        assert as_json.json["configuration"]["keys"] == shown
        for part in (secret, "key.pem", "MIG", "BEGIN", bytes(range(100, 148)).decode("latin-1"), "root"):
            assert part not in as_json.out + as_text.out + as_json.err + as_text.err


def test_check_shows_no_secret_of_a_wrong_keyset(terminal: Terminal) -> None:
    """All that is wrong is reported at once, with file, line and key, and no secret."""
    secret = "a-secret-that-nobody-may-see-0123456789"
    (terminal.folder / "key.pem").write_bytes(pem(pair("ES256")))
    terminal.write(
        "remote: http://127.0.0.1:9/login\nkeys:\n"
        f"- {{alg: HS512, kid: a, secret: {secret}}}\n- {{alg: EdDSA, keyFile: key.pem}}\n- {{alg: ES256, secret: {secret}}}\n"
        f"- {{alg: HS256, kid: {secret}, {secret}: 1}}\n"
    )
    as_text, as_json = terminal.run("check"), terminal.run("check", "--output", "json")
    told = [(problem["key"], problem["where"]) for problem in as_json.json["problems"]]
    assert told == [
        ("keys.secret", "example_cfg.yml, line 3"),
        ("keys.keyFile", "example_cfg.yml, line 4"),
        ("keys.secret", "example_cfg.yml, line 5"),
        ("?", "example_cfg.yml, line 6"),
        ("keys.secret", "example_cfg.yml, line 6"),
    ]
    for key, where in told:
        assert f"{where}: {key}: " in as_text.err
    for ran in (as_text, as_json):
        assert ran.code == BAD_CONFIG
        assert secret not in ran.out + ran.err
        assert "MIG" not in ran.out + ran.err


def test_check_doubts_revocations(terminal: Terminal) -> None:
    """What of the revocations is hardly meant is a warning here, before the service takes it."""
    terminal.write("kid nobody\nall before 2099-01-01T00:00:00Z\n", "revoked")
    keys = f"keys: [{{alg: HS256, kid: a, secret: {KEY}{KEY}}}]"
    terminal.write(f"{keys}\nremote: http://h/\nclaims: {{iat: true}}\nrevocations: revoked\n")
    warnings = terminal.run("check", "--output", "json").json["warnings"]
    assert [warning[:30] for warning in warnings] == [
        "revocations: a line with `kid`",
        "revocations: a time after `bef",
    ]
    terminal.write("kid a\n", "revoked")
    (warning,) = terminal.run("check", "--output", "json").json["warnings"]
    assert warning.startswith("revocations: no key signs")
