"""The version stands in one place, and where else it is written it is the same."""

from __future__ import annotations

import pytest

from scripts.releasing import places
from scripts.releasing.refusal import Refusal
from scripts.releasing.repository import Repository
from scripts.releasing.version import ReleaseVersion
from tests.releasing.conftest import ROOT
from txtoken.version import VERSION


def test_this_repository_agrees_with_itself() -> None:
    """What is written beside txtoken/version.py is what follows from it."""
    assert places.SOURCE.find(ROOT)[1]["version"] == VERSION
    assert places.rewritten(ROOT, ReleaseVersion.parse(VERSION)) == {}


def test_every_place_takes_the_new_version(project: Repository) -> None:
    """After a rewrite each holds it in its own form, and each file differs in these lines alone."""
    version = ReleaseVersion.parse("2.0.0rc1")
    texts = places.rewritten(project.root, version)
    assert len(texts) == 5
    for path, text in texts.items():
        before = path.read_text().splitlines()
        changed = [line for old, line in zip(before, text.splitlines(), strict=True) if old != line]
        assert len(changed) == (2 if path.name == "Chart.yaml" else 1)
        path.write_text(text)
    found = {(place.pattern, place.find(project.root)[1]["version"]) for place in (places.SOURCE, *places.DERIVED)}
    assert {version for _, version in found} == {"2.0.0rc1", "2.0.0-rc.1"}
    assert ("deploy/helm/txtoken/Chart.yaml", "2.0.0-rc.1") in found
    assert ("deploy/helm/txtoken/Chart.yaml", "2.0.0rc1") in found
    assert places.rewritten(project.root, version) == {}


def test_a_place_that_is_lost_is_named(project: Repository) -> None:
    """A file that moved, or has the version twice, is refused by name, and all of them together."""
    (project.root / "txtoken/version.py").unlink()
    chart = project.root / "deploy/helm/txtoken/Chart.yaml"
    chart.write_text(chart.read_text() + "appVersion: 1.0.0\n")
    with pytest.raises(Refusal) as refusal:
        places.rewritten(project.root, ReleaseVersion.parse("2.0.0"))
    assert [problem.split(",")[0] for problem in refusal.value.problems] == [
        "The version stands in txtoken/version.py 0 times",
        "The version stands in deploy/helm/txtoken/Chart.yaml 2 times",
    ]
