"""A small repository to release: this one's files that a release looks at, committed on `main`, with nobody's git settings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from scripts.releasing import places
from scripts.releasing.repository import Repository

ROOT: Final = Path(__file__).parents[2]
UNRELEASED: Final = (
    "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.9.0] - 2026-01-01\n\n- Before.\n"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Version 1.0.0 everywhere, entries that wait, and a clean tree."""
    if shutil.which("git") is None:
        pytest.skip("git is missing")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")
    root = tmp_path / "project"
    versioned = {place.find(ROOT)[0] for place in (places.SOURCE, *places.DERIVED)}
    for path in versioned | {ROOT / "pyproject.toml"}:
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    (root / "CHANGELOG.md").write_text(UNRELEASED)
    repository = Repository(root)
    repository.git("init", "--quiet", "--initial-branch", "main")
    commit(repository)
    return repository


def commit(repository: Repository) -> None:
    """Commit all there is."""
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "As it is")
