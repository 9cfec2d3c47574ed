"""Arguments become one run of forward authentication under load, its findings a report. Knows what people type and read.

Exit codes: 0 nothing failed, 1 something did, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.forward_auth.clients import CONNECTIONS, TURN_S, Clients, Findings
from bench.forward_auth.keyset import Keyset
from bench.forward_auth.stage import FRONTS, staged
from bench.measure.builds import add_build_option, python_of
from bench.rotation.findings import FAULTS_SHOWN, WIDTH, percentile

HELD: Final = 0
FAILED: Final = 1
REQUESTS: Final = 100_000
SEED: Final = 11


def main(argv: Sequence[str] | None = None) -> int:
    """Run it. Returns the process's exit code."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    try:
        return _run(options)
    except BenchError as error:
        print(f"forward-auth-under-load: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def _run(options: argparse.Namespace) -> int:
    python = python_of(options.build)
    print(
        f"{options.proxy}, {options.requests} requests over {CONNECTIONS} connections, a key every {TURN_S:g} s, {python}",
        file=sys.stderr,
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keyset = Keyset(folder)
        with staged(options.proxy, python, keyset, folder) as stage:
            clients = Clients(stage, keyset, options.requests, options.seed)
            asyncio.run(clients.run())
    print("\n".join(report(clients.findings)))
    return FAILED if clients.findings.faults else HELD


def report(findings: Findings) -> Iterator[str]:
    """Say what was seen, a line each."""
    for kind, count in sorted(findings.counts.items()):
        yield f"{f'requests, token {kind}':<{WIDTH}}{count:>9}"
    yield f"{'requests in all':<{WIDTH}}{sum(findings.counts.values()):>9}"
    yield f"{'keys removed, each by a reload':<{WIDTH}}{findings.turns:>9}"
    p50, p99 = percentile(findings.latencies_ms, 0.5), percentile(findings.latencies_ms, 0.99)
    longest = max(findings.latencies_ms, default=0.0)
    yield f"{'p50, p99, max ms, measured by the client':<{WIDTH}}{p50:>9.1f}{p99:>9.1f}{longest:>9.1f}"
    yield f"{'seconds':<{WIDTH}}{findings.seconds:>9.1f}"
    for text, count in findings.faults.most_common(FAULTS_SHOWN):
        yield f"FAULT, {count} x: {text}"
    yield f"{'wrong verdicts, and other faults':<{WIDTH}}{sum(findings.faults.values()):>9}"


def _parser() -> argparse.ArgumentParser:
    about = (
        "Send requests through a real proxy that asks txtoken, while its keys turn and it reloads: good tokens pass with their "
        "own nonce, all others are refused. Exit code 0: no verdict was wrong."
    )
    parser = argparse.ArgumentParser(prog="scripts/forward-auth-under-load", description=about)
    parser.add_argument("--proxy", choices=FRONTS, default="nginx", help="default: %(default)s")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the random requests (default: %(default)s)")
    add_build_option(parser)
    return parser
