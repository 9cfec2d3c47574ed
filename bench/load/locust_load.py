"""locust as a load of a run: users at a pace of their own (locustfile.py), headless.

Knows locust's arguments and its JSON. It rounds latencies to milliseconds, and so do these figures.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.load.target import Target
from bench.load.wrk import GLANCE_S, PATIENCE_S
from bench.measure.figures import BUSY_MARK, PERCENTILES, Curve, Load
from bench.measure.processes import Generator

FILE: Final = Path(__file__).parent / "locustfile.py"
USERS: Final = 100


def run(target: Target, seconds: int, folder: Path, glance: Callable[[], None]) -> Load:
    """Run it to its end. `glance` is called some times a second meanwhile.

    Raises:
        BenchError: locust failed.
    """
    out = folder / "locust.json"  # locust adds the suffix itself
    command: list[str | Path] = [
        *target.clients,
        sys.executable,
        "-m",
        "locust",
        "-f",
        FILE,
        "--headless",
        "--only-summary",
    ]
    command += ["-u", str(USERS), "-r", str(USERS), "-t", f"{seconds}s", "--host", target.url]
    command += ["--json-file", out.with_suffix(""), "--exit-code-on-error", "0", "--loglevel", "ERROR"]
    with Generator(command, environment={}, cores=target.cores, seconds=seconds + PATIENCE_S) as generator:
        while not generator.wait(GLANCE_S):
            glance()
    return parse_report(out.read_text(), generator.cpu_s, seconds)


def parse_report(text: str, cpu_s: float, seconds: float) -> Load:
    """Read locust's final statistics: one entry a route.

    Raises:
        BenchError: they are not.
    """
    try:
        routes: list[dict[str, Any]] = json.loads(text)
        counts: Counter[float] = Counter()
        for route in routes:
            counts.update({float(ms): count for ms, count in route["response_times"].items()})
        requests = sum(route["num_requests"] for route in routes)
        failures = sum(route["num_failures"] for route in routes)
        longest = max(route["max_response_time"] for route in routes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"locust's report cannot be read: {error!r}") from error
    marks = [f"{failures} requests failed"] if failures else []
    if cpu_s >= BUSY_MARK * seconds:
        marks.append("locust was at 100 % of its core")
    return Load(requests, seconds, curve_of(counts, longest), failures, cpu_s, tuple(marks))


def curve_of(counts: Counter[float], longest_ms: float) -> Curve:
    """Read the percentiles off how many requests took how many milliseconds."""
    ordered = sorted(counts.items())
    reached = list(accumulate(count for _, count in ordered))
    total = reached[-1]

    def at(percentile: float) -> float:
        if percentile >= 100:
            return round(longest_ms, 3)
        return next(ms for (ms, _), count in zip(ordered, reached, strict=True) if count >= total * percentile / 100)

    return tuple((percentile, at(percentile)) for percentile in PERCENTILES)
