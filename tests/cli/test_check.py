"""What `txtoken check` shows of a good configuration."""

from __future__ import annotations

from tests.cli.terminal import Terminal
from tests.running import KEY
from txtoken.cli.exit_codes import OK
from txtoken.config.signing_secret import EXAMPLE_KEY
from txtoken.config.table import KEYS
from txtoken.settings import HIDDEN


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
