"""Revisions: which ones a history gets, on a repository made for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.count import revisions
from bench.errors import BenchError


def git(tree: Path, *arguments: str) -> str:
    """Run git as somebody."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=tree, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(tree: Path, name: str, text: str) -> str:
    """Change one file and commit it."""
    path = tree / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    git(tree, "add", name)
    git(tree, "commit", "-qm", text)
    return git(tree, "rev-parse", "--short=12", "HEAD")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a repository with one commit."""
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, "txtoken/app.py", "begin")
    return folder


def test_present(tree: Path) -> None:
    """A tree as it was committed is its revision."""
    found = revisions.present(tree)
    assert found.id == git(tree, "rev-parse", "--short=12", "HEAD")
    assert found.committed == git(tree, "log", "-1", "--format=%cI")


def test_changed(tree: Path) -> None:
    """A tree with changes of the service is none, and the error names a file; other changes do not matter."""
    (tree / "README.md").write_text("new")
    revisions.present(tree)
    (tree / "txtoken" / "new.py").write_text("new")
    with pytest.raises(BenchError, match=r"txtoken/new\.py is not as it was committed"):
        revisions.present(tree)


def test_since(tree: Path) -> None:
    """Both ends are counted, and between them only what changed the service."""
    begin = commit(tree, "README.md", "0")
    changed = []
    for number in range(1, 30):
        changed.append(commit(tree, "txtoken/app.py", str(number)))
        commit(tree, "README.md", str(number))
    end = commit(tree, "README.md", "end")
    found = [one.id for one in revisions.since(begin, 10, tree)]
    assert len(found) == 10
    assert (found[0], found[-1]) == (begin, end)
    assert set(found[1:-1]) <= set(changed)
    order = revisions.order(tree)
    assert sorted(found, key=order.__getitem__) == found


def test_since_itself(tree: Path) -> None:
    """Since the present revision there is only that."""
    assert [one.id for one in revisions.since("HEAD", 10, tree)] == [revisions.present(tree).id]


def test_since_elsewhere(tree: Path) -> None:
    """A revision that is not before this one, or is none at all, is an error."""
    git(tree, "checkout", "-q", "-b", "other")
    other = commit(tree, "txtoken/app.py", "elsewhere")
    git(tree, "checkout", "-q", "-")
    commit(tree, "txtoken/app.py", "here")
    with pytest.raises(BenchError, match="is no ancestor of this revision"):
        revisions.since(other, 10, tree)
    with pytest.raises(BenchError, match="there is no revision nowhere"):
        revisions.since("nowhere", 10, tree)


@pytest.mark.parametrize(
    ("count", "at_most", "chosen"),
    [(3, 10, [0, 1, 2]), (10, 10, list(range(10))), (11, 3, [0, 5, 10]), (100, 4, [0, 33, 66, 99])],
)
def test_evenly(count: int, at_most: int, chosen: list[int]) -> None:
    """Few are all chosen, many evenly, both ends among them."""
    assert revisions.evenly(range(count), at_most) == chosen


def test_working_tree(tree: Path) -> None:
    """A revision's tree is beside this one, keeps what git ignores from one to the next, and is removed at the end."""
    first = revisions.present(tree)
    commit(tree, ".gitignore", "kept")
    commit(tree, "txtoken/app.py", "later")
    with revisions.working_tree(tree) as (folder, put):
        assert (folder / "txtoken" / "app.py").read_text() == "later"
        (folder / "kept").write_text("")
        put(first)
        assert (folder / "txtoken" / "app.py").read_text() == "begin"
        assert (folder / "kept").exists()
    assert not folder.exists()
    assert git(tree, "worktree", "list").count("\n") == 0
    assert (tree / "txtoken" / "app.py").read_text() == "later"
