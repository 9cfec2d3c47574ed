"""A terminal in a copy of the repository, for the commands of one page. Knows no page."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT
from tests.running import PATIENCE_S, PROGRAM, clean_environment

COPIED: Final = ("example_cfg.yml", "pyproject.toml", "setup.py")
LINKED: Final = ("bench", "deploy", "docs", "examples", "tests")
PORTS: Final = (
    "8888",
    "8889",
    "9090",
    "8080",
    "8000",
    "8890",
)  # that pages name: each terminal has free ones in their place
MARK: Final = "\x1e"
# This terminal's ports come first, so that those of a page count.
SHIM: Final = """#!/bin/sh
case $1 in
init) shift; exec {program} init --port {service} "$@" ;;
demo) shift; exec {program} demo --port {service} --login-port {login} --proxy-port {proxy} "$@" ;;
*) exec {program} "$@" ;;
esac
"""


class Terminal:
    """A shell. `folder` looks like a clone in which everything has been installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self._running: list[tuple[subprocess.Popen[str], threading.Thread]] = []
        furnish(folder, self.ports)
        self._environment = clean_environment() | {
            "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "NO_COLOR": "1",
            "COLUMNS": "120",
        }
        self._shell = self._start(["bash", "--norc"])

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def placed(self, text: str) -> str:
        """Put this terminal's ports in place of those of the page."""
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: self.ports[found[1]], text)

    def write(self, name: str, text: str) -> None:
        """Write a file of the page."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.placed(text))

    def run(self, command: str) -> tuple[str, int]:
        """Run a command. Returns what it prints and its exit code."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {self.placed(command)}\n}} </dev/null\nprintf '{MARK}%s\\n' $?\n")
        self._shell.stdin.flush()
        printed = ""
        with ends_in_time(self._shell):
            for line in self._shell.stdout:
                text, mark, code = line.partition(MARK)
                printed += text
                if mark:
                    return printed, int(code)
        raise AssertionError(f"the shell ended at {command!r}: {printed}")

    def run_on(self, command: str, output: str) -> None:
        """Start a command that does not end, and wait until it has printed this."""
        process = self._start(["bash", "-c", f"exec 0</dev/null; {self.placed(command)}"])
        reader = threading.Thread(target=drain, args=(process,), daemon=True)
        self._running.append((process, reader))
        assert process.stdout is not None
        printed = ""
        with ends_in_time(process):
            for line in process.stdout:
                printed += line
                if fits(self.placed(output), printed, whole=False):
                    reader.start()
                    return
        raise AssertionError(f"{command!r} printed {printed!r}")

    def end_running(self, kept: int = 0) -> None:
        """End what runs on, but for so many that were started first."""
        while len(self._running) > kept:
            process, reader = self._running.pop()
            end(process)
            if reader.ident is not None:
                reader.join(PATIENCE_S)
            close_pipes(process)

    def close(self) -> None:
        """End everything."""
        self.end_running()
        end(self._shell)
        close_pipes(self._shell)


def drain(process: subprocess.Popen[str]) -> None:
    """Read what a process goes on to print, so that it never waits for a reader."""
    for _ in process.stdout or ():
        pass


def end(process: subprocess.Popen[str]) -> None:
    """End a process and its children, which are of its own session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_S)


def close_pipes(process: subprocess.Popen[str]) -> None:
    """Close this side of a process's pipes."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@contextlib.contextmanager
def ends_in_time(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process that does not say what it should, so that nobody waits for it."""
    timer = threading.Timer(PATIENCE_S, end, (process,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def furnish(folder: Path, ports: dict[str, str]) -> None:
    """Have a folder look like a clone: scripts/environment does nothing, and the command is of the build that is tested."""
    for name in COPIED:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    executable(folder / "scripts" / "environment", "#!/bin/sh\n")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    executable(programs / "python", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    shim = SHIM.format(program=shlex.join(PROGRAM), service=ports["8888"], login=ports["8889"], proxy=ports["8080"])
    executable(programs / "txtoken", shim)


def executable(path: Path, text: str) -> None:
    """Write a program."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def free_ports(count: int) -> list[str]:
    """Find ports that nobody uses, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(sock.getsockname()[1]) for sock in sockets]


def fits(expected: str, printed: str, *, whole: bool = True) -> bool:
    """Whether this is what the page shows: `…` is anything within a line, and alone on a line any lines. Lines that the page
    breaks for its readers may be one.
    """
    lines = [
        ".*" if line.strip() == "…" else r"[^\n]*".join(map(re.escape, line.strip().split("…")))
        for line in expected.strip().splitlines()
    ]
    pattern = r"\s*".join(lines)
    text = printed.replace("\r", "")
    found = re.fullmatch(rf"\s*{pattern}\s*", text, re.DOTALL) if whole else re.search(pattern, text, re.DOTALL)
    return found is not None
