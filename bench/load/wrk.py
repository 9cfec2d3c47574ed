"""wrk: a closed loop, every connection sends its next request when it has its answer. Started with a script of wrk/*.lua.

Knows how wrk is called and how the scripts report; knows no services.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.load.routes import TOKEN
from bench.load.target import Target
from bench.measure.figures import BUSY_MARK, PERCENTILES, Load
from bench.measure.processes import Generator

SCRIPTS: Final = Path(__file__).parent / "scripts"
TIMEOUT_S: Final = 10
PATIENCE_S: Final = 30.0
GLANCE_S: Final = 0.05  # between two looks at an answer while it runs


@dataclass(frozen=True, slots=True)
class Wrk:
    """One way to call wrk."""

    script: str
    target: Target
    connections: int
    seconds: int
    threads: int
    tokens: Path  # one a line
    folder: Path  # for its report
    checked: bool = False  # look at every answer: costs wrk time, so it belongs into a warm-up


def run(wrk: Wrk, glance: Callable[[], None]) -> Load:
    """Run it to its end. `glance` is called some times a second meanwhile.

    Raises:
        BenchError: wrk failed.
    """
    out = wrk.folder / "wrk.json"
    target, routes = wrk.target, wrk.target.routes
    command: list[str | Path] = [
        *target.clients,
        "wrk",
        f"-c{wrk.connections}",
        f"-t{wrk.threads}",
        f"-d{wrk.seconds}s",
    ]
    command += [f"--timeout={TIMEOUT_S}s", "-s", SCRIPTS / f"{wrk.script}.lua", f"{target.url}/"]
    environment = {
        "BENCH_SCRIPTS": str(SCRIPTS),
        "BENCH_OUT": str(out),
        "BENCH_CHECK": "1" if wrk.checked else "0",
        "BENCH_FORM": "1" if target.is_judged else "0",
        "BENCH_STATUS": str(routes.check_status),
        "BENCH_PERCENTILES": " ".join(str(percentile) for percentile in PERCENTILES),
        "BENCH_LOGIN": routes.login_body,
        "BENCH_LOGIN_METHOD": routes.login_method,
        "BENCH_LOGIN_PATH": routes.login_path,
        "BENCH_LOGIN_TYPE": routes.login_type,
        "BENCH_CHECK_METHOD": routes.check_method,
        "BENCH_CHECK_PATH": routes.check_path,
        "BENCH_CHECK_NAME": routes.header_name,
        "BENCH_CHECK_VALUE": routes.header_value.replace("%", "%%").replace(TOKEN, "%s"),
        "BENCH_TOKENS": str(wrk.tokens),
    }
    patience_s = wrk.seconds + PATIENCE_S
    with Generator(command, environment=environment, cores=target.cores, seconds=patience_s) as generator:
        while not generator.wait(GLANCE_S):
            glance()
    text = out.read_text()
    out.unlink()
    return parse_report(text, wrk.threads, checked=wrk.checked)


def parse_report(text: str, threads: int, *, checked: bool = False) -> Load:
    """Read what the scripts' `done` wrote.

    Raises:
        BenchError: it is not a report, or not one answer was looked at where all were to be.
    """
    try:
        plain: dict[str, Any] = json.loads(text)
        seconds, cpu_s = plain["duration_us"] / 1e6, plain["cpu_s"]
        errors = sum(plain["errors"].values()) + plain["wrong"]
        marks = [f"{count} {kind} errors" for kind, count in plain["errors"].items() if count]
        if plain["wrong"]:
            marks.append(f"{plain['wrong']} of {plain['checked']} answers were wrong")
        if cpu_s >= BUSY_MARK * seconds * threads:
            marks.append("the load generator was at 100 % of its core: more would have come through")
        if checked and not plain["checked"]:
            raise BenchError("wrk looked at no answer")
        curve = tuple((float(percentile), us / 1000) for percentile, us in plain["percentiles_us"])
        return Load(plain["requests"], seconds, curve, errors, cpu_s, tuple(marks))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"wrk's report cannot be read: {error!r}") from error
