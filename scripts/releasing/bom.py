"""The software bill of materials: what runs when txtoken runs, by its pins, as CycloneDX.

Read from an environment that was made of requirements/run.txt, because there licences and dependencies are known.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from scripts.releasing.checkout import Checkout
from scripts.releasing.refusal import Refusal
from scripts.releasing.version import ReleaseVersion

_SCHEMA: Final = "1.6"
MAKERS: Final = ("pip", "setuptools", "uv")


def build(checkout: Checkout, version: ReleaseVersion, target: Path) -> None:
    """Write the bill to `target`.

    Raises:
        Refusal: what came out is not valid by CycloneDX's own schema.
    """
    checkout.run("scripts/environment", "run")
    project = checkout.root / "build" / "bom" / "pyproject.toml"
    project.parent.mkdir(parents=True, exist_ok=True)
    project.write_text(with_version((checkout.root / "pyproject.toml").read_text(), version))
    made = project.with_name("made.json")
    checkout.run(
        *(sys.executable, "-m", "cyclonedx_py", "environment", ".venv/bin/python", "--pyproject", str(project)),
        *("--output-reproducible", "--spec-version", _SCHEMA, "--output-file", str(made)),
    )
    text = json.dumps(without_makers(json.loads(made.read_text())), indent=2, sort_keys=True) + "\n"
    validate(text)
    (target / f"txtoken-{version.text}.cdx.json").write_text(text)


def validate(text: str) -> None:
    """Compare it with CycloneDX's own schema.

    Raises:
        Refusal: it is not valid.
    """
    from cyclonedx.schema import SchemaVersion  # only where releases are built
    from cyclonedx.validation.json import JsonStrictValidator

    if error := JsonStrictValidator(SchemaVersion.from_version(_SCHEMA)).validate_str(text):
        raise Refusal(f"The bill of materials is not valid CycloneDX: {error}")


def with_version(project: str, version: ReleaseVersion) -> str:
    """Write the version into a pyproject.toml that takes it from the sources, which a bill's maker does not read."""
    return re.sub(r"(?m)^dynamic = .*$", f'version = "{version.text}"', project, count=1)


def without_makers(bill: dict[str, Any]) -> dict[str, Any]:
    """Leave out what made the environment and is no part of the service, though a library may name it for its own tests."""
    components = [component for component in bill["components"] if component["name"] not in MAKERS]
    known = {component["bom-ref"] for component in (bill["metadata"]["component"], *components)}
    dependencies = [
        entry | {"dependsOn": [reference for reference in entry.get("dependsOn", ()) if reference in known]}
        for entry in bill["dependencies"]
        if entry["ref"] in known
    ]
    return bill | {"components": components, "dependencies": dependencies}
