"""What scripts/image asks of the program that builds, and what it writes into the Dockerfile. Builds nothing: programs on PATH
say what they were asked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.running import PATIENCE_S

ROOT: Final = Path(__file__).parents[1]
DIGEST: Final = f"sha256:{'0123456789abcdef' * 4}"
SAYS: Final = '#!/bin/bash\n[ "$1" = info ] && exit 0\nprintf "%s\\n" "$@"\n'
FAILS: Final = "#!/bin/bash\nexit 1\n"


class Sources:
    """A copy of the sources, as far as the script goes, and the programs that it finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "sources"
        self._programs = folder / "programs"
        self._programs.mkdir()
        (self.folder / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "image", self.folder / "scripts" / "image")
        for name in ("Dockerfile", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder)
        project = self.folder / "pyproject.toml"
        project.write_text(re.sub('(?m)^address = ".*?"', 'address = ""', project.read_text()))
        for name in ("docker", "podman", "buildah", "skopeo", "crane"):
            self.program(name, FAILS)

    def program(self, name: str, text: str) -> None:
        """Put a program on PATH."""
        path = self._programs / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["scripts/image", *arguments],
            cwd=self.folder,
            env={"PATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def git(self, *arguments: str) -> str:
        """Run git there."""
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout.strip()

    @property
    def base(self) -> str:
        """The line that names the base image."""
        (line,) = re.findall(r"^FROM (\S+) AS base$", (self.folder / "Dockerfile").read_text(), re.MULTILINE)
        assert isinstance(line, str)
        return line


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Sources without a repository around them."""
    return Sources(tmp_path)


def labels(output: str) -> dict[str, str]:
    """The labels that the builder was given."""
    return dict(re.findall(r"^--label\norg\.opencontainers\.image\.(\w+)=(.*)$", output, re.MULTILINE))


def test_labels(sources: Sources) -> None:
    """The builder is given revision and time, and an address where there is one; arguments pass through."""
    sources.program("docker", SAYS)
    done = sources.run("--platform", "linux/arm64", SOURCE_DATE_EPOCH="86400")
    assert labels(done.stdout) == {"created": "1970-01-02T00:00:00Z"}
    words = done.stdout.splitlines()
    assert words[:3] == ["build", "--tag", "txtoken"]
    assert words[-3:] == ["--platform", "linux/arm64", "."]
    sources.git("init", "-q")
    sources.git("add", ".")
    sources.git("commit", "-qm", "x")
    head = sources.git("rev-parse", "HEAD")
    done = sources.run(SOURCE_DATE_EPOCH="0", SOURCE="https://git.example.com/txtoken", IMAGE="images.example.com/a:1")
    assert labels(done.stdout) == {
        "created": "1970-01-01T00:00:00Z",
        "revision": head,
        "source": "https://git.example.com/txtoken",
    }
    assert done.stdout.splitlines()[:3] == ["build", "--tag", "images.example.com/a:1"]
    project = sources.folder / "pyproject.toml"
    project.write_text(project.read_text().replace('address = ""', 'address = "https://git.example.com/b"'))
    found = labels(sources.run().stdout)
    assert (found["revision"], found["source"]) == (f"{head}-dirty", "https://git.example.com/b")


def test_builders(sources: Sources) -> None:
    """The first one that works is taken. Those that make OCI images by default get an option to keep the health check."""
    sources.program("buildah", SAYS)
    words = sources.run().stdout.splitlines()
    assert words[0] == "build"
    assert words[-3:] == ["--format", "docker", "."]
    sources.program("buildah", FAILS)
    done = sources.run()
    assert done.returncode == 1
    assert "No docker, podman or buildah works here" in done.stderr


def test_the_base_is_pinned(sources: Sources) -> None:
    """--pin writes the digest that the registry has into the Dockerfile, twice as well as once, and builds nothing."""
    tag = sources.base.partition("@")[0]
    sources.program("skopeo", f'#!/bin/bash\n[ "${{@: -1}}" = docker://{tag} ] && echo {DIGEST}\n')
    for _ in range(2):
        done = sources.run("--pin")
        assert (done.returncode, done.stdout) == (0, f"Dockerfile: {tag}@{DIGEST}\n")
        assert sources.base == f"{tag}@{DIGEST}"


@pytest.mark.parametrize("says", ["exit 1", "echo sha256:abc", "echo"])
def test_no_digest_is_invented(sources: Sources, says: str) -> None:
    """Where the registry cannot be reached, or says something else, the Dockerfile stays as it is."""
    before = (sources.folder / "Dockerfile").read_text()
    sources.program("skopeo", f"#!/bin/bash\n{says}\n")
    done = sources.run("--pin")
    assert done.returncode == 1
    assert "The Dockerfile is unchanged." in done.stderr
    assert (sources.folder / "Dockerfile").read_text() == before
