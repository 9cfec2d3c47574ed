"""A run's result as a value and as a JSON file: what was measured, of what, where, how.

Knows no measuring and no judging.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.measure.figures import Measurement, Round
from bench.measure.machine import Machine
from bench.measure.processes import ROOT

FORMAT: Final = 2  # since then a round has a turn
FOLDER: Final = ROOT / "bench" / "results"


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    label: str
    started: str  # ISO 8601, UTC
    finished: str
    revision: str  # of the repository; ends with "+" where files had changed since
    machine: Machine
    versions: dict[str, str]
    settings: dict[str, Any]
    measurements: tuple[Measurement, ...]
    skipped: tuple[tuple[str, str, str], ...] = ()  # service, scenario or "", why
    notes: tuple[str, ...] = field(default=())

    def find(self, service: str, scenario: str) -> Measurement | None:
        """Return one measurement, None where there is none."""
        for one in self.measurements:
            if one.service == service and one.scenario == scenario:
                return one
        return None

    def median(self, service: str, scenario: str, figure: str) -> float | None:
        """Return the median of one figure, None where it was not measured or is void."""
        found = self.find(service, scenario)
        return None if found is None else found.median(figure)

    @property
    def services(self) -> list[str]:
        """The services that were measured, in the order of the run."""
        return _once(one.service for one in self.measurements)

    @property
    def scenarios(self) -> list[str]:
        """The scenarios that were measured, in the order of the run."""
        return _once(one.scenario for one in self.measurements)

    @property
    def is_smoke(self) -> bool:
        """Whether it only proves that the suite works."""
        return bool(self.settings.get("smoke"))


def write(result: Result, path: Path) -> None:
    """Write a result: one line a round, so that a diff shows what changed."""
    plain = {"format": FORMAT} | asdict(result)
    measurements = plain.pop("measurements")
    head = json.dumps(plain, indent=1, ensure_ascii=False).removesuffix("\n}")
    texts = []
    for one in measurements:
        rounds = ",\n    ".join(json.dumps(row, ensure_ascii=False) for row in one.pop("rounds"))
        described = json.dumps(one, ensure_ascii=False).removesuffix("}")
        texts.append(f'  {described}, "rounds": [\n    {rounds}]}}')
    body = ",\n".join(texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{head},\n "measurements": [\n{body}\n ]\n}}\n')


def read(path: Path) -> Result:
    """Read a result back.

    Raises:
        BenchError: there is none, or it is of another format.
    """
    try:
        plain = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BenchError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(plain, dict) or plain.pop("format", None) not in (1, FORMAT):
        raise BenchError(f"{path.name} is not a result of this suite's format {FORMAT}")
    try:
        return _result(plain)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{path.name} lacks something, or has too much: {error!r}") from error


def _result(plain: dict[str, Any]) -> Result:
    return Result(
        **plain
        | {
            "machine": Machine(**plain["machine"]),
            "measurements": tuple(_measurement(one) for one in plain["measurements"]),
            "skipped": tuple((service, scenario, why) for service, scenario, why in plain["skipped"]),
            "notes": tuple(plain["notes"]),
        }
    )


def _measurement(plain: dict[str, Any]) -> Measurement:
    rounds = tuple(
        Round(**{"turn": number} | row | {"marks": tuple(row["marks"])}) for number, row in enumerate(plain["rounds"])
    )
    curve = tuple((percentile, ms) for percentile, ms in plain["curve"])
    return Measurement(**plain | {"rounds": rounds, "curve": curve})


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
