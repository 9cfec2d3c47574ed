"""The files that hold the version. txtoken/version.py is the one that counts; a release writes the others from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.releasing.refusal import Refusal
from scripts.releasing.version import ReleaseVersion


@dataclass(frozen=True)
class Place:
    """A file, the words before the version in its line, and the form that it wants."""

    pattern: str  # of one file, below the root
    before: str
    form: Callable[[ReleaseVersion], str] = lambda version: version.text

    def find(self, root: Path) -> tuple[Path, re.Match[str]]:
        """Find the version as it stands.

        Raises:
            Refusal: there is not exactly one such file with exactly one such line.
        """
        found = [
            (path, match)
            for path in root.glob(self.pattern)
            for match in re.finditer(rf'(?m)^(?:{self.before})"?(?P<version>[0-9][^"\s]*)', path.read_text())
        ]
        if len(found) != 1:
            raise Refusal(
                f"The version stands in {self.pattern} {len(found)} times, where it is once: "
                "say in scripts/releasing/places.py where it went."
            )
        return found[0]


SOURCE: Final = Place("txtoken/version.py", "VERSION = ")
DERIVED: Final = (
    Place("deploy/helm/txtoken/Chart.yaml", "version: ", lambda version: version.of_chart),
    Place("deploy/helm/txtoken/Chart.yaml", "appVersion: "),
    Place("deploy/kubernetes/kustomization.yaml", r"\s+newTag: "),
    Place("Dockerfile", r"\s+org\.opencontainers\.image\.version="),
    Place("docs/**/openapi.yml", r"\s+version: "),
)


def rewritten(root: Path, version: ReleaseVersion) -> Mapping[Path, str]:
    """Return the files that have to change so that every place holds this version, with their new text."""
    texts: dict[Path, str] = {}
    problems: list[str] = []
    for place in (SOURCE, *DERIVED):
        try:
            path, match = place.find(root)
        except Refusal as refusal:
            problems.extend(refusal.problems)
            continue
        text, wanted = texts.get(path, path.read_text()), place.form(version)
        line = match[0]
        texts[path] = text.replace(line, line.removesuffix(match["version"]) + wanted, 1)
    if problems:
        raise Refusal(*problems)
    return {path: text for path, text in texts.items() if text != path.read_text()}
