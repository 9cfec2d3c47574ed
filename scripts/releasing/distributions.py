"""What pip installs: the source distribution and the wheels, checked as the index will check them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.releasing import archive
from scripts.releasing.checkout import Checkout
from scripts.releasing.refusal import Refusal
from scripts.releasing.version import ReleaseVersion


def build(checkout: Checkout, version: ReleaseVersion, target: Path, made: Path | None) -> None:
    """Write sdist and wheels to `target`: those of this machine, or what workflows made on several, which is in `made`.

    Raises:
        Refusal: there is not what a release needs, or an index would not take it.
    """
    if made is None:
        checkout.run("scripts/wheels")
        made = checkout.root / "dist"
    for wheel in made.rglob("*.whl"):
        shutil.copyfile(wheel, target / wheel.name)
    for sources in made.rglob("*.tar.gz"):
        # Setuptools writes the time of building.
        archive.write(target / sources.name, archive.read(sources), checkout.epoch)
    names = sorted(path.name for path in target.iterdir())
    check(names, version)
    checkout.run(sys.executable, "-m", "twine", "check", "--strict", *(str(target / name) for name in names))


def check(names: Sequence[str], version: ReleaseVersion) -> None:
    """See that these are files of this version, and that those which fit every machine are among them.

    Raises:
        Refusal: they are not.
    """
    sources, pure = f"txtoken-{version.text}.tar.gz", f"txtoken-{version.text}-py3-none-any.whl"
    problems = [
        f"{name} is not of version {version.text}: remove it, and build anew."
        for name in names
        if name != sources and not (name.startswith(f"txtoken-{version.text}-") and name.endswith(".whl"))
    ]
    problems += [f"{name} is missing: scripts/wheels makes it." for name in (sources, pure) if name not in names]
    if problems:
        raise Refusal(*problems)
