"""The services of a group that are up together, their remotes, and the tokens that are sent to them.

Knows how they are started and ended, not what is measured.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import trustme

from bench.errors import Unavailable
from bench.load.answers import Judge, Keys, distinct_tokens
from bench.load.remote import Remote, started_remote
from bench.load.replies import reply_object
from bench.load.target import Target
from bench.measure.hosts import Hosts
from bench.measure.processes import LineCount, Process, free_port
from bench.measure.scenarios import Scenario, Setup
from bench.measure.services import Certificate, Place, Service, wait_until_ready
from bench.measure.settings import Settings

LOGIN_PATH: Final = "/login"


@dataclass(frozen=True, slots=True)
class Instance:
    """One service that is up and ready. Whoever started it ends it."""

    service: Service
    setup: Setup
    process: Process
    target: Target
    remote: Remote
    judge: Judge
    folder: Path  # for the reports of load generators
    log: LineCount | None  # where its access log goes
    start_s: float  # from its start to its first answer


class Stage(contextlib.AbstractContextManager["Stage"]):
    """Make it for one group; all that it started is ended when it is left."""

    def __init__(self, settings: Settings, hosts: Hosts) -> None:
        self._settings = settings
        self._hosts = hosts
        self._keys = Keys.make()
        self._stack = contextlib.ExitStack()
        self._remotes: dict[tuple[float, int], Remote] = {}
        self._tokens: dict[tuple[str, int], Path] = {}
        self._certificate: Certificate | None = None
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def instance(self, service: Service, setup: Setup) -> Iterator[Instance]:
        """Start a service, wait until it is ready, and end it afterwards.

        Raises:
            BenchError: it does not start.
        """
        settings = self._settings
        remote = self._remote(setup)
        folder = Path(tempfile.mkdtemp(prefix=f"{service.name}-", dir=self._folder))
        port = free_port()
        cores = settings.service_cores
        if setup.processes > 1 and cores is not None and settings.load_cores is not None:
            cores |= settings.load_cores  # several processes are not meant to share a core
        place = Place(
            host=self._hosts.service,
            port=port,
            remote=remote.url(LOGIN_PATH, by_unix=setup.has_unix_remote),
            keys=self._keys,
            folder=folder,
            cores=cores,
            certificate=self._certificate_files() if setup.has_tls else None,
        )
        target = Target(
            self._hosts.service.address,
            port,
            service.routes,
            has_tls=setup.has_tls,
            is_faithful=service.is_faithful,
            clients=self._hosts.clients.prefix,
            cores=settings.load_cores,
        )
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(LineCount(settings.load_cores)) if setup.logs else None
            began = time.monotonic()
            process = stack.enter_context(service.start(place, setup, None if log is None else log.stdin))
            judge = Judge(target, self._keys, reply_object(setup.reply_bytes), has_keyset=setup.has_keyset)
            stack.callback(judge.close)
            wait_until_ready(process, judge)
            yield Instance(
                service, setup, process, target, remote, judge, folder, log, start_s=time.monotonic() - began
            )

    def tokens(self, instance: Instance, scenario: Scenario) -> Path:
        """Return the file of the tokens that a scenario sends to a service.

        Raises:
            Unavailable: the service gives tokens of its own, and the scenario needs many.
        """
        is_shared = instance.service.routes.is_contract and not instance.setup.has_keyset
        name = "" if is_shared else f"{instance.service.name}-{instance.setup.has_keyset}"
        if not is_shared and scenario.tokens > 1:
            raise Unavailable("it signs tokens itself, and none of another key is valid there")
        if (name, scenario.tokens) not in self._tokens:
            many = scenario.tokens > 1
            tokens = distinct_tokens(self._keys, scenario.tokens) if many else [instance.judge.token]
            path = self._folder / f"tokens-{name}-{scenario.tokens}"
            path.write_text("\n".join(tokens) + "\n")
            self._tokens[name, scenario.tokens] = path
        return self._tokens[name, scenario.tokens]

    def _remote(self, setup: Setup) -> Remote:
        key = (setup.delay_ms, setup.reply_bytes)
        if key not in self._remotes:
            self._remotes[key] = self._stack.enter_context(
                started_remote(
                    self._folder / f"remote-{len(self._remotes)}",
                    self._settings.load_cores,
                    host=self._hosts.remote,
                    delay_ms=setup.delay_ms,
                    reply_bytes=setup.reply_bytes,
                )
            )
        return self._remotes[key]

    def _certificate_files(self) -> Certificate:
        if self._certificate is None:
            made = trustme.CA().issue_cert(self._hosts.service.address)
            self._certificate = Certificate(self._folder / "tls.pem", self._folder / "tls.key")
            self._certificate.chain.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
            made.private_key_pem.write_to_path(self._certificate.key)
        return self._certificate
