"""What deploy/ holds fits the service: its configuration loads, its probes and ports are the service's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.running import KEY
from txtoken.config import EXAMPLE_KEY, load
from txtoken.errors import ConfigError
from txtoken.service.routes import HEALTH_PATHS

ROOT: Final = Path(__file__).parents[1]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"


def read(name: str) -> Any:
    """Read one object."""
    return yaml.safe_load((KUBERNETES / name).read_text())


@pytest.fixture
def deployed(tmp_path: Path) -> Path:
    """The configuration that a pod gets, with its secret."""
    key = tmp_path / "enc_key"
    text = read("configmap.yaml")["data"]["txtoken.yml"]
    file = tmp_path / "txtoken.yml"
    file.write_text(text.replace("/secrets/enc_key", str(key)))
    key.write_text(KEY)
    return file


def test_the_configuration_loads(deployed: Path) -> None:
    """The ConfigMap holds a good configuration for the container's port."""
    config = load(str(deployed), {})
    (container,) = read("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    assert config.port == container["ports"][0]["containerPort"]
    grace_s = read("deployment.yaml")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace_s > config.timeouts.drain + config.timeouts.drain_delay


def test_the_placeholder_is_refused(deployed: Path) -> None:
    """The Secret as it stands in the repository does not start a service."""
    placeholder = read("secret.yaml")["stringData"]["enc_key"]
    assert placeholder == EXAMPLE_KEY
    (deployed.parent / "enc_key").write_text(placeholder)
    with pytest.raises(ConfigError):
        load(str(deployed), {})


def test_probes_and_routes_exist() -> None:
    """Probes ask for routes that the service has, and the Ingress passes the two that clients need."""
    (container,) = read("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in HEALTH_PATHS
    (rule,) = read("ingress.yaml")["spec"]["rules"]
    assert {path["path"] for path in rule["http"]["paths"]} == {"/getToken", "/checkToken"}


def test_every_object_is_in_the_kustomization() -> None:
    """No file is forgotten."""
    listed = set(read("kustomization.yaml")["resources"])
    assert listed == {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    for name in listed:
        assert read(name)["metadata"]["name"] == "txtoken"
