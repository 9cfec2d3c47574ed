"""Objects of deploy/kubernetes and of the chart are valid by Kubernetes' own schemas, of the oldest version that the chart allows
and of the newest. `scripts/environment kubernetes` installs the schemas. Without them, or without helm, tests are skipped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.chart import CHART, ROOT
from tests.running import PATIENCE_S

VALIDATOR: Final = ROOT / ".venv-kubernetes" / "bin" / "kubernetes-validate"
BASE: Final = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
OLDEST: Final[str] = re.findall(r"\d+\.\d+", yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])[0]
VERSIONS: Final = (OLDEST, "1.37")
SETS: Final = sorted((CHART / "ci").glob("*.yaml"))

pytestmark = pytest.mark.skipif(not VALIDATOR.exists(), reason="missing: scripts/environment kubernetes")


def complaints(version: str, *files: Path) -> str:
    """Judge these files as this version does, unknown members included. Kinds that are not its own are not looked at."""
    command = [str(VALIDATOR), "--kubernetes-version", version, "--strict", "--quiet", "--no-warn", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode == 0) == (not done.stdout), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_objects(version: str) -> None:
    """The plain objects are valid."""
    files = [file for file in BASE if file.name != "kustomization.yaml"]
    assert len(files) > 5
    assert complaints(version, *files) == ""


def test_it_would_be_noticed(tmp_path: Path) -> None:
    """A member that does not exist is a complaint."""
    text = (ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text()
    file = tmp_path / "deployment.yaml"
    file.write_text(text.replace("enableServiceLinks", "enableServiceLink"))
    assert "enableServiceLink" in complaints(OLDEST, file)


@pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed here")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_the_chart(values: Path, version: str, tmp_path: Path) -> None:
    """What the chart makes of each set of values is valid."""
    command = ["helm", "template", "--kube-version", f"{version}.0", "a", str(CHART), "-f", str(values)]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    file = tmp_path / "made.yaml"
    file.write_text(made)
    assert complaints(version, file) == ""
