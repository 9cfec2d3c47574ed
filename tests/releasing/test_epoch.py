"""The time that files of a release carry."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.releasing import epoch
from scripts.releasing.changelog import Changelog
from scripts.releasing.refusal import Refusal
from tests.releasing.conftest import ROOT

RELEASED = "## [1.0.0] - 2026-11-29\n\n- A.\n"


def checked_out(folder: Path, changelog: str) -> Path:
    """Write what is read of version 1.0.0."""
    (folder / "txtoken").mkdir()
    (folder / "txtoken/version.py").write_text('VERSION = "1.0.0"\n')
    (folder / "CHANGELOG.md").write_text(changelog)
    return folder


def test_it_is_the_first_second_of_the_releases_day(tmp_path: Path) -> None:
    """Whatever the time zone of who builds; a workflow gets the same as scripts/release."""
    assert (
        datetime.datetime.fromtimestamp(epoch.of(Changelog(RELEASED), "1.0.0"), datetime.UTC).isoformat()
        == "2026-11-29T00:00:00+00:00"
    )
    root = checked_out(tmp_path, RELEASED)
    assert epoch.current(root) == epoch.of(Changelog(RELEASED), "1.0.0")
    command = [sys.executable, "-m", "scripts.releasing.epoch"]
    surroundings = {"PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo"}
    said = subprocess.run(command, cwd=root, env=surroundings, capture_output=True, text=True, check=True).stdout
    assert said == f"SOURCE_DATE_EPOCH={epoch.current(root)}\n"


def test_a_version_that_is_not_released_has_today(tmp_path: Path) -> None:
    """Builds in between need a time, too; a release does not take it."""
    root = checked_out(tmp_path, "## [Unreleased]\n\n- A.\n")
    days = (
        datetime.datetime.now(datetime.UTC).date(),
        datetime.datetime.fromtimestamp(epoch.current(root), datetime.UTC).date(),
    )
    assert (days[1] - days[0]).days in (0, 1)
    with pytest.raises(Refusal):
        epoch.of(Changelog((root / "CHANGELOG.md").read_text()), "1.0.0")
