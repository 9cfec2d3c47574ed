"""The service as a process: which build, with `deploy/`'s own settings, and its memory, files and CPU time.

Knows no attack. The configuration is that of the Kubernetes ConfigMap but for ports, remote, secret, and `remoteIdle`, which is
a second so that connections to the remote are gone when files are counted.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import yaml

from bench.measure import probe
from bench.measure.accounting import children_of
from bench.measure.processes import ROOT, Process, free_port
from bench.withstand.measures import Usage

CONFIG_MAP: Final = ROOT / "deploy" / "kubernetes" / "configmap.yaml"
SLOW_NAMES: Final = Path(__file__).parent / "slow_names.py"
LOOPBACK: Final = "127.0.0.1"
NANOSECONDS: Final = 1e9
DATA_BYTES_MAX: Final = 4 * 1024**3  # a faulty service must not exhaust the machine


def deployed_settings() -> dict[str, Any]:
    """Read the settings that a pod gets."""
    settings: dict[str, Any] = yaml.safe_load(yaml.safe_load(CONFIG_MAP.read_text())["data"]["txtoken.yml"])
    return settings


@dataclass(frozen=True, slots=True)
class Launch:
    """How the service is started."""

    python: str
    folder: Path  # of its own, empty
    key: str
    remote: str
    workers: int = 1
    settings: Mapping[str, Any] | None = None  # instead of those of `deploy/`; a section replaces single members
    cores: frozenset[int] | None = None
    output: IO[bytes] | None = None  # its stdout; None: nowhere
    names_hang: Path | None = None  # names do not resolve while this file exists


class Subject:
    """A service that runs. A context manager."""

    def __init__(self, launch: Launch) -> None:
        """Start it. Ports are chosen here."""
        self.port = free_port()
        self.admin_port = free_port()
        self.folder = launch.folder
        self.config = launch.folder / "txtoken.yml"
        self.secret = launch.folder / "enc_key"
        self.key = launch.key
        self.secret.write_text(launch.key)
        self._workers = launch.workers
        self.settings = self._settings(launch)
        self.config.write_text(self.text())
        module = ["-m", "txtoken"]  # with -P: of the build that is installed there, not of the working directory
        if launch.names_hang is not None:
            module = [str(SLOW_NAMES), str(launch.names_hang)]
        command = [launch.python, "-P", *module, "serve", "-c", str(self.config)]
        with Path(os.devnull).open("wb") as nowhere:
            self.process = Process(command, folder=launch.folder, cores=launch.cores, output=launch.output or nowhere)
        resource.prlimit(self.process.pid, resource.RLIMIT_DATA, (DATA_BYTES_MAX, DATA_BYTES_MAX))

    def _settings(self, launch: Launch) -> dict[str, Any]:
        settings = deployed_settings()
        # The remote first and the secret last, so that the file is invalid wherever it is cut.
        made: dict[str, Any] = {"remote": launch.remote, "listen": LOOPBACK, "port": self.port}
        made |= {name: value for name, value in settings.items() if name not in ("remote", "encKeyFile")}
        made |= {"adminPort": self.admin_port, "workers": launch.workers}
        made["timeouts"] = {**made.get("timeouts", {}), "remoteIdle": "1s", "drainDelay": 0}
        for name, value in (launch.settings or {}).items():
            made[name] = {**made.get(name, {}), **value} if isinstance(value, dict) else value
        return made | {"encKeyFile": str(self.secret)}

    def text(self, **settings: object) -> str:
        """Write its configuration, with other settings."""
        made = self.settings | settings
        secret = made.pop("encKeyFile")
        return yaml.safe_dump(made | {"encKeyFile": secret}, sort_keys=False)

    def wait_until_ready(self) -> None:
        """Wait until it says that it is ready.

        Raises:
            BenchError: it ends, or is not ready in time.
        """
        probe.wait_until_ready(self.process, self.admin_port)

    def is_ready(self) -> bool:
        """Ask its readiness probe."""
        return probe.is_ready(self.admin_port)

    def workers(self) -> Sequence[int]:
        """Process ids of those that serve."""
        return children_of(self.process.pid) if self._workers > 1 else [self.process.pid]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def usage(self) -> Usage:
        """Look at its memory and files.

        Raises:
            Ended: it has ended.
        """
        self.process.check_alive()
        resident = peak = files = 0
        for pid in {self.process.pid, *self.workers()}:
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                files += len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                continue  # a worker that has just ended
            resident = max(resident, _kib(status, "VmRSS:"))
            peak = max(peak, _kib(status, "VmHWM:"))
        return Usage(resident, peak, files)

    def cpu_s(self) -> float:
        """Add up the CPU time of its threads, to the nanosecond (proc/PID/schedstat)."""
        total = 0.0
        for pid in {self.process.pid, *self.workers()}:
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    total += int(path.read_text().split()[0]) / NANOSECONDS
                except (OSError, IndexError):
                    continue  # a thread that has just ended
        return total

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.workers():
            try:
                os.kill(pid, signal.SIGCONT)  # a stopped one does not see SIGTERM
            except ProcessLookupError:
                continue
        self.process.end()


def _kib(status: str, name: str) -> int:
    line = next((line for line in status.splitlines() if line.startswith(name)), "0 0")
    return int(line.split()[1])
