"""What deploy/ holds fits the service: its configuration loads, its probes and ports are the service's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from tests.running import KEY, PATIENCE_S
from txtoken.config.read import load
from txtoken.config.signing_secret import EXAMPLE_KEY
from txtoken.config.table import KEYS
from txtoken.errors import ConfigError
from txtoken.observe.metrics import REMOTE_REASONS
from txtoken.service.routes import HEALTH_PATHS
from txtoken.version import VERSION

ROOT: Final = Path(__file__).parents[1]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
CHART: Final = ROOT / "deploy" / "helm" / "txtoken"


def read(name: str) -> Any:
    """Read one object."""
    return yaml.safe_load((KUBERNETES / name).read_text())


def pod() -> Any:
    """The pod of the Deployment."""
    return read("deployment.yaml")["spec"]["template"]["spec"]


def read_chart(name: str) -> Any:
    """Read a file of the chart that is no template."""
    return yaml.safe_load((CHART / name).read_text())


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
    (container,) = pod()["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": config.process.port, "metrics": config.process.admin_port}
    grace_s = pod()["terminationGracePeriodSeconds"]
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
    (container,) = pod()["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in HEALTH_PATHS
        assert container[probe]["httpGet"]["port"] == "metrics"
    (rule,) = read("ingress.yaml")["spec"]["rules"]
    assert {path["path"] for path in rule["http"]["paths"]} == {"/getToken", "/checkToken"}


def test_metrics_are_reached_by_their_port() -> None:
    """The Service, the NetworkPolicy and the ServiceMonitor speak of the port by the name that the pod gives it."""
    assert {port["targetPort"] for port in read("service.yaml")["spec"]["ports"]} == {"http", "metrics"}
    allowed = [port["port"] for rule in read("networkpolicy.yaml")["spec"]["ingress"] for port in rule["ports"]]
    assert allowed == ["http", "metrics"]
    (endpoint,) = read("servicemonitor/servicemonitor.yaml")["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", "/metrics")
    assert read("servicemonitor/kustomization.yaml")["resources"] == ["servicemonitor.yaml"]


def test_logins_get_out() -> None:
    """The NetworkPolicy lets out DNS and the port of the remote, and nothing else."""
    dns, remote = read("networkpolicy.yaml")["spec"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    url = urlsplit(yaml.safe_load(read("configmap.yaml")["data"]["txtoken.yml"])["remote"])
    assert remote == {"ports": [{"port": url.port}]}


def test_the_components_fit(tmp_path: Path) -> None:
    """Those that can be added name the objects, routes and ports that there are."""
    (route,) = read("httproute/httproute.yaml")["spec"]["rules"]
    (rule,) = read("ingress.yaml")["spec"]["rules"]
    assert [match["path"]["value"] for match in route["matches"]] == [path["path"] for path in rule["http"]["paths"]]
    assert route["backendRefs"] == [{"name": "txtoken", "port": read("service.yaml")["spec"]["ports"][0]["port"]}]
    patches = {
        patch["target"]["kind"]: yaml.safe_load(patch["patch"])[0]
        for patch in read("forward-auth/kustomization.yaml")["patches"]
    }
    (asked,) = (rule["filters"][0]["externalAuth"] for rule in read("gateway-api/httproute.yaml")["spec"]["rules"])
    port = asked["backendRef"]["port"]
    assert patches["Deployment"]["value"] == {"name": f"auth-{port}", "containerPort": port}
    assert (patches["Service"]["value"]["port"], patches["Service"]["value"]["targetPort"]) == (port, f"auth-{port}")
    assert patches["NetworkPolicy"]["value"] == {"ports": [{"port": f"auth-{port}"}]}
    said = re.search(r"#   (forwardAuth: .*)", (KUBERNETES / "forward-auth" / "kustomization.yaml").read_text())
    assert said
    (tmp_path / "txtoken.yml").write_text(f"remote: http://login/\nencKey: {KEY}\n{said[1]}\n")
    assert load(str(tmp_path / "txtoken.yml"), {}).process.auth_addresses == (f"[::]:{port}",)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed here")
def test_the_components_apply(tmp_path: Path) -> None:
    """All of them together are added to the objects, and the HTTPRoute takes the Ingress's place."""
    shutil.copytree(KUBERNETES, tmp_path / "base")
    components = [f"base/{file.parent.name}" for file in KUBERNETES.glob("*/kustomization.yaml")]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["base"], "components": components}))
    done = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, timeout=PATIENCE_S, check=True)
    objects = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert {"HTTPRoute", "ServiceMonitor"} <= set(objects)
    assert "Ingress" not in objects
    ports = {port["name"] for port in objects["Service"]["spec"]["ports"]}
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    opened = {port["port"] for rule in objects["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]}
    assert ports == {port["name"] for port in container["ports"]} == opened


def test_every_object_is_in_the_kustomization() -> None:
    """No file is forgotten."""
    listed = set(read("kustomization.yaml")["resources"])
    assert listed == {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    for name in listed:
        assert read(name)["metadata"]["name"] == "txtoken"


def test_the_chart_runs_the_same_pod() -> None:
    """Probes, privileges, resources, the time to end and the configuration are those of the plain objects."""
    values = read_chart("values.yaml")
    (container,) = pod()["containers"]
    assert values["podSecurityContext"] == pod()["securityContext"]
    assert values["securityContext"] == container["securityContext"]
    assert values["resources"] == container["resources"]
    assert values["terminationGracePeriodSeconds"] == pod()["terminationGracePeriodSeconds"]
    for name, probe in values["probes"].items():
        plain = dict(container[f"{name}Probe"])
        path = plain.pop("httpGet")["path"]
        assert probe == {"path": path, **plain}
    policy = read("networkpolicy.yaml")["spec"]
    assert values["networkPolicy"]["metricsFrom"] == policy["ingress"][1]["from"]
    scaling = read("horizontalpodautoscaler.yaml")["spec"]
    (metric,) = scaling["metrics"]
    assert values["autoscaling"] == {
        "enabled": True,
        "minReplicas": scaling["minReplicas"],
        "maxReplicas": scaling["maxReplicas"],
        "targetCPUUtilizationPercentage": metric["resource"]["target"]["averageUtilization"],
        "behavior": {},
    }
    config = yaml.safe_load(read("configmap.yaml")["data"]["txtoken.yml"])
    config["remote"] = ""  # nobody's login API is known here: the chart asks for it
    assert {
        **values["config"],
        "encKeyFile": f"/secrets/{values['secret']['encKeyName']}",
        "adminPort": values["adminPort"],
    } == config


def test_versions_are_the_service_s() -> None:
    """Image tags and the chart name the release that they belong to."""
    (image,) = read("kustomization.yaml")["images"]
    assert image["newTag"] == VERSION
    chart = read_chart("Chart.yaml")
    assert chart["appVersion"] == VERSION  # its own version is written as Helm demands: tests/releasing/test_places.py


def test_messages_that_are_explained_exist() -> None:
    """Each message and code in the tables of docs/reference/messages.md is one of the service's own."""
    text = (ROOT / "docs" / "reference" / "messages.md").read_text()
    source = "".join(file.read_text() for file in (ROOT / "txtoken").rglob("*.py"))
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    explained = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
    assert len(explained) > 20
    assert not [message for message in explained if message not in source]


def test_every_failure_of_the_remote_is_explained() -> None:
    """docs/reference/messages.md says of each code that a failed remote is logged with what it means, and of no other."""
    page = (ROOT / "docs" / "reference" / "messages.md").read_text()
    text = page.partition("## Why the remote failed")[2].partition("## In answers")[0]
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    assert {code for cell in cells for code in re.findall(r"`(\w+)`", cell)} == set(REMOTE_REASONS) - {"surplus"}


def test_fields_that_are_explained_exist() -> None:
    """Each field of a request's line in docs/reference/log.md is one that is written."""
    text = (ROOT / "docs" / "reference" / "log.md").read_text()
    source = (ROOT / "txtoken" / "observe" / "access_log.py").read_text()
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    fields = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert fields == set(re.findall(r'"(\w+)":', source)) - {"time", "level", "message"}


def test_the_socket_unit_opens_the_default_port() -> None:
    """Who turns socket activation on finds the service where it was."""
    lines = (ROOT / "deploy" / "systemd" / "txtoken.socket").read_text().splitlines()
    (default,) = (key.default for key in KEYS if key.name == "port")
    assert [line for line in lines if line.startswith("ListenStream=")] == [f"ListenStream={default}"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units() -> None:
    """systemd finds nothing wrong with the units, but that the service is not installed."""
    units = [ROOT / "deploy" / "systemd" / name for name in ("txtoken.service", "txtoken.socket")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, timeout=PATIENCE_S, check=False)
    complaints = [line for line in done.stderr.decode().splitlines() if "txtoken" in line]
    assert len(complaints) == 1
    assert "is not executable" in complaints[0]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_confines_the_service() -> None:
    """systemd counts what the unit leaves open: little, of what a service on the network can do without (0 to 10)."""
    unit = ROOT / "deploy" / "systemd" / "txtoken.service"
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=15", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if "--offline" in done.stderr:
        pytest.skip("this systemd-analyze judges running units alone")
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    assert "Overall exposure level for txtoken.service" in done.stdout
