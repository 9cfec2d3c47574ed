"""Writes requirements/: one resolution of all that pyproject.toml asks for, a file for each use. `scripts/requirements` runs it.

A use is a dependency group that has an environment of its own. The files agree because they are cut from one resolution (uv's),
and are small because they start from run.txt and keep no hash of a wheel that the service is not meant for. Installs nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from packaging.utils import parse_wheel_filename

ROOT: Final = Path(__file__).parents[1]
REQUIREMENTS: Final = ROOT / "requirements"
RUN: Final = ("--extra", "crypto", "--group", "build")  # build: the sources are installed as they stand
USES: Final = ("dev", "api", "bench", "binary", "browser", "mutate", "wheels")
"""Groups that need what runs the service too: their files start with run.txt."""
ALONE: Final = {
    "compile": (
        "--group",
        "compile",
    ),  # without cryptography, which has no wheel for some machines that we make wheels for
    "release": ("--only-group", "release"),
    "proxies": ("--only-group", "proxies"),  # programs that are no part of the service
    "kubernetes": ("--only-group", "kubernetes"),
    "docs": ("--only-group", "docs"),  # the site's tool reads the sources and runs none
}
"""Uses whose files stand alone, and what they hold."""
MACHINES: Final = re.compile(r"any|(many|musl)linux.*_(x86_64|aarch64|armv7l)|macosx.*")


def wanted(wheel: str) -> bool:
    """Say whether a wheel can be installed where the service runs: CPython with its lock, Linux or macOS, the usual machines."""
    _, _, _, tags = parse_wheel_filename(wheel)
    return any(
        re.fullmatch(r"cp\d+|py\d+", tag.interpreter)
        and re.fullmatch(r"none|abi3|cp\d+", tag.abi)
        and MACHINES.fullmatch(tag.platform)
        for tag in tags
    )


def hashes_to_drop(lock: Path) -> set[str]:
    """Give the hashes of the wheels that are not wanted. What they are for installs from the source distribution."""
    packages = tomllib.loads(lock.read_text())["package"]
    wheels = (wheel for package in packages for wheel in package.get("wheels", ()))
    return {wheel["hash"] for wheel in wheels if not wanted(wheel["url"].rpartition("/")[2])}


def uv(folder: Path, *words: str) -> str:
    """Run uv on the project in a folder. Returns what it prints; ends the program with what it says where it fails."""
    program = shutil.which("uv")
    if program is None:
        sys.exit("uv is missing: pip install uv")
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stderr}If a version that requirements/ holds is in the way: scripts/requirements --upgrade")
    return done.stdout


def pins(text: str) -> list[str]:
    """Split a file of requirements into one text for each package, its hashes included."""
    return re.findall(r"^[A-Za-z0-9].*(?:\n .*)*\n", text, re.MULTILINE)


def held() -> set[str]:
    """Give the versions that the files hold now, with their markers."""
    return {pin.partition(" \\\n")[0] for file in REQUIREMENTS.glob("*.txt") for pin in pins(file.read_text())}


def main(arguments: list[str]) -> None:
    """Write all files. Versions stay as they are where they still fit; with --upgrade they are the newest that fit."""
    if arguments not in ([], ["--upgrade"]):
        sys.exit("usage: scripts/requirements [--upgrade]")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "txtoken", folder / "txtoken")
        for file in ("setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / file, folder)
        constraints = [] if arguments else sorted(held())
        project = (ROOT / "pyproject.toml").read_text()
        (folder / "pyproject.toml").write_text(f"{project}\n[tool.uv]\nconstraint-dependencies = {constraints!r}\n")
        uv(folder, "lock")
        dropped = hashes_to_drop(folder / "uv.lock")

        def export(*selection: str) -> list[str]:
            words = ["export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-header", "--no-annotate"]
            lines = uv(folder, *words, *selection).splitlines()
            kept = [line for line in lines if line.strip(" \\").removeprefix("--hash=") not in dropped]
            found = pins(re.sub(r" \\\n(?! )", "\n", "\n".join(kept) + "\n"))
            return [pin for pin in found if "--hash=" in pin]  # without one left it is Windows' alone

        run = export(*RUN)
        (REQUIREMENTS / "run.txt").write_text("".join(run))
        for use in USES:
            more = [pin for pin in export(*RUN, "--group", use) if pin not in run]
            (REQUIREMENTS / f"{use}.txt").write_text("-r run.txt\n" + "".join(more))
        for use, selection in ALONE.items():
            (REQUIREMENTS / f"{use}.txt").write_text("".join(export(*selection)))


if __name__ == "__main__":
    main(sys.argv[1:])
