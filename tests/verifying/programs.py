"""The programs of examples/verify: what they need, how they are built, and one at work. Knows no tokens."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tests.verifying.issuer import ALGORITHMS, AUDIENCE, ISSUER

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "verify"
BUILD_S: Final = 900
ENDED: Final = "ended"  # after the last line
ANSWER_S: Final = 20  # a JVM that starts on a busy machine included


@dataclass(frozen=True)
class Program:
    """A verifier. Commands run in its folder, `examples/verify/NAME`."""

    name: str
    needs: tuple[str, ...]
    build: tuple[tuple[str, ...], ...]
    run: tuple[str, ...]
    algorithms: tuple[str, ...] = ALGORITHMS

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return EXAMPLES / self.name

    def missing(self) -> list[str]:
        """Name what it needs and this machine does not have."""
        return [command for command in self.needs if shutil.which(command) is None]

    def make(self) -> str:
        """Build it. Return nothing, or why that failed."""
        for command in self.build:
            try:
                done = subprocess.run(
                    command, cwd=self.folder, capture_output=True, text=True, timeout=BUILD_S, check=False
                )
            except subprocess.TimeoutExpired:
                return f"{' '.join(command)}: took longer than {BUILD_S} s"
            if done.returncode:
                return f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-500:]}"
        return ""


PROGRAMS: Final = (
    Program(
        "python",
        needs=(),  # the Python that runs this
        build=(
            (sys.executable, "-m", "venv", ".venv"),
            (
                ".venv/bin/python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
                "requirements.txt",
            ),
        ),
        run=(".venv/bin/python", "verify.py"),
    ),
    Program("go", needs=("go",), build=(("go", "build", "-o", "build/verify", "."),), run=("build/verify",)),
    Program("node", needs=("node", "npm"), build=(("npm", "ci"),), run=("node", "verify.mjs")),
    Program(
        "java",
        needs=("java", "mvn"),
        build=(("mvn", "-q", "-B", "package"),),
        run=("java", "-jar", "target/verify.jar"),
        algorithms=("ES256", "RS256", "PS256"),
    ),
    Program(
        "rust",
        needs=("cargo",),
        build=(("cargo", "build", "--release", "--locked"),),
        run=("target/release/verify",),
    ),
)


class Verifier:
    """A program at work: takes one token after another and stays alive in between."""

    def __init__(self, command: Sequence[str], folder: Path, jwks_url: str, algorithm: str) -> None:
        self.errors: Final = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process: Final = subprocess.Popen(
            command, cwd=folder, env=environment(jwks_url, algorithm), text=True, encoding="utf-8", bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip
        self.lines: Final[queue.Queue[str]] = queue.Queue()
        self.reader: Final = threading.Thread(target=self.read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def read(self, stdout: IO[str]) -> None:
        """Pass on what it prints."""
        for line in stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(ENDED)

    def answer(self, token: str) -> str:
        """Ask about one token. No line in time, or one too much before, is an answer that is never right."""
        assert self.process.stdin is not None
        if unasked := self.unasked():
            return unasked
        try:
            self.process.stdin.write(token + "\n")
            self.process.stdin.flush()
            first = self.lines.get(timeout=ANSWER_S)
        except BrokenPipeError:
            return self.said()
        except queue.Empty:
            return f"no answer within {ANSWER_S} s"
        return self.said() if first == ENDED else first

    def unasked(self) -> str:
        """Return what it printed beyond its answers, if anything: a token must not make it print a line of its own."""
        try:
            line = self.lines.get_nowait()
        except queue.Empty:
            return ""
        if line == ENDED:
            self.lines.put(ENDED)  # for who asks next
            return ""
        return f"a line too much: {line}"

    def said(self) -> str:
        """Return the end of what it wrote to stderr."""
        self.process.wait(ANSWER_S)
        self.errors.seek(0)
        return f"ended: {self.errors.read().strip()[-200:]}"

    def close(self) -> str:
        """End its input. Return how it ended: a program that does not end by itself is killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.close()
            self.process.wait(ANSWER_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
        self.reader.join()
        self.process.stdout.close()
        self.errors.close()
        return self.unasked() or f"exit code {self.process.wait()}"


def environment(jwks_url: str, algorithm: str) -> dict[str, str]:
    """Return this process's environment with the program's settings, and without a proxy: the JWKS is on loopback."""
    own = {"JWKS_URL": jwks_url, "ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "ALGORITHMS": algorithm}
    inherited = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    return inherited | own
