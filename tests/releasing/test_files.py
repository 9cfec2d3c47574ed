"""What is in dist/: packages that hold the same bytes each time, the chart, the bill of materials, checksums."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.releasing import archive, bom, chart, command, distributions
from scripts.releasing.address import Address
from scripts.releasing.refusal import Refusal
from scripts.releasing.version import ReleaseVersion
from tests.releasing.conftest import ROOT

VERSION = ReleaseVersion.parse("1.0.0")


def test_an_archive_holds_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Neither the order in which files come nor its own name or time is in it; what is in it comes out again."""
    members = {"a/run": archive.Member(b"#!", executable=True), "a/b": archive.Member(b"text")}
    first, second = tmp_path / "first.tgz", tmp_path / "second.tgz"
    archive.write(first, members, 1_700_000_000)
    os.utime(first, (1, 1))
    archive.write(second, dict(reversed(members.items())), 1_700_000_000)
    assert first.read_bytes() == second.read_bytes()
    assert archive.read(first) == members
    assert int.from_bytes(first.read_bytes()[4:8], "little") == 1_700_000_000  # the time of packing, RFC 1952 §2.3.1
    archive.write(second, members, 1_700_000_001)
    assert first.read_bytes() != second.read_bytes()


def test_the_chart_is_complete() -> None:
    """Everything of the chart is in its package under its name, but what .helmignore names."""
    names = set(chart.files(ROOT / chart.CHART))
    tracked = {
        path.relative_to(ROOT / chart.CHART.parent).as_posix()
        for path in (ROOT / chart.CHART).rglob("*")
        if path.is_file()
    }
    assert names == {name for name in tracked if not name.startswith("txtoken/ci/")}
    assert "txtoken/Chart.yaml" in names
    assert len(names) < len(tracked)


def test_the_published_chart_names_the_published_image() -> None:
    """With an address the image of the values is the registry's, and nothing else changes; lost values are refused."""
    address = Address("https://github.com/example/txtoken", "example", "txtoken")
    before = (ROOT / chart.CHART / "values.yaml").read_text()
    after = chart.published(before, address)
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert [new for _, new in changed] == ["  repository: ghcr.io/example/txtoken"]
    with pytest.raises(Refusal, match=r"scripts/releasing/chart\.py"):
        chart.published("picture:\n  repository: txtoken\n", address)


def test_files_of_another_version_and_missing_ones_are_refused() -> None:
    """All of it at once; a compiled wheel beside the pure one is fine."""
    sources, pure = "txtoken-1.0.0.tar.gz", "txtoken-1.0.0-py3-none-any.whl"
    compiled = "txtoken-1.0.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    distributions.check([compiled, pure, sources], VERSION)
    with pytest.raises(Refusal) as refusal:
        distributions.check(["txtoken-0.9.0-py3-none-any.whl", compiled, "txtoken-1.0.0rc1.tar.gz"], VERSION)
    assert [problem.split(":")[0] for problem in refusal.value.problems] == [
        "txtoken-0.9.0-py3-none-any.whl is not of version 1.0.0",
        "txtoken-1.0.0rc1.tar.gz is not of version 1.0.0",
        f"{sources} is missing",
        f"{pure} is missing",
    ]


def test_the_bill_holds_what_runs() -> None:
    """What made the environment is left out, as a component, as a dependency and as what another one names."""
    bill = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [{"bom-ref": f"{name}==1", "name": name} for name in ("uvloop", "yarl", "pip", "setuptools")],
        "dependencies": [
            {"ref": "root", "dependsOn": ["uvloop==1"]},
            {"ref": "uvloop==1", "dependsOn": ["setuptools==1", "yarl==1"]},
            {"ref": "yarl==1"},
            {"ref": "pip==1", "dependsOn": ["setuptools==1"]},
            {"ref": "setuptools==1"},
        ],
    }
    kept = bom.without_makers(json.loads(json.dumps(bill)))
    assert [component["name"] for component in kept["components"]] == ["uvloop", "yarl"]
    assert [(entry["ref"], entry["dependsOn"]) for entry in kept["dependencies"]] == [
        ("root", ["uvloop==1"]),
        ("uvloop==1", ["yarl==1"]),
        ("yarl==1", []),
    ]
    assert kept["metadata"] == bill["metadata"]


def test_the_bill_takes_this_repositorys_version() -> None:
    """The version that pyproject.toml takes from the sources is written into the copy that the bill is made of."""
    text = (ROOT / "pyproject.toml").read_text()
    assert '\nversion = "1.0.0"\n' in bom.with_version(text, VERSION)
    assert "\ndynamic = " not in bom.with_version(text, VERSION)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is missing")
def test_the_checksums_are_those_that_sha256sum_reads(tmp_path: Path) -> None:
    """It finds every file good, and a changed one bad."""
    for name in ("b.whl", "a.tar.gz"):
        (tmp_path / name).write_text(name)
    sums = command.sums(tmp_path)
    assert sums.splitlines()[0] == f"{hashlib.sha256(b'a.tar.gz').hexdigest()}  a.tar.gz"
    (tmp_path / command.SUMS).write_text(sums)
    check = ["sha256sum", "--check", "--strict", "--quiet", command.SUMS]
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "b.whl").write_text("changed")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_dist_holds_one_release(tmp_path: Path) -> None:
    """What an earlier run listed goes, and so do its wheels; what somebody else put there stays."""
    made, dist = tmp_path / "made", tmp_path / "dist"
    for folder, names in (
        (dist, ("txtoken-0.9.0.tar.gz", "txtoken-0.9.0-py3-none-any.whl", "txtoken-linux-amd64")),
        (made, ("new.tar.gz",)),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
    (dist / command.SUMS).write_text("0  txtoken-0.9.0.tar.gz\n1  gone\n")
    (made / command.SUMS).write_text(command.sums(made))
    assert command.moved(made, dist) == [command.SUMS, "new.tar.gz"]
    assert sorted(path.name for path in dist.iterdir()) == [command.SUMS, "new.tar.gz", "txtoken-linux-amd64"]
