"""The Helm chart as a package, as `helm package` lays it out. Written here, because Helm's own holds the time of packing.

Where Helm is installed it judges the package.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
from pathlib import Path
from typing import Final

from scripts.releasing import archive
from scripts.releasing.address import Address
from scripts.releasing.checkout import Checkout
from scripts.releasing.refusal import Refusal
from scripts.releasing.version import ReleaseVersion

CHART: Final = Path("deploy/helm/txtoken")


def build(checkout: Checkout, version: ReleaseVersion, address: Address | None, target: Path) -> None:
    """Write the package to `target`; with an address its image is the published one."""
    members = files(checkout.root / CHART)
    if address is not None:
        values = published(members["txtoken/values.yaml"].content.decode(), address)
        members["txtoken/values.yaml"] = archive.Member(values.encode())
    package = target / f"txtoken-{version.of_chart}.tgz"
    archive.write(package, members, checkout.epoch)
    if shutil.which("helm"):
        checkout.run("helm", "lint", "--strict", "--values", str(CHART / "ci" / "smallest-values.yaml"), str(package))


def published(values: str, address: Address) -> str:
    """Name the published image in the chart's values.

    Raises:
        Refusal: they name no image where one is looked for.
    """
    changed, times = re.subn(
        r"(?m)^(image:\n(?:  .*\n)*?  repository: )txtoken\b", rf"\g<1>{address.image}", values, count=1
    )
    if not times:
        raise Refusal(
            f"{CHART}/values.yaml has no `repository: txtoken` under `image:`: say in scripts/releasing/chart.py where it went."
        )
    return changed


def files(chart: Path) -> dict[str, archive.Member]:
    """Return what belongs into the package: everything that .helmignore does not name."""
    lines = (line.strip() for line in (chart / ".helmignore").read_text().splitlines())
    ignored = [line.rstrip("/") for line in lines if line and not line.startswith("#")]
    found = {}
    for path in chart.rglob("*"):
        parts = path.relative_to(chart).parts
        if path.is_file() and not any(fnmatch.fnmatch(part, pattern) for part in parts for pattern in ignored):
            found["/".join((chart.name, *parts))] = archive.Member(path.read_bytes())
    return found
