"""What `txtoken init` writes, and what it never does: overwrite a file, leave half of one, show the key."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import Ran, Terminal
from txtoken.cli.exit_codes import BAD_CONFIG, FAILED, OK
from txtoken.config.read import load


def names(folder: Path) -> set[str]:
    """Name what is in a folder."""
    return {path.name for path in folder.iterdir()}


def key_in(text: str) -> str:
    """Return the key of a configuration that `init` wrote."""
    match = re.search(r"^encKey: (.+)$", text, re.MULTILINE)
    assert match is not None
    return match[1]


def test_the_file_is_good_as_it_is(terminal: Terminal) -> None:
    """`check` finds nothing to say about it, only its owner can read it, and the key is shown nowhere."""
    ran = terminal.run("init")
    file = terminal.folder / "txtoken.yml"
    assert (ran.code, ran.err) == (OK, "")
    assert "txtoken serve -c txtoken.yml" in ran.out
    assert "txtoken demo --login-only" in ran.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key_in(file.read_text()) not in ran.out
    checked = terminal.run("check", "-c", "txtoken.yml", "--output", "json").json
    assert (checked["valid"], checked["warnings"]) == (True, [])


@pytest.mark.parametrize(
    "remote", ["https://login.example/a?b=c:", "http://[::1]:3000/{x}", "http+unix://%2Frun%2Fs/login"]
)
def test_options_stand_in_the_file(terminal: Terminal, remote: str) -> None:
    """What was asked for is what the service would read, whatever a URL is made of; its name may hold a space."""
    if "{" in remote:
        remote = remote.replace("{x}", "x,y")
    ran = terminal.run("init", "--remote", remote, "--port", "9000", "--out", "my file.yml")
    assert ran.code == OK
    assert "txtoken serve -c 'my file.yml'" in ran.out
    assert "login-only" not in ran.out
    config = load("my file.yml", {})
    assert (config.remote.url, config.process.port) == (remote, 9000)


def test_keys_are_fresh(terminal: Terminal) -> None:
    """No two files have the same key. `--out -` prints one, and nothing else."""
    first, second = (terminal.run("init", "--out", "-").out for _ in range(2))
    assert key_in(first) != key_in(second)
    assert first.startswith("# ")
    assert names(terminal.folder) == {"example_cfg.yml"}


def test_optional_keys_are_good_too(terminal: Terminal) -> None:
    """What is commented out is a configuration, once it is not."""
    text = terminal.run("init", "--out", "-").out
    terminal.write(
        re.sub(r"^# (?=(?: *[a-zA-Z]+: ?\S*$|  )|statusMap|listen|expHours)", "", text, flags=re.MULTILINE), "all.yml"
    )
    ran = terminal.run("check", "-c", "all.yml", "--output", "json")
    assert ran.code == OK, ran.out
    assert {name for name, source in ran.json["sources"].items() if source != "default"} >= {
        *("listen", "workers", "expHours", "statusMap", "adminPort", "claims.iss", "throttle.field"),
    }


def test_the_environment_names_the_file(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG_FILE names what is written, as it names what is read."""
    monkeypatch.setenv("CFG_FILE", "named.yml")
    ran = terminal.run("init")
    assert "  txtoken serve\n" in ran.out
    assert names(terminal.folder) == {"example_cfg.yml", "named.yml"}


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "folder"])
def test_what_is_there_stays(terminal: Terminal, kind: str) -> None:
    """Whatever is there under that name stays as it is, and the message says what to do."""
    there, target = terminal.folder / "txtoken.yml", terminal.folder / "target"
    if kind == "folder":
        there.mkdir()
    elif kind == "file":
        there.write_text("kept")
    else:
        there.symlink_to(target)
        if kind == "link":
            target.write_text("kept")
    before = names(terminal.folder)
    ran = terminal.run("init")
    text = "is there already, and is not overwritten: choose another name with --out"
    run = ", or run it: txtoken serve -c txtoken.yml" if kind in ("file", "link") else ""
    assert ran == Ran(FAILED, "", f"txtoken: txtoken.yml {text}{run}\n")
    assert names(terminal.folder) == before
    assert kind not in ("file", "link") or there.read_text() == "kept"


@pytest.mark.parametrize("path", ["none/txtoken.yml", "example_cfg.yml/a", "x" * 300, "a\0b"])
def test_where_no_file_can_be(terminal: Terminal, path: str) -> None:
    """A place where nothing can be written is one line."""
    ran = terminal.run("init", "--out", path)
    assert (ran.code, ran.out) == (FAILED, "")
    assert ran.err.count("\n") == 1
    assert "cannot be written" in ran.err
    assert names(terminal.folder) == {"example_cfg.yml"}


@pytest.mark.parametrize("has_links", [True, False])
def test_a_full_disk_leaves_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    """Where the file does not fit there is none, and no part of one, on a file system without links too."""

    def no_link(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "no links")

    real, count = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if has_links or count == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr("txtoken.cli.new_file.os.fsync", full)
    if not has_links:
        monkeypatch.setattr("txtoken.cli.new_file.os.link", no_link)
    ran = terminal.run("init")
    assert ran.code == FAILED
    assert "No space left on device" in ran.err
    assert names(terminal.folder) == {"example_cfg.yml"}


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_links(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """There the file is written all the same, and still overwrites nothing, whatever the system answers to a link."""

    def no_link(*_: Any) -> None:
        raise OSError(number, "no links")

    monkeypatch.setattr("txtoken.cli.new_file.os.link", no_link)
    assert terminal.run("init").code == OK
    assert names(terminal.folder) == {"example_cfg.yml", "txtoken.yml"}
    assert stat.S_IMODE((terminal.folder / "txtoken.yml").stat().st_mode) == 0o600
    assert terminal.run("init").code == FAILED


def test_two_at_once_write_one(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that appears while this one is written is not overwritten."""
    real = os.link

    def late(*arguments: Any) -> None:
        (terminal.folder / "txtoken.yml").write_text("other")
        real(*arguments)

    monkeypatch.setattr("txtoken.cli.new_file.os.link", late)
    assert terminal.run("init").code == FAILED
    assert (terminal.folder / "txtoken.yml").read_text() == "other"
    assert names(terminal.folder) == {"example_cfg.yml", "txtoken.yml"}


@pytest.mark.parametrize("verb", ["serve", "check"])
def test_without_a_configuration(terminal: Terminal, verb: str) -> None:
    """Who has none is told how to get one, and who has written one how to name it."""
    (terminal.folder / "example_cfg.yml").unlink()
    ran = terminal.run(verb)
    assert ran.code == BAD_CONFIG
    assert "`txtoken init` writes one; `txtoken demo` runs without one." in ran.err
    assert terminal.run("init").code == OK
    ran = terminal.run(verb)
    assert ran.code == BAD_CONFIG
    assert "Did you mean --config txtoken.yml?" in ran.err
