"""Services with one secret, as processes, and the API behind them. Knows no tokens."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from bench.load.stub_remote import LOOPBACK
from bench.measure.probe import wait_until_ready
from bench.measure.processes import Process, free_port

ISSUER: Final = "https://login.example"
SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Rotation:
    """The configuration of the services."""

    algorithm: str
    every_s: int
    life_s: int
    workers: Sequence[int]  # of each service


@contextmanager
def replicas(rotation: Rotation, python: str, folder: Path) -> Iterator[list[int]]:
    """Run the services. Yields their ports, when all of them serve.

    Raises:
        BenchError: one of them does not.
    """
    secret = folder / "secret"
    secret.write_text(secrets.token_hex(SECRET_BYTES))  # base64 is taken for words once in 3 000 times
    with ExitStack() as stack:
        remote = free_port()
        stub = [sys.executable, "-m", "bench.load.stub_remote", "--port", str(remote)]
        stack.enter_context(Process(stub, folder=made(folder / "remote")))
        services = []
        for number, workers in enumerate(rotation.workers):
            port = free_port()
            own = made(folder / f"service-{number}")
            config = own / "txtoken.yml"
            config.write_text(
                yaml.safe_dump(_config(rotation, port, workers, f"http://{LOOPBACK}:{remote}/login", secret))
            )
            command = [python, "-P", "-m", "txtoken", "serve", "-c", str(config)]
            services.append((port, stack.enter_context(Process(command, folder=own))))
        for port, process in services:
            wait_until_ready(process, port)
        yield [port for port, _ in services]
        for _, process in services:
            process.check_alive()


def _config(rotation: Rotation, port: int, workers: int, remote: str, secret: Path) -> dict[str, Any]:
    return {
        "port": port,
        "listen": LOOPBACK,
        "workers": workers,
        "remote": remote,
        "expHours": rotation.life_s / 3600,
        "keys": {"secretFile": str(secret), "alg": rotation.algorithm, "every": f"{rotation.every_s}s"},
        "claims": {"iss": ISSUER, "iat": True},
        "reload": "off",
        "log": {"level": "warning", "access": False},
    }


def made(folder: Path) -> Path:
    """Make a folder."""
    folder.mkdir()
    return folder
