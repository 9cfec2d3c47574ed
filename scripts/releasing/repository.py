"""What git knows of this repository: is it fit for a release? Nothing here changes a file."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.releasing.refusal import Refusal
from scripts.releasing.version import ReleaseVersion

BRANCH: Final = "main"  # releases come from here
_SHOWN_MAX: Final = 10  # files that are named in a refusal


@dataclass(frozen=True)
class Repository:
    """A clone with its files."""

    root: Path

    def git(self, *arguments: str) -> str:
        """Run git, and return what it said.

        Raises:
            Refusal: it failed, with its own words.
        """
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # no shell; git is on PATH
        if done.returncode:
            raise Refusal(f"git {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.rstrip("\n")

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    @property
    def tags(self) -> Sequence[ReleaseVersion]:
        """The versions that were released."""
        found = []
        for tag in self.git("tag", "--list", "v*").splitlines():
            try:
                found.append(ReleaseVersion.parse(tag.removeprefix("v")))
            except Refusal:
                continue  # somebody's own tag
        return found

    def has_here(self, version: ReleaseVersion) -> bool:
        """Whether HEAD is this version's tag already."""
        return version.tag in self.git("tag", "--points-at", "HEAD").splitlines()

    def problems(self, version: ReleaseVersion) -> list[str]:
        """Say all that speaks against releasing what is checked out here as this version."""
        found = []
        if changed := self.git("status", "--porcelain").splitlines():
            names = ", ".join(line[3:] for line in changed[:_SHOWN_MAX]) + (", …" if len(changed) > _SHOWN_MAX else "")
            found.append(f"The tree has changes that are not committed: {names}. Commit them, or `git stash` them.")
        released_here = self.has_here(version)
        branch = self.git("branch", "--show-current")
        if branch != BRANCH and not released_here:
            found.append(f"Releases are made from {BRANCH}; this is {branch or 'no branch'}. `git switch {BRANCH}`.")
        if version in self.tags and not released_here:
            found.append(f"{version.tag} is there already, on another commit. Choose the next version.")
        elif later := [tag for tag in self.tags if tag.is_after(version)]:
            found.append(f"{version.text} comes before {later[-1].text}, which was released. Choose a later version.")
        return found

    def commit(self, files: Sequence[Path], version: ReleaseVersion) -> None:
        """Commit what a release changed, and nothing else; when that fails the files are as they were."""
        names = [str(path.relative_to(self.root)) for path in files]
        try:
            self.git("commit", "--quiet", "--message", f"Release {version.text}", "--", *names)
        except Refusal:
            self.git("checkout", "--quiet", "HEAD", "--", *names)
            raise

    def tag(self, version: ReleaseVersion, text: str) -> None:
        self.git("tag", "--annotate", version.tag, "--cleanup=verbatim", "--message", text)

    def push(self, address: str, version: ReleaseVersion) -> None:
        """Hand branch and tag to the public address, both or neither."""
        self.git("push", "--atomic", address, BRANCH, version.tag)
