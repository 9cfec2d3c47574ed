"""The service and its peers: how each is started and found ready, and which versions it consists of.

Knows no load and no figures. A peer is a folder of peers/ with a `run` that serves both routes on 127.0.0.1:PORT, posts
logins to REMOTE and signs with KEY, all three from its environment (FOLDER is for files of its own). `run --prepare`
fetches what it needs; when something is missing, it fails and says on its last line what.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import yaml

from bench.errors import BenchError, Ended, Unavailable
from bench.load.answers import CHECK_ROUTE, LOGIN_ROUTE, TOKEN_HOURS, Judge
from bench.load.stub_remote import LOOPBACK
from bench.measure.builds import COMPILED
from bench.measure.processes import ROOT, Process
from bench.measure.scenarios import FLOOR, INTERPRETED, SUBJECT, Scenario

PEERS: Final = ROOT / "bench" / "peers"
GO: Final = "go"  # the original: not in the repository, you build it
BAD_CONFIG: Final = 78  # EX_CONFIG of sysexits.h, for example for an unknown key
COMPILE: Final = ROOT / "scripts" / "compile"
READY_S: Final = 30.0  # the slowest imports 300 modules; on an emulated CPU that takes its time
READY_POLL_S: Final = 0.02
PREPARE_S: Final = 1800.0  # a first run may fetch packages, and compile on a small board


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is to be, and what it has to know."""

    port: int
    remote: str
    key: str
    folder: Path  # of its own, empty
    cores: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Service:
    """One of those that are measured. `binary` is that of the original, for `go` alone."""

    name: str
    binary: Path | None = None

    @property
    def is_faithful(self) -> bool:
        """Whether it does the work. The floor answers a fixed text."""
        return self.name != FLOOR

    def prepare(self) -> None:
        """Fetch or build what it needs, before anything is measured.

        Raises:
            Unavailable: something is missing; the text says what.
        """
        if self.name == INTERPRETED:
            return
        if self.binary is not None:
            if not os.access(self.binary, os.X_OK):
                raise Unavailable(f"{self.binary} is not executable")
            return
        command = [str(COMPILE)] if self.name == SUBJECT else [str(PEERS / self.name / "run"), "--prepare"]
        try:
            # Only the last line of stderr matters: it says what is missing.
            made = subprocess.run(
                command,
                env={**os.environ, **_environment({})},
                capture_output=True,
                text=True,
                timeout=PREPARE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"it could not be prepared: {error}") from error
        if made.returncode:
            said = made.stderr.strip().rpartition("\n")[2] or f"`{command[0]}` ended with {made.returncode}"
            raise Unavailable(said)

    def start(self, place: Place, scenario: Scenario, output: IO[bytes] | None) -> Process:
        """Start it. The caller waits until it is ready, and ends it."""
        if self.name in (SUBJECT, INTERPRETED):
            command, environment = self._subject(place, scenario)
        elif self.binary is not None:
            command, environment = [self.binary], {"CFG_FILE": str(_write_config(place, {}))}
        else:
            command = [PEERS / self.name / "run"]
            environment = {
                "PORT": str(place.port),
                "REMOTE": place.remote,
                "KEY": place.key,
                "FOLDER": str(place.folder),
            }
        return Process(
            command, folder=place.folder, environment=_environment(environment), cores=place.cores, output=output
        )

    def _subject(self, place: Place, scenario: Scenario) -> tuple[list[str | Path], dict[str, str]]:
        config = _write_config(place, {"listen": LOOPBACK, "log": {"level": "warning", "access": scenario.logs}})
        program = [COMPILED.with_name("txtoken")] if self.name == SUBJECT else [sys.executable, "-m", "txtoken"]
        command: list[str | Path] = [*program, "serve", "-c", config]
        for key, value in scenario.settings.items():
            command += ["--set", f"{key}={value}"]
        return command, {}

    def versions(self) -> dict[str, str]:
        """Which versions it consists of, as far as its own tools report them."""
        if self.binary is not None:
            return {self.name: _said(["go", "version", str(self.binary)]).rpartition(" ")[2] or "unknown"}
        return {name: _version(name) for name in MADE_OF.get(self.name, ())}


# What matters most for each: distributions of the running Python, or programs.
MADE_OF: Final[Mapping[str, Sequence[str]]] = {
    SUBJECT: ("txtoken", "Python", "uvloop", "httptools", "aiohttp", "orjson", "PyJWT"),
    INTERPRETED: ("txtoken", "Python", "uvloop", "httptools", "aiohttp", "orjson", "PyJWT"),
    FLOOR: ("Python", "uvloop", "httptools"),
    "aiohttp_plain": ("Python", "uvloop", "aiohttp", "PyJWT"),
    "fastapi_httpx": ("Python", "uvloop", "fastapi", "uvicorn", "httptools", "httpx", "PyJWT"),
    "nginx_lua": ("nginx", "libnginx-mod-http-lua", "OpenSSL"),
    "node_fastify": ("node", "fastify", "undici", "fast-jwt"),
}


def known_services(binaries: Mapping[str, Path]) -> dict[str, Service]:
    """Name every service there is: the subject, the folders of peers/, and the binaries that a person gave."""
    names = [SUBJECT, INTERPRETED, *sorted(run.parent.name for run in PEERS.glob("*/run"))]
    services = {name: Service(name) for name in names}
    for name, binary in binaries.items():
        services[name] = Service(name, binary.absolute())
    return services


def wait_until_ready(process: Process, judge: Judge) -> None:
    """Wait for the first right answer.

    Raises:
        Unavailable: the service refuses its configuration: it is a version that cannot do this.
        BenchError: it ended, or does not answer.
    """
    deadline = time.monotonic() + READY_S
    while not judge.is_ready():
        try:
            process.check_alive()
        except Ended as error:
            if error.code == BAD_CONFIG:
                raise Unavailable(f"it refuses the configuration: {process.said()}") from error
            raise
        if time.monotonic() > deadline:
            raise BenchError(f"did not answer within {READY_S:.0f} s: {process.said()}")
        time.sleep(READY_POLL_S)


def _write_config(place: Place, extra: Mapping[str, object]) -> Path:
    """Write a configuration of the original's eight keys, and the further keys of the subject."""
    config = {
        "port": place.port,
        "debug": False,
        "encKey": place.key,
        "remote": place.remote,
        "expHours": TOKEN_HOURS,
        "getTokenRoute": LOGIN_ROUTE,
        "checkTokenRoute": CHECK_ROUTE,
        "requestTokenData": {"service": "bench"},
        **extra,
    }
    path = place.folder / "cfg.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Add which Python the peers are to use: the one that runs this, with its packages."""
    return {"PYTHON": sys.executable, **own}


def _version(name: str) -> str:
    match name:
        case "Python":
            return sys.version.partition(" ")[0]
        case "txtoken":
            return _said([sys.executable, "-m", "txtoken", "--version"]).rpartition(" ")[2]
        case "nginx":
            return _said(["nginx", "-v"]).rpartition("/")[2]
        case "node":
            return _said(["node", "--version"])
        case "OpenSSL":
            return " ".join(_said(["openssl", "version"]).split()[1:2]) or "unknown"
        case "libnginx-mod-http-lua":
            return _said(["dpkg-query", "-W", "-f", "${Version}", name])
        case "fastify" | "undici" | "fast-jwt":
            found = re.search(rf'"{name}": "([^"]+)"', (PEERS / "node_fastify" / "package.json").read_text())
            return found[1] if found else "unknown"
        case _:
            try:
                return importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                return "unknown"


def _said(command: list[str]) -> str:
    """Return the first line that a program says about itself."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        return "unknown"
    made = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (made.stdout + made.stderr).strip().splitlines()
    return lines[0] if lines and not made.returncode else "unknown"
