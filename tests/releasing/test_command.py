"""`scripts/release`: what it refuses before anything is built, and what it changes when it is meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.releasing import command
from scripts.releasing.refusal import Refusal
from scripts.releasing.repository import Repository
from tests.releasing.conftest import UNRELEASED, commit

Break = Callable[[Repository], None]


def dirty(project: Repository) -> None:
    (project.root / "new.txt").write_text("")
    (project.root / "CHANGELOG.md").write_text(UNRELEASED + "\n")


def branched(project: Repository) -> None:
    project.git("switch", "--quiet", "--create", "topic")


def detached(project: Repository) -> None:
    project.git("checkout", "--quiet", "--detach")


def tagged_before(project: Repository) -> None:
    project.git("tag", "v1.1.0")
    (project.root / "a").write_text("")
    commit(project)


def tagged_later(project: Repository) -> None:
    project.git("tag", "v2.0.0rc1")


def nothing_written(project: Repository) -> None:
    (project.root / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    commit(project)


def half_an_address(project: Repository) -> None:
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text().replace('address = ""', 'address = "somewhere"'))
    commit(project)


@pytest.mark.parametrize(
    ("breaks", "why", "remedy"),
    [
        (dirty, "changes that are not committed: CHANGELOG.md, new.txt.", "Commit them"),
        (branched, "Releases are made from main; this is topic.", "`git switch main`"),
        (detached, "Releases are made from main; this is no branch.", "`git switch main`"),
        (tagged_before, "v1.1.0 is there already, on another commit.", "Choose the next version."),
        (tagged_later, "1.1.0 comes before 2.0.0rc1, which was released.", "Choose a later version."),
        (nothing_written, "CHANGELOG.md says nothing about 1.1.0", "write what changed under ## [Unreleased]"),
        (
            half_an_address,
            "`address` of [tool.txtoken] in pyproject.toml is 'somewhere'",
            "write https://github.com/OWNER/NAME",
        ),
    ],
)
def test_each_refusal_says_what_and_what_to_do(project: Repository, breaks: Break, why: str, remedy: str) -> None:
    """One thing is wrong, and it alone is said."""
    breaks(project)
    with pytest.raises(Refusal) as refusal:
        command.planned(project, "1.1.0", push=False)
    (problem,) = refusal.value.problems
    assert why in problem
    assert remedy in problem


def test_all_refusals_come_at_once(project: Repository) -> None:
    """Whoever releases mends them in one go."""
    branched(project)
    tagged_later(project)
    nothing_written(project)
    dirty(project)
    (project.root / "CHANGELOG.md").write_text("")
    (project.root / "txtoken/version.py").write_text("")
    with pytest.raises(Refusal) as refusal:
        command.planned(project, "1.1.0", push=True)
    assert len(refusal.value.problems) == 6


def test_nothing_is_pushed_without_an_address(project: Repository) -> None:
    """The refusal names the one value that takes it, and what works without."""
    with pytest.raises(Refusal, match=r"no public address.*`address` of \[tool\.txtoken\].*Without --push") as refusal:
        command.planned(project, "1.1.0", push=True)
    assert len(refusal.value.problems) == 1


def test_a_plan_changes_nothing(project: Repository) -> None:
    """It names the files that the release will change, and leaves them alone."""
    plan = command.planned(project, "1.1.0", push=False)
    assert sorted(path.relative_to(project.root).as_posix() for path in plan.changes) == [
        "CHANGELOG.md",
        "Dockerfile",
        "deploy/helm/txtoken/Chart.yaml",
        "deploy/kubernetes/kustomization.yaml",
        "docs/openapi.yml",
        "txtoken/version.py",
    ]
    assert project.git("status", "--porcelain") == ""


def test_a_release_is_one_commit_and_a_tag(project: Repository) -> None:
    """The commit holds the planned changes alone, the tag the words of the changelog; from the tag nothing is left to change."""
    before = project.head
    plan = command.planned(project, "1.1.0", push=False)
    command.recorded(project, plan)
    assert project.git("rev-list", f"{before}..HEAD") == project.head
    assert project.git("log", "-1", "--format=%s") == "Release 1.1.0"
    assert project.git("status", "--porcelain") == ""
    assert (project.root / "txtoken/version.py").read_text().endswith('VERSION = "1.1.0"\n')
    assert project.git("tag", "--list", "--format=%(contents)", "v1.1.0") == "txtoken 1.1.0\n\n### Added\n\n- A thing."
    assert project.git("rev-parse", "v1.1.0^{commit}") == project.head
    project.git("checkout", "--quiet", "v1.1.0")
    again = command.planned(project, "1.1.0", push=False)
    assert again.changes == {}
    assert again.epoch == plan.epoch


def test_what_somebody_changes_meanwhile_is_not_in_the_commit(project: Repository) -> None:
    """A build takes minutes: files that were edited in them are neither committed nor lost."""
    plan = command.planned(project, "1.1.0", push=False)
    edited = project.root / "pyproject.toml"
    edited.write_text("# edited\n")
    command.recorded(project, plan)
    assert project.git("status", "--porcelain") == " M pyproject.toml"
    assert edited.read_text() == "# edited\n"


def test_a_head_that_moved_is_not_tagged(project: Repository) -> None:
    """What was built is what is tagged, or nothing is."""
    plan = command.planned(project, "1.1.0", push=False)
    (project.root / "a").write_text("")
    commit(project)
    with pytest.raises(Refusal, match="HEAD has moved"):
        command.recorded(project, plan)
    assert project.git("tag") == ""
    assert project.git("status", "--porcelain") == ""


def test_a_commit_that_fails_leaves_the_files_as_they_were(project: Repository) -> None:
    """A hook that says no is heard in its own words."""
    hook = project.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refusal, match="git commit failed: not today"):
        command.recorded(project, command.planned(project, "1.1.0", push=False))
    assert project.git("tag") == ""
    assert project.git("status", "--porcelain") == ""


def test_what_was_tagged_can_be_released_again(project: Repository) -> None:
    """A push may fail, because the network does: the same command then goes on from the tag, and makes neither anew."""
    command.recorded(project, command.planned(project, "1.1.0", push=False))
    before = project.git("rev-parse", "HEAD", "v1.1.0")
    command.recorded(project, command.planned(project, "1.1.0", push=False))
    assert project.git("rev-parse", "HEAD", "v1.1.0") == before


def test_branch_and_tag_are_pushed_together(project: Repository, tmp_path: Path) -> None:
    """Both arrive where the address is, and nothing else does."""
    public = tmp_path / "public.git"
    project.git("init", "--quiet", "--bare", str(public))
    project.git("branch", "private")
    plan = command.planned(project, "1.1.0", push=False)
    command.recorded(project, plan)
    project.push(str(public), plan.version)
    assert Repository(public).git("for-each-ref", "--format=%(refname)").splitlines() == [
        "refs/heads/main",
        "refs/tags/v1.1.0",
    ]


@pytest.mark.parametrize("arguments", [[], ["1.0.0", "--push"], ["1.0.0", "--upload"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A missing version, --push of what is not made, an option that there is not: exit code 2 and how it is called."""
    with pytest.raises(SystemExit) as end:
        command.main(arguments)
    assert end.value.code == 2
    assert "usage: scripts/release" in capsys.readouterr().err


def test_a_refusal_ends_with_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """It is said on stderr, without a traceback."""
    assert command.main(["v1.0.0"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "No release of v1.0.0:\n- v1.0.0 is not in its canonical form. Write 1.0.0.\n"
