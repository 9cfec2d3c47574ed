"""Real programs in front of the service: started, waited for, ended. Knows no configuration but the examples in deploy/."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.running import PATIENCE_S

DEPLOY: Final = Path(__file__).parents[1] / "deploy"
NAME: Final = "tokens.example.com"
# An address of this process alone: programs that want a port in their file cannot be given one that is certainly free.
HOST: Final = f"127.{os.getpid() >> 14 & 127 | 1}.{os.getpid() >> 7 & 127}.{os.getpid() & 127 | 128}"
SERVER: Final = "127.0.0.1:8888"  # as the examples have it


def adapted(example: str, changes: dict[str, str]) -> str:
    """Read an example, with what differs here replaced. Each of it has to be there."""
    text = (DEPLOY / example).read_text()
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in {example}"
        text = text.replace(old, new)
    return text


def nginx_main(folder: Path, included: str) -> str:
    """Write nginx's main file for what stands in its `http` block."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""  # who else could enter the folder?
    return (
        f"daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log stderr notice; "
        f"events {{ worker_connections 2048; }}\nhttp {{ {temporary} {included} }}\n"
    )


def nginx_command(folder: Path) -> list[str]:
    """Serve by `nginx.conf` in the folder."""
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", f"{folder}/nginx.conf"]


def caddy_command(folder: Path) -> list[str]:
    """Serve by `Caddyfile` in the folder."""
    return ["caddy", "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


NGINX_IS_READY: Final = "start worker process "
CADDY_IS_READY: Final = "serving initial configuration"


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where the program is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


class Program:
    """A running program. With `said_when_ready` it is waited for; without, its socket is open already and is one of `passed`."""

    def __init__(
        self, command: Sequence[str], folder: Path, said_when_ready: str | None, passed: Sequence[int] = ()
    ) -> None:
        environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            pass_fds=passed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said: list[str] = []
        while said_when_ready is not None:
            line = self._process.stdout.readline()
            said.append(line)
            if said_when_ready in line:
                break
            assert line, f"{command[0]} did not start: {said}"
        self._reader = threading.Thread(target=self._process.stdout.read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
