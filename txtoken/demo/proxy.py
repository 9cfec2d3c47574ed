"""A real proxy in front of the demo: nginx or Caddy, where it is installed. Knows no route: its configuration comes as text."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from txtoken.errors import StartError
from txtoken.settings import LOOPBACK

START_S: Final = 10.0
END_S: Final = 5.0
_POLL_S: Final = 0.02
_SAID_CHARACTERS: Final = 600  # of what it said last, where it did not start
HOW_TO_GET: Final = {"nginx": "apt-get install nginx-light", "caddy": "apt-get install caddy"}


def nginx_command(folder: Path, program: str, text: str) -> list[str]:
    """Write nginx's main file, with `text` in its `http` block. All that it writes stays in the folder. Returns its command."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""  # who else could enter the folder?
    (folder / "nginx.conf").write_text(
        f"daemon off;\n{user}worker_processes 1;\npid {folder}/nginx.pid;\nerror_log stderr warn;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\n{temporary}{text}}}\n"
    )
    return [program, "-e", "stderr", "-p", str(folder), "-c", f"{folder}/nginx.conf"]


def caddy_command(folder: Path, program: str, text: str) -> list[str]:
    """Write the Caddyfile. Returns Caddy's command."""
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\n{text}")
    return [program, "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


COMMANDS: Final[dict[str, Callable[[Path, str, str], list[str]]]] = {"nginx": nginx_command, "caddy": caddy_command}


def find(name: str) -> str:
    """Find the program of this name.

    Raises:
        StartError: it is not installed.
    """
    # nginx stands in /usr/sbin, which is not on everybody's PATH.
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise StartError(f"{name} is not installed here. On Debian and Ubuntu: {HOW_TO_GET[name]}")
    return program


def free_port() -> int:
    """Find a port of loopback that nobody uses now."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(name: str, folder: Path, text: str, host: str, port: int) -> Iterator[None]:
    """Run a proxy by a configuration until the end of the block. It listens when the block begins.

    Raises:
        StartError: it is not installed, or does not listen.
    """
    command = COMMANDS[name](folder, find(name), text)
    try:
        socket.create_server((host, port)).close()
    except OSError as error:  # who has the port would be taken for the proxy
        why = "the port is in use. Choose another with --proxy-port." if error.errno == errno.EADDRINUSE else str(error)
        raise StartError(f"the demo's {name} cannot listen on {host}:{port}: {why}") from error
    homes = {variable: str(folder) for variable in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - the program is one of two, the folder is ours
            [*_ended_with_us(), *command],
            cwd=folder,
            env=homes | {"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # Ctrl-C is for the demo, which ends it
        )
    try:
        _wait_until_it_listens(process, name, folder, host, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # nginx's workers, should it have left them
        process.wait()


def _ended_with_us() -> list[str]:
    """Return how a command begins that the kernel ends together with this process, which may be killed (prctl(2),
    PR_SET_PDEATHSIG). It is empty where util-linux's setpriv is missing, or another one is there.
    """
    program = shutil.which("setpriv", path=os.defpath)
    if program is None:
        return []
    start = [program, "--pdeathsig", "TERM", "--"]
    done = subprocess.run([*start, program, "--version"], capture_output=True, check=False)  # noqa: S603 - it is ours
    return start if done.returncode == 0 else []


def _wait_until_it_listens(process: subprocess.Popen[bytes], name: str, folder: Path, host: str, port: int) -> None:
    deadline = time.monotonic() + START_S
    while True:
        if process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((host, port), 1.0):
                return
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
        said = " ".join((folder / "said").read_text(errors="replace").split())[-_SAID_CHARACTERS:]
        raise StartError(f"{name} does not listen on {host}:{port}: {said}")
