"""The public address of the project, and all that derives from it: one value, `address` of `[tool.txtoken]` in pyproject.toml.

While it is empty there is nowhere to publish to, and nothing pretends. As a program it tells a workflow, a line each, whether
the repository that it runs in is this one (`published`), and what the image and the chart are called.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.releasing.refusal import Refusal

_FORM: Final = re.compile(r"https://github\.com/(?P<owner>[A-Za-z0-9-]+)/(?P<name>[A-Za-z0-9._-]+)")
MISSING: Final = (
    "The project has no public address, so nothing can be published: set `address` of [tool.txtoken] in pyproject.toml "
    "to https://github.com/OWNER/NAME. Without --push everything is made in dist/ all the same."
)


@dataclass(frozen=True)
class Address:
    """A repository on GitHub. Registries take names in lower case only."""

    repository: str
    owner: str
    name: str

    @property
    def image(self) -> str:
        return f"ghcr.io/{self.owner}/{self.name}".lower()

    @property
    def charts(self) -> str:
        """Where `helm push` puts the chart, under the chart's own name."""
        return f"oci://ghcr.io/{self.owner}/charts".lower()

    @property
    def site(self) -> str:
        """The documentation."""
        return f"https://{self.owner.lower()}.github.io/{self.name}/"

    def file(self, path: str, tag: str) -> str:
        """Say where a file can be read as it was released."""
        return f"{self.repository}/blob/{tag}/{path}"


def read(root: Path) -> Address | None:
    """Return the address, or nothing while there is none.

    Raises:
        Refusal: what stands there is no repository on GitHub.
    """
    with (root / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)["tool"].get("txtoken", {})
    repository = settings.get("address", "")
    if not repository:
        return None
    match = _FORM.fullmatch(repository)
    if match is None:
        raise Refusal(
            f"`address` of [tool.txtoken] in pyproject.toml is {repository!r}: "
            "write https://github.com/OWNER/NAME, or nothing."
        )
    return Address(repository, match["owner"], match["name"])


def outputs(address: Address | None, server: str, repository: str) -> str:
    """Write what the jobs of a workflow ask for. A fork, or a project without an address, publishes nothing."""
    if address is None or address.repository.lower() != f"{server}/{repository}".lower():
        return "published=false\n"
    return f"published=true\nimage={address.image}\ncharts={address.charts}\n"


if __name__ == "__main__":
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as file:
        file.write(outputs(read(Path()), os.environ["GITHUB_SERVER_URL"], os.environ["GITHUB_REPOSITORY"]))
