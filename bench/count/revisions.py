"""Revisions of the repository: which one this is, which ones lie between two, and a working tree of each. Knows only git."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from bench.errors import BenchError
from bench.measure.processes import ROOT

ID_LETTERS: Final = 12
# What the service consists of. A revision that changes nothing of it costs what the one before costs.
SUBJECT: Final = ("txtoken", "setup.py", "requirements/run.txt", "requirements/compile.txt", "scripts/compile")
_GIT_S: Final = 120.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit."""

    id: str
    committed: str  # ISO 8601


def present(tree: Path = ROOT) -> Revision:
    """Return the revision of a working tree.

    Raises:
        BenchError: files of the service are not as they were committed.
    """
    changed = _git(tree, "status", "--porcelain", "--", *SUBJECT)
    if changed:
        raise BenchError(
            f"{changed.split()[1]} is not as it was committed: a history has only commits. `bench count` counts any tree"
        )
    return _revision(tree, "HEAD")


def since(first: str, count_max: int, tree: Path = ROOT) -> list[Revision]:
    """Return this revision, the first one and evenly chosen ones between them that changed the service, oldest first.

    Raises:
        BenchError: the first one is not an ancestor of this one.
    """
    begin, end = _revision(tree, first), _revision(tree, "HEAD")
    if _run(tree, "merge-base", "--is-ancestor", begin.id, end.id).returncode:
        raise BenchError(f"{first} is no ancestor of this revision")
    changed = _git(tree, "rev-list", "--reverse", "--first-parent", f"{begin.id}..{end.id}", "--", *SUBJECT).split()
    ids = list(dict.fromkeys([begin.id, *(one[:ID_LETTERS] for one in changed), end.id]))
    return [_revision(tree, one) for one in evenly(ids, count_max)]


def evenly(items: Sequence[T], count_max: int) -> list[T]:
    """Choose so many at most, both ends among them."""
    if len(items) <= count_max:
        return list(items)
    last = len(items) - 1
    return [items[round(number * last / (count_max - 1))] for number in range(count_max)]


def order(tree: Path = ROOT) -> dict[str, int]:
    """Number this revision and all before it, oldest first."""
    ids = _git(tree, "rev-list", "--topo-order", "--reverse", "HEAD").split()
    return {one[:ID_LETTERS]: number for number, one in enumerate(ids)}


@contextlib.contextmanager
def working_tree(tree: Path = ROOT) -> Iterator[tuple[Path, Callable[[Revision], None]]]:
    """Make one more working tree in a temporary folder. Gives the folder, and what puts a revision into it.

    Files that git ignores stay when the revision changes: so environments are made anew only where their pins changed.
    """
    with tempfile.TemporaryDirectory(prefix="txtoken-track-") as name:
        folder = Path(name) / "tree"
        _git(tree, "worktree", "add", "--quiet", "--detach", str(folder))
        try:
            yield folder, lambda revision: _put(folder, revision)
        finally:
            _run(tree, "worktree", "remove", "--force", str(folder))


def _put(folder: Path, revision: Revision) -> None:
    _git(folder, "checkout", "--quiet", "--force", "--detach", revision.id)


def _revision(tree: Path, name: str) -> Revision:
    found = _run(tree, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").stdout.strip()
    if not found:
        raise BenchError(f"there is no revision {name}")
    return Revision(found[:ID_LETTERS], _git(tree, "log", "-1", "--format=%cI", found))


def _git(tree: Path, *arguments: str) -> str:
    done = _run(tree, *arguments)
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2]
        raise BenchError(f"git {arguments[0]}: {said}")
    return done.stdout.strip()


def _run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=tree, capture_output=True, text=True, timeout=_GIT_S, check=False
        )
    except FileNotFoundError:
        raise BenchError("git is missing: apt-get install git") from None
