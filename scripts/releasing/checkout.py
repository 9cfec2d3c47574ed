"""The clean copy of HEAD that a release is built in: build/release. The tree of whoever releases stays as it is.

Always in the same place: compilers write the path into what they make. Its virtual environments stay there for the next time.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.releasing.refusal import Refusal
from scripts.releasing.repository import Repository


@dataclass(frozen=True)
class Checkout:
    """The copy, and the time that everything made in it carries."""

    root: Path
    epoch: int  # seconds since 1970

    @classmethod
    def of(cls, repository: Repository, changes: Mapping[Path, str], epoch: int) -> Checkout:
        """Make it of HEAD with the changed files of the release in it."""
        root = repository.root / "build" / "release"
        copy = Repository(root)
        if not (root / ".git").exists():
            repository.git("clone", "--quiet", "--no-checkout", "--shared", str(repository.root), str(root))
        copy.git("checkout", "--quiet", "--force", "--detach", repository.head)
        copy.git("clean", "-ffdxq", "--exclude", ".venv*")
        for path, text in changes.items():
            (root / path.relative_to(repository.root)).write_text(text)
        return cls(root, epoch)

    def run(self, *command: str) -> str:
        """Run a command there, and return what it printed.

        Raises:
            Refusal: it failed, with the end of what it said.
        """
        # Equal bytes each time: one seed for the order of sets, and no build ID, which is made of debug information too, and so
        # of the name of a temporary folder.
        fixed = {"SOURCE_DATE_EPOCH": str(self.epoch), "PYTHONHASHSEED": "0", "LDFLAGS": "-Wl,--build-id=none"}
        done = subprocess.run(  # noqa: S603  # no shell; the commands are this repository's
            command,
            cwd=self.root,
            env=os.environ | fixed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            end = "\n".join(done.stdout.strip().splitlines()[-15:])
            raise Refusal(f"`{' '.join(command)}` failed in {self.root} with exit code {done.returncode}:\n{end}")
        return done.stdout
