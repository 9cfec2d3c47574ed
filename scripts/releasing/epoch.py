"""The time that every file of a release carries: the first second of its day, so that all builds of a version are equal.

As a program it prints SOURCE_DATE_EPOCH for what is built elsewhere, on the machines of a workflow.
"""

from __future__ import annotations

import datetime
import runpy
import sys
from pathlib import Path

from scripts.releasing.changelog import Changelog
from scripts.releasing.refusal import Refusal


def of(changelog: Changelog, version: str) -> int:
    """Return seconds since 1970.

    Raises:
        Refusal: the changelog does not say when this version was released.
    """
    return midnight(changelog.date_of(version))


def midnight(day: datetime.date) -> int:
    """Return when a day begins, in UTC."""
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


def current(root: Path) -> int:
    """Return the time for the version that is checked out; today's where that is not released yet. (Workflows ask with a Python
    that has no library, so `places` cannot be asked for the version.)
    """
    version: str = runpy.run_path(str(root / "txtoken" / "version.py"))["VERSION"]
    try:
        return of(Changelog((root / "CHANGELOG.md").read_text()), version)
    except Refusal:
        return midnight(datetime.datetime.now(datetime.UTC).date())


if __name__ == "__main__":
    sys.stdout.write(f"SOURCE_DATE_EPOCH={current(Path())}\n")
