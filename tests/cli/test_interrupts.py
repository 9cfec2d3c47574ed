"""Ctrl-C, readers that leave, and disks that are full, at any moment of a command's start. Commands run as processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.running import KEY, run_command, run_first
from txtoken.cli.exit_codes import FAILED, OK

CONFIG: Final = f"encKey: {KEY}\nremote: http://127.0.0.1:9/login\nport: 0\nlisten: 127.0.0.1\n"
# Ctrl-C at the import of a module: one of the first, and one of the last that the command loads.
MOMENTS: Final = (
    (["--version"], "txtoken.version"),
    (["--help"], "argparse"),
    (["--help"], "txtoken.errors"),
    (["init"], "txtoken.cli.verbs"),
    (["init"], "txtoken.cli.new_file"),
    (["init"], "random"),  # which makes the name of the file that is not whole yet
    (["check"], "yaml"),
    (["check"], "txtoken.config.certificates"),
    (["health"], "txtoken.config.place"),
    (["serve"], "txtoken.process"),
    (["completion", "bash"], "shtab"),
)


@pytest.mark.parametrize(("arguments", "module"), MOMENTS, ids=lambda value: str(value))
def test_ctrl_c_while_it_starts(tmp_path: Path, arguments: list[str], module: str) -> None:
    """A command that is interrupted says nothing, ends with 0 or 1, and leaves no half of a file."""
    code = f"""import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            open({str(tmp_path / "sent")!r}, "w").close()
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""
    (tmp_path / "example_cfg.yml").write_text(CONFIG)
    before = {path.name for path in tmp_path.iterdir()} | {"sent", "shadow"}
    ran = run_command(
        tmp_path,
        *arguments,
        environment=run_first(tmp_path, code),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (tmp_path / "sent").exists() or module == "random"
    assert ran.stderr == ""
    assert ran.returncode in (OK, FAILED)
    left = {path.name for path in tmp_path.iterdir()} - before
    assert left <= {"txtoken.yml"}
    assert not left or "# throttle:" in (tmp_path / "txtoken.yml").read_text()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["schema"], ["help", "serve"], ["demo", "--once"]], ids=" ".join
)
@pytest.mark.parametrize("target", ["closed", "full"])
def test_output_that_nobody_takes(tmp_path: Path, arguments: list[str], target: str) -> None:
    """`| head` that has ended gets no traceback, and a full disk one line; the exit code is 1."""
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full", "wb") as full:
        ran = run_command(
            tmp_path,
            *arguments,
            stdout=writing if target == "closed" else full,
            stderr=subprocess.PIPE,
            text=True,
        )
    os.close(writing)
    said = "" if target == "closed" else "txtoken: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (FAILED, said)


def test_no_locale(tmp_path: Path) -> None:
    """Without a locale, and with a file whose name and values are not ASCII, all is said in UTF-8."""
    environ = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "äö.yml").write_text(CONFIG + "claims: {iss: Übung}\n", encoding="utf-8")
    ran = run_command(tmp_path, "check", "-c", "äö.yml", environment=environ, capture_output=True)
    assert (ran.returncode, ran.stderr) == (OK, b"")
    assert "iss: Übung  # ".encode() in ran.stdout
