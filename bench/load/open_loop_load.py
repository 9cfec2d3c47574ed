"""The open loop as a load of a run: started as a process of its own, its report read, its own lateness judged.

Knows the generator's arguments and report; the schedule itself is `bench.load.open_loop`'s.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.load.target import Target
from bench.load.wrk import GLANCE_S, PATIENCE_S
from bench.measure.figures import BUSY_MARK, Load
from bench.measure.processes import Generator

CONNECTIONS: Final = 64
LATE_US_MAX: Final = 1000  # at its own p99 that the generator may send too late before its figures are marked


def run(
    target: Target, rate: float, seconds: float, warm_up_s: float, folder: Path, glance: Callable[[], None]
) -> Load:
    """Run it to its end. `glance` is called some times a second meanwhile.

    Raises:
        BenchError: it failed.
    """
    request, out, routes = folder / "request", folder / "open_loop.json", target.routes
    request.write_bytes(
        f"{routes.login_method} {routes.login_path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n"
        f"Content-Type: {routes.login_type}\r\nContent-Length: {len(routes.login_body.encode())}\r\n\r\n"
        f"{routes.login_body}".encode()
    )
    command: list[str | Path] = [*target.clients, sys.executable, "-m", "bench.load.open_loop", "--host", target.host]
    command += ["--port", str(target.port), "--rate", str(rate)]
    command += ["--request", request, "--out", out, "--seconds", str(seconds), "--warm-up", str(warm_up_s)]
    command += ["--connections", str(CONNECTIONS)]
    with Generator(command, environment={}, cores=target.cores, seconds=seconds + warm_up_s + PATIENCE_S) as generator:
        while not generator.wait(GLANCE_S):
            glance()
    return parse_report(out.read_text())


def parse_report(text: str) -> Load:
    """Read the generator's report.

    Raises:
        BenchError: it is not one.
    """
    try:
        plain: dict[str, Any] = json.loads(text)
        marks = [f"{plain['errors']} requests were not answered with 200"] if plain["errors"] else []
        if plain["late_p99_us"] > LATE_US_MAX:
            marks.append(f"the load generator itself was {plain['late_p99_us'] / 1000:.1f} ms late (p99)")
        if plain["cpu_s"] >= BUSY_MARK * plain["seconds"]:
            marks.append("the load generator was at 100 % of its core")
        curve = tuple((float(percentile), us / 1000) for percentile, us in plain["percentiles_us"])
        return Load(plain["answered"], plain["seconds"], curve, plain["errors"], plain["cpu_s"], tuple(marks))
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"the open loop's report cannot be read: {error!r}") from error
