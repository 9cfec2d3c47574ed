"""Completion in the shells themselves: bash, zsh and fish complete verbs, options and files."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.cli.terminal import Terminal
from tests.running import PATIENCE_S
from txtoken.cli.completion import SHELLS
from txtoken.cli.exit_codes import OK
from txtoken.cli.verbs import OTHERS, VERBS

COMMANDS: Final = {*VERBS, *OTHERS}
# What is typed, and what has to be offered.
CASES: Final = (
    (["txtoken", ""], COMMANDS),
    (["txtoken", "tok"], {"token"}),
    (["txtoken", "token", ""], {"issue", "verify", "explain"}),
    (["txtoken", "serve", "--wor"], {"--workers"}),
    (["txtoken", "completion", ""], set(SHELLS)),
    (["txtoken", "check", "--config", "my"], {"my.yml"}),
)


@pytest.fixture
def script(request: pytest.FixtureRequest, terminal: Terminal) -> Path:
    """The completion of a shell, in a file. A shell that is not installed is not tested."""
    shell: str = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    ran = terminal.run("completion", shell)
    assert (ran.code, ran.err) == (OK, "")
    terminal.write("", "my.yml")
    terminal.write(ran.out, f"script.{shell}")
    return terminal.folder / f"script.{shell}"


def out_of(command: Sequence[str], folder: Path) -> str:
    """Run a shell, and return what it prints."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"}
    ran = subprocess.run(
        command, cwd=folder, env=environ, timeout=PATIENCE_S, check=True, capture_output=True, text=True
    )
    assert ran.stderr == ""
    return ran.stdout


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash(script: Path) -> None:
    """bash offers what fits."""
    lines = [f"source {script}"]
    for words, _ in CASES:
        quoted = " ".join(f"'{word}'" for word in words)
        lines += [
            f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMPREPLY=()",
            "_shtab_txtoken",
            'echo "${COMPREPLY[*]}"',
        ]
    offered = out_of(["bash", "--norc", "-c", "\n".join(lines)], script.parent).splitlines()
    assert [{*line.split()} for line in offered] == [wanted for _, wanted in CASES]


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish(script: Path) -> None:
    """fish offers what fits, with what it does."""
    lines = [f"source {script}", *(f"complete -C '{' '.join(words)}'; echo ==" for words, _ in CASES)]
    offered = out_of(["fish", "--no-config", "-c", "\n".join(lines)], script.parent).split("==\n")
    for part, (_, wanted) in zip(offered, CASES, strict=False):
        assert {line.partition("\t")[0] for line in part.splitlines()} >= wanted
    assert "token\t" in offered[1]


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh(script: Path) -> None:
    """zsh, whose completion needs a terminal, completes a verb, and an option of it."""
    setup = f"autoload -U compinit; compinit -u -D; eval \"$(<{script})\"; PS1='ready> '"
    leader, follower = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "HOME": str(script.parent), "TERM": "dumb", "COLUMNS": "200"}
    command = ["zsh", "-f", "-i", "+o", "prompt_sp"]
    with subprocess.Popen(
        command,
        cwd=script.parent,
        env=environ,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    ) as process:
        os.close(follower)
        try:
            os.write(leader, f"{setup}\n".encode())
            wait_for(leader, b"\rready> ")
            for typed, completed in (
                (b"txtoken compl\t", b"completion "),
                (b"fi\t", b"fish "),
                (b"\x15txtoken serve --wor\t", b"--workers "),  # the first erases the line
            ):
                os.write(leader, typed)
                wait_for(leader, completed)
        finally:
            process.kill()
            os.close(leader)


def wait_for(descriptor: int, text: bytes) -> None:
    """Read from a terminal until this stands there."""
    read = b""
    while text not in read:
        assert select.select([descriptor], [], [], PATIENCE_S)[0], read
        read += os.read(descriptor, 4096)
