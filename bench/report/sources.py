"""Which results are shown, and in which order: the newest full one of each architecture, on one host and on three.

Knows files and their places, not what is written about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.measure import results
from bench.measure.results import Result

ONE: Final = "one"
THREE: Final = "three"
FIRST: Final = "x86_64"  # of the architectures


@dataclass(frozen=True, slots=True)
class Source:
    """A result and its file."""

    path: Path
    result: Result

    @property
    def hosts(self) -> str:
        """On how many hosts clients, service and remote were."""
        return str(self.result.settings.get("hosts", ONE))

    @property
    def is_claimed(self) -> bool:
        """Whether pictures are drawn of it and sentences made: its CPU is a real one, and everything is on one host."""
        return not self.result.machine.emulated and self.hosts == ONE

    @property
    def heading(self) -> str:
        """What it is of."""
        machine = self.result.machine
        hosts = "" if self.hosts == ONE else f", {self.hosts} hosts"
        emulated = ", EMULATED" if machine.emulated else ""
        return f"{machine.arch}{emulated}{hosts}: {machine.cpu}, {machine.cores} cores"

    @property
    def name(self) -> str:
        """A name for its place on a page."""
        return "-".join([self.result.machine.arch, *(["hosts"] if self.hosts != ONE else [])])

    def place(self, folder: Path) -> str:
        """Return the path of its folder as a page in `folder` sees it, with a slash at its end."""
        own, of_page = self.path.parent.resolve(), folder.resolve()
        return f"{own.relative_to(of_page)}/" if own.is_relative_to(of_page) else f"{own}/"


def chosen(paths: Sequence[Path], folder: Path) -> list[Source]:
    """Read results, or find those of a folder. Those of real CPUs come first, and three hosts after one.

    Raises:
        BenchError: one cannot be read.
    """
    found = [Source(path, results.read(path)) for path in paths] or _newest(folder)
    return sorted(found, key=lambda one: (one.result.machine.emulated, *_order(one), one.hosts != ONE))


def one_host(source: Source, sources: Sequence[Source]) -> Source | None:
    """Return the result of the same machine on one host."""
    for other in sources:
        if other.hosts == ONE and other.result.machine == source.result.machine:
            return other
    return None


def _newest(folder: Path) -> list[Source]:
    found: dict[tuple[str, str, bool], Source] = {}
    for path in sorted(folder.glob("*/*.json")):
        source = Source(path, results.read(path))
        key = path.parent.name, source.hosts, source.result.machine.emulated
        if not source.result.is_smoke and (key not in found or source.result.started > found[key].result.started):
            found[key] = source
    return list(found.values())


def _order(source: Source) -> tuple[bool, str]:
    arch = source.result.machine.arch
    return arch != FIRST, arch
