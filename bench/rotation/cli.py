"""Arguments become one run of rotation under load, and its findings a report. Knows what people type and read.

Exit codes: 0 nothing failed, 1 something did, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.load import wrk
from bench.load.stub_remote import LOOPBACK
from bench.load.target import Target
from bench.measure.builds import add_build_option, python_of
from bench.measure.figures import Load
from bench.rotation.checker import check
from bench.rotation.findings import report
from bench.rotation.replicas import ISSUER, Rotation, made, replicas

HELD: Final = 0
FAILED: Final = 1
SECONDS: Final = 60
EVERY_S: Final = 10
LIFE_S: Final = 30
WORKERS: Final = (2, 1)
CONNECTIONS: Final = 8  # of wrk, to each service
SCRIPT: Final = "rotating"


class Generators:
    """wrk at each service, each in a thread that waits for it."""

    def __init__(self, ports: Sequence[int], seconds: int, folder: Path) -> None:
        self.loads: dict[int, Load] = {}
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(port, seconds, folder), daemon=True) for port in ports
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int, seconds: int, folder: Path) -> None:
        own = made(folder / f"wrk-{port}")
        called = wrk.Wrk(SCRIPT, Target(LOOPBACK, port), CONNECTIONS, seconds, 1, own, own, checked=True)
        try:
            self.loads[port] = wrk.run(called, lambda: None)
        except BenchError as error:
            self.errors.append(str(error))

    def wait(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads:
            thread.join()


def main(argv: Sequence[str] | None = None) -> int:
    """Run it. Returns the process's exit code."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    try:
        return _run(options)
    except BenchError as error:
        print(f"rotate-under-load: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def _run(options: argparse.Namespace) -> int:
    python = python_of(options.build)
    rotation = Rotation(options.algorithm, EVERY_S, LIFE_S, WORKERS)
    print(
        f"{rotation.algorithm}, a key every {rotation.every_s} s, tokens of {rotation.life_s} s, {python}: "
        f"{options.seconds} s of load, then until the last token expires",
        file=sys.stderr,
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with replicas(rotation, python, folder) as ports:
            generators = Generators(ports, options.seconds, folder)
            findings = asyncio.run(check(ports, rotation.algorithm, ISSUER, rotation.every_s, options.seconds))
            generators.wait()
    for text in generators.errors:
        findings.fault(f"wrk: {text}")
    for port, workers in zip(ports, WORKERS, strict=True):
        load = generators.loads.get(port)
        if load is None:
            continue  # an error says why
        rate = load.requests / load.seconds
        print(
            f"wrk, {workers} worker{'s' * (workers > 1)}: {load.requests} logins and checks, {rate:.0f}/s, "
            f"p50 {load.at(50):.1f} ms, p99 {load.at(99):.1f} ms, {load.errors} failed"
        )
        if load.errors:
            findings.faults[f"wrk at port {port}: {'; '.join(load.marks)}"] += load.errors
    print("\n".join(report(findings)))
    return FAILED if findings.faults else HELD


def _parser() -> argparse.ArgumentParser:
    about = (
        "Rotate keys under load: wrk logs in and has tokens checked at two services with one secret, and verifiers follow tokens "
        "of each to their end. Exit code 0: nothing failed."
    )
    parser = argparse.ArgumentParser(prog="scripts/rotate-under-load", description=about)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="duration of the load (default: %(default)s)")
    parser.add_argument("--algorithm", choices=("ES256", "EdDSA"), default="ES256")
    add_build_option(parser)
    return parser
