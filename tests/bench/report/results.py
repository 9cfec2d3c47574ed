"""Results that have everything that a report shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.judge.claims import TOPICS
from bench.measure.figures import PERCENTILES
from bench.measure.results import FOLDER, Result
from bench.report import page
from bench.report.sources import chosen
from tests.bench.samples import measured, result

SHOWN: Final = chosen([], FOLDER)  # of the results in the repository, and no smoke run beside them
STEADY: Final = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01)
EVERYONE: Final = (
    "txtoken",
    "txtoken_interpreted",
    "hello",
    "nginx_lua",
    "node_fastify",
    "aiohttp_plain",
    "fastapi_httpx",
    "go",
)
FIGURES: Final = ("cpu_us", "p99_ms", "memory_kib")
CURVE: Final = tuple((percentile, 1 + percentile / 50) for percentile in PERCENTILES)


def everything(pattern: tuple[float, ...] = STEADY) -> Result:
    """Make a result of all services in all scenarios that claims are made of."""
    made = []
    for topic in TOPICS:
        for number, service in enumerate(EVERYONE, 1):
            changes = (dict.fromkeys(FIGURES, 10 * number * factor) for factor in pattern)
            made.append(replace(measured(service, topic.scenario, *changes), curve=CURVE))
    return result(*made)


def write_again(folder: Path) -> None:
    """Write the report of the repository's results once more, to another folder."""
    for path in [source.path for source in SHOWN]:
        place = folder / path.parent.name / path.name
        place.parent.mkdir(exist_ok=True)
        place.write_text(path.read_text())
    page.make([], folder)
