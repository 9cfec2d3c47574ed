"""The whole of scripts/release, in a throw-away clone. It compiles twice, minutes each: only with TXTOKEN_RELEASE=1."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.releasing.repository import Repository
from tests.releasing.conftest import ROOT, commit

VERSION = "9.9.9rc1"


@pytest.mark.skipif("TXTOKEN_RELEASE" not in os.environ, reason="takes minutes: TXTOKEN_RELEASE=1 runs it")
@pytest.mark.timeout(3600)
def test_two_dry_runs_make_the_same_files_and_change_nothing(tmp_path: Path, project: Repository) -> None:
    """All files are there, equal byte for byte, and good by their own list; no commit, no tag, a clean tree."""
    clone = Repository(tmp_path / "clone")
    project.git("clone", "--quiet", str(ROOT), str(clone.root))
    clone.git("switch", "--quiet", "--force-create", "main")
    changelog = clone.root / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n- Something.\n", 1))
    commit(clone)
    before = clone.head, clone.git("tag")
    made = []
    for _ in range(2):
        subprocess.run(["scripts/release", VERSION, "--without-image"], cwd=clone.root, check=True)
        made.append((clone.root / "dist/SHA256SUMS").read_text().splitlines())
    assert made[0] == made[1]
    names = {path.name for path in (clone.root / "dist").iterdir()}
    assert {line.split("  ")[1] for line in made[0]} == names - {"SHA256SUMS"}
    fixed = {"RELEASE-NOTES.md", "SHA256SUMS", "images.txt", "txtoken-9.9.9-rc.1.tgz"}
    fixed |= {f"txtoken-{VERSION}{ending}" for ending in (".cdx.json", ".tar.gz", "-py3-none-any.whl")}
    (compiled,) = names - fixed
    assert compiled.startswith(f"txtoken-{VERSION}-cp3")
    assert "manylinux" in compiled
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=clone.root / "dist", check=True)
    assert (clone.head, clone.git("tag")) == before
    assert clone.git("status", "--porcelain") == ""
