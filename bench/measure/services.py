"""The service and its peers: how each is started and found ready, and which versions it consists of.

Knows no load and no figures. A peer is a folder of peers/ with a `run` that serves both routes on HOST:PORT, posts logins to
REMOTE and signs with KEY, all four from its environment (FOLDER is for files of its own). `run --prepare` fetches or builds what
it needs; when something is missing, it fails and says on its last line what. `run --versions` prints a name and a version a line.
`bench.measure.own` reads what people bring.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import yaml

from bench.errors import BenchError, Ended, Unavailable
from bench.load.answers import KEY_ID, TOKEN_HOURS, Judge, Keys
from bench.load.routes import CONTRACT, Routes
from bench.measure.builds import COMPILED
from bench.measure.hosts import Host
from bench.measure.processes import ROOT, Process
from bench.measure.scenarios import FLOOR, INTERPRETED, SUBJECT, Setup

PEERS: Final = ROOT / "bench" / "peers"
GO: Final = "go"  # the original: not in the repository, you build it
BAD_CONFIG: Final = 78  # EX_CONFIG of sysexits.h, for example for an unknown key
COMPILE: Final = ROOT / "scripts" / "compile"
READY_S: Final = 30.0  # the slowest imports 300 modules; on an emulated CPU that takes its time
READY_POLL_S: Final = 0.005
PREPARE_S: Final = 1800.0  # a first run may fetch packages, and compile on a small board


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a TLS listener."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is to be, and what it has to know."""

    host: Host
    port: int
    remote: str
    keys: Keys
    folder: Path  # of its own, empty
    cores: frozenset[int] | None
    certificate: Certificate | None = None  # of a setup with TLS


@dataclass(frozen=True, slots=True)
class Service:
    """One of those that are measured. `command` is that of a service that somebody brings; of the original it is the program."""

    name: str
    command: tuple[str, ...] = ()
    routes: Routes = CONTRACT

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
        if self.command:
            if shutil.which(self.command[0]) is None:
                raise Unavailable(f"{self.command[0]} is not a program that can be run")
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

    def start(self, place: Place, setup: Setup, output: IO[bytes] | None = None) -> Process:
        """Start it. The caller waits until it is ready, and ends it."""
        environment = {
            "HOST": place.host.address,
            "PORT": str(place.port),
            "REMOTE": place.remote,
            "KEY": place.keys.secret,
            "FOLDER": str(place.folder),
        }
        if self.name in (SUBJECT, INTERPRETED):
            command, environment = self._subject(place, setup), {}
        elif self.name == GO:
            command, environment = list(self.command), {"CFG_FILE": str(_write_config(place, {}))}
        elif self.command:
            command = [_filled(part, environment) for part in self.command]
        else:
            command = [str(PEERS / self.name / "run")]
        return Process(
            [*place.host.prefix, *command],
            folder=place.folder,
            environment=_environment(environment),
            cores=place.cores,
            output=output,
        )

    def _subject(self, place: Place, setup: Setup) -> list[str]:
        own: dict[str, object] = {"listen": place.host.address, "log": {"level": "warning", "access": setup.logs}}
        if setup.has_keyset:
            file = place.folder / "key.pem"
            file.write_bytes(place.keys.pem)
            own |= {"encKey": None, "keys": [{"alg": "EdDSA", "kid": KEY_ID, "keyFile": str(file)}]}
        if place.certificate is not None:
            own["tls"] = {"certFile": str(place.certificate.chain), "keyFile": str(place.certificate.key)}
        config = _write_config(place, own)
        program = [str(COMPILED.with_name("txtoken"))] if self.name == SUBJECT else [sys.executable, "-m", "txtoken"]
        command = [*program, "serve", "-c", str(config)]
        for key, value in setup.settings:
            command += ["--set", f"{key}={value}"]
        return command

    def versions(self) -> dict[str, str]:
        """Which versions it consists of, as far as its own tools report them. It has to be prepared."""
        if self.name in (SUBJECT, INTERPRETED):
            return {name: _version(name) for name in MADE_OF}
        if self.name == GO:
            return {self.name: _said(["go", "version", *self.command]).rpartition(" ")[2] or "unknown"}
        if self.command:
            return {}
        said = subprocess.run(
            [PEERS / self.name / "run", "--versions"],
            env={**os.environ, **_environment({})},
            capture_output=True,
            text=True,
            check=False,
        )
        return dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)


# What matters most for the subject: distributions of the running Python.
MADE_OF: Final = ("txtoken", "Python", "uvloop", "httptools", "aiohttp", "orjson", "PyJWT")


def known_services() -> dict[str, Service]:
    """Name every service of the repository: the subject, and the folders of peers/."""
    names = [SUBJECT, INTERPRETED, *sorted(run.parent.name for run in PEERS.glob("*/run"))]
    return {name: Service(name) for name in names}


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


def _write_config(place: Place, own: Mapping[str, object]) -> Path:
    """Write a configuration of the original's eight keys, and the further keys of the subject. None takes one away."""
    config = {
        "port": place.port,
        "debug": False,
        "encKey": place.keys.secret,
        "remote": place.remote,
        "expHours": TOKEN_HOURS,
        "getTokenRoute": CONTRACT.login_path,
        "checkTokenRoute": CONTRACT.check_path,
        "requestTokenData": {"service": "bench"},
        **own,
    }
    path = place.folder / "cfg.yml"
    path.write_text(yaml.safe_dump({name: value for name, value in config.items() if value is not None}))
    return path


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name.lower()}}}", value)
    return text


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Add which Python the peers are to use: the one that runs this, with its packages."""
    return {"PYTHON": sys.executable, **own}


def _version(name: str) -> str:
    match name:
        case "Python":
            return sys.version.partition(" ")[0]
        case "txtoken":
            return _said([sys.executable, "-m", "txtoken", "--version"]).rpartition(" ")[2]
        case _:
            try:
                return importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                return "unknown"


def _said(command: list[str]) -> str:
    """Return the first line that a program says about itself."""
    if shutil.which(command[0]) is None:
        return "unknown"
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (made.stdout + made.stderr).strip().splitlines()
    return lines[0] if lines and not made.returncode else "unknown"
