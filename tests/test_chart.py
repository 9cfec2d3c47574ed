"""The Helm chart gives the service what it needs: its schema is the service's, and its objects fit the values.

What templates give needs helm, and is skipped without it: `go install helm.sh/helm/v4/cmd/helm@latest`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from tests.certifying import write_authority, write_certificate
from tests.chart import CHART, README, SCHEMA, VALUES, readme, rows, values_schema
from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, clean_environment, service_process
from tests.serving import NOBODY
from txtoken.config.read import load
from txtoken.config.signing_secret import EXAMPLE_KEY
from txtoken.config.table import KEYS
from txtoken.process.reload import FIXED
from txtoken.version import VERSION

SETS: Final = sorted((CHART / "ci").glob("*.yaml"))
NEEDED: Final[Mapping[str, Any]] = {"config": {"remote": "http://login:8080/login"}, "secret": {"existing": "key"}}
HELM: Final = pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed here")


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Put the values of the other over those of the one, as Helm does."""
    both = {**one, **other}
    return {
        name: merged(one[name], value) if isinstance(value, dict) and isinstance(one.get(name), dict) else value
        for name, value in both.items()
    }


def helm(tmp_path: Path, values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Render the chart with what it needs and these values."""
    file = tmp_path / "values.json"
    file.write_text(json.dumps(merged(NEEDED, values)))
    command = ["helm", "template", "--kube-version", "1.30.0", "a", str(CHART), "-f", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def rendered(tmp_path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Render the chart. Returns its objects by kind and name, `a-` left out."""
    done = helm(tmp_path, values)
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    return {f"{one['kind']} {one['metadata']['name'].removeprefix('a-')}": one for one in objects}


def container(objects: Mapping[str, Any]) -> Any:
    """The service's container."""
    return objects["Deployment txtoken"]["spec"]["template"]["spec"]["containers"][0]


# What needs no helm.


def test_the_schema_is_the_service_s() -> None:
    """The schema of `config` is the one that the service has: `scripts/chart` writes it."""
    assert values_schema(SCHEMA.read_text()) == SCHEMA.read_text()


def test_the_readme_explains_every_value() -> None:
    """The README's table is made of the comments of values.yaml, and each value has one: `scripts/chart` writes it."""
    assert readme(README.read_text()) == README.read_text()
    with pytest.raises(ValueError, match="line 4: b has no comment"):
        list(rows("# said\na: 1\n\nb: 2\n"))


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_values_pass_the_schema(values: Path) -> None:
    """Each set of values passes, over the defaults, and none has the example's key."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    text = values.read_text()
    jsonschema.validate(merged(yaml.safe_load(VALUES.read_text()), yaml.safe_load(text)), schema)
    assert EXAMPLE_KEY not in text


@pytest.mark.parametrize(
    "config",
    [{"remot": "http://x/"}, {"limits": {"bodyBytes": "16KB?"}}, {"tls.certFile": "/x"}, {"expHours": "soon"}],
    ids=json.dumps,
)
def test_values_that_the_service_would_refuse(config: dict[str, Any]) -> None:
    """A key that does not exist, or a value of the wrong form, does not get as far as the cluster."""
    values = merged(yaml.safe_load(VALUES.read_text()), merged(NEEDED, {"config": config}))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, json.loads(SCHEMA.read_text()))


def test_the_chart_takes_every_key_that_the_service_takes() -> None:
    """The bounds of a key are the service's."""
    secret = json.loads(SCHEMA.read_text())["properties"]["secret"]["properties"]
    (bounds,) = (key.read.schema for key in KEYS if key.name == "encKey")
    for name in ("encKey", "requestKey"):
        assert secret[name]["anyOf"][1] == {part: bounds[part] for part in ("minLength", "maxLength")}


def test_the_chart_replaces_pods_for_what_they_cannot_reload() -> None:
    """Each key that needs a restart is either in the pod's template or cannot be set."""
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    refused = set(re.findall(r'"(\w+)"', re.search(r"range list (.*?) -}}", helpers)[1]))  # type: ignore[index]
    told = set(re.findall(r"(\S+)={{", helpers))
    assert set(FIXED) <= refused | told
    secrets = {key.name for key in KEYS if key.is_secret}
    assert secrets
    assert secrets <= refused


def run_release_test(environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run what `helm test` runs. Returns its exit code and its lines, up to the addresses."""
    program = (CHART / "files" / "release_test.py").read_text()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment() | dict(environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert not done.stderr
    return done.returncode, [line.partition(": ")[0] for line in done.stdout.splitlines()]


def asked_of(url: str) -> dict[str, str]:
    """What the chart passes to the program about a service."""
    routes = {"GET_TOKEN": "/getToken", "CHECK_TOKEN": "/checkToken"}
    return {"READY_URL": f"{url}/readyz", "SERVICE_URL": url, **routes}


def configuration(remote: str) -> str:
    """A service on a free port."""
    return f"port: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {remote}\n"


def test_helm_test_asks_the_service(tmp_path: Path) -> None:
    """The program passes with a service that works, and sends its remote nothing but what is asked for."""
    api = LoginApi()
    try:
        with service_process(tmp_path, config=configuration(api.url)) as one:
            asked = asked_of(f"http://127.0.0.1:{one.port}")
            code, lines = run_release_test(asked)
            assert (code, api.bearers) == (0, [])
            assert [line[:6] for line in lines] == ["ok    "] * 3
            assert run_release_test({**asked, "ASK_REMOTE": "/getToken"})[0] == 0
            assert len(api.bearers) == 1
    finally:
        api.close()


def test_helm_test_fails(tmp_path: Path) -> None:
    """The program fails where the remote is not there, a route is another one, or nobody listens, and says which it is."""
    with service_process(tmp_path, config=configuration(NOBODY)) as one:
        asked = asked_of(f"http://127.0.0.1:{one.port}")
        code, lines = run_release_test({**asked, "ASK_REMOTE": "/getToken"})
        assert (code, lines[-1]) == (1, "FAILED the remote answers")
        code, lines = run_release_test({**asked, "CHECK_TOKEN": "/getToken"})
        assert (code, lines[1]) == (1, "FAILED a check without a token is refused")
    code, lines = run_release_test(asked)
    assert (code, {line[:6] for line in lines}) == (1, {"FAILED"})


def test_helm_test_asks_by_tls(tmp_path: Path) -> None:
    """A certificate that names another host is no failure: it is the clients' host."""
    made = write_certificate(tmp_path, "tokens.example.com")
    tls = f"tls: {{certFile: {made.certificate}, keyFile: {made.key}}}"
    with service_process(tmp_path, config=f"{configuration(NOBODY)}{tls}\n") as one:
        url = f"https://127.0.0.1:{one.port}"
        assert run_release_test({"READY_URL": f"{url}/readyz"}) == (0, ["ok     it is ready"])


# What templates give.


@HELM
@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_the_chart_renders(values: Path, tmp_path: Path) -> None:
    """With each set of values helm finds nothing to complain of, and pods get a configuration that the service takes."""
    lint = subprocess.run(["helm", "lint", "--strict", CHART, "-f", values], capture_output=True, check=False)
    assert lint.returncode == 0, lint.stdout
    objects = rendered(tmp_path, yaml.safe_load(values.read_text()))
    text = objects["ConfigMap txtoken"]["data"]["txtoken.yml"]
    write_certificate(tmp_path, "tokens.example.com")
    write_authority(tmp_path)
    for name in ("enc_key", "request_key", "first"):
        (tmp_path / name).write_text(KEY)
    for folder in ("/secrets", "/tls"):
        text = text.replace(f"{folder}/", f"{tmp_path}/")
    (tmp_path / "txtoken.yml").write_text(text)
    config = load(str(tmp_path / "txtoken.yml"), {})
    ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    assert ports.pop("http") == config.process.port
    assert ports.pop("metrics", None) == config.process.admin_port
    dedicated = [address for address in config.process.auth_addresses if not address.startswith("127.")]
    assert sorted(ports.values()) == sorted(int(address.rpartition(":")[2]) for address in dedicated)
    pod = objects["Deployment txtoken"]["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container(objects)["volumeMounts"]} <= volumes


REFUSED: Final[Mapping[str, dict[str, Any]]] = {
    "config.port cannot be set": {"config": {"port": 80}},
    "config.encKeyFile cannot be set": {"config": {"encKeyFile": "/x"}},
    "config.remote is required": {"config": {"remote": ""}},
    "a key is required": {"secret": {"existing": ""}},
    "secret.requestKeyName needs": {
        "secret": {"existing": "", "encKey": "only-renders-the-chart-0123456789", "requestKeyName": "x"}
    },
    "secret.encKeyName is required without config.keys": {"secret": {"encKeyName": ""}},
    "would be readable in a ConfigMap: put it": {
        "config": {"keys": [{"kid": "a", "alg": "HS256", "secret": "only-renders-the-chart-0123456789"}]}
    },
    "config.remoteProxy: user and password": {"config": {"remoteProxy": "http://u:p@proxy:3128"}},
    "config.remoteProxyFile: set networkPolicy.remotePorts": {"config": {"remoteProxyFile": "/secrets/proxy"}},
    "config.listen: nothing outside": {"config": {"listen": ["127.0.0.1", "unix:/run/x.sock", "::1"]}},
    "config.tls.clientCaFile needs adminPort": {"adminPort": 0, "config": {"tls": {"clientCaFile": "/tls/ca.crt"}}},
    "config.forwardAuth.listen: port 9090": {"config": {"forwardAuth": {"listen": "0.0.0.0:9090"}}},
    "config.forwardAuth.listen: port 0 ": {"config": {"forwardAuth": [{"listen": "[::]:0"}]}},
    "serviceMonitor needs adminPort": {"adminPort": 0, "serviceMonitor": {"enabled": True}},
    "httpRoute.parentRefs is required": {"httpRoute": {"enabled": True}},
    "'remot' not allowed": {"config": {"remot": "http://login/"}},
    "at '/image/digest'": {"image": {"digest": "sha256:abc"}},
}


@HELM
@pytest.mark.parametrize("message", REFUSED)
def test_values_that_cannot_work(message: str, tmp_path: Path) -> None:
    """They are refused before anything is in the cluster, by a message that names the value."""
    done = helm(tmp_path, REFUSED[message])
    assert done.returncode != 0
    assert message in done.stderr


PORTS: Final[list[tuple[list[int], dict[str, Any]]]] = [
    ([8080], {}),
    ([80], {"config": {"remote": "http://login/"}}),
    ([80], {"config": {"remote": "HTTP://login:?a=b:1"}}),
    ([443], {"config": {"remote": "https://login.example.com?tenant=7:7"}}),
    ([8443], {"config": {"remote": "https://[fd00::7]:8443/login"}}),
    ([443], {"config": {"remote": "https://[fd00::7]/login"}}),
    ([], {"config": {"remote": "http+unix://%2Frun%2Flogin.sock/login"}}),
    ([8080, 443], {"config": {"refresh": {"remote": "https://sessions/again"}}}),
    ([8080], {"config": {"refresh": {"remote": "http://login:8080/again"}}}),
    ([3128], {"config": {"remoteProxy": "http://proxy.internal:3128"}}),
    ([443], {"config": {"remoteProxy": "https://proxy.internal/"}}),
    ([8080], {"config": {"remoteProxy": False}, "extraEnv": [{"name": "HTTP_PROXY", "value": "http://proxy:3128"}]}),
    ([8080, 3128], {"extraEnv": [{"name": "http_proxy", "value": "proxy:3128"}]}),
    ([8080], {"extraEnv": [{"name": "HTTP_PROXY_OF_OTHERS", "value": "http://proxy:3128"}]}),
    ([3000], {"networkPolicy": {"remotePorts": [3000]}}),
    ([3128], {"config": {"remoteProxyFile": "/secrets/proxy"}, "networkPolicy": {"remotePorts": [3128]}}),
]


@HELM
@pytest.mark.parametrize(("ports", "values"), PORTS, ids=lambda value: json.dumps(value))
def test_logins_get_out(ports: list[int], values: dict[str, Any], tmp_path: Path) -> None:
    """The NetworkPolicy opens the way to the remote, or to its proxy, and no other."""
    dns, *rules = rendered(tmp_path, values)["NetworkPolicy txtoken"]["spec"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert [[port["port"] for port in rule["ports"]] for rule in rules] == ([ports] if ports else [])


@HELM
def test_probes_speak_as_the_service_does(tmp_path: Path) -> None:
    """They ask the port that health is on, by TLS where that has it."""
    tls = {"tls": {"certFile": "/tls/tls.crt", "keyFile": "/tls/tls.key"}}
    expected: dict[tuple[str, str | None], dict[str, Any]] = {
        ("metrics", None): {"config": tls},
        ("http", None): {"adminPort": 0},
        ("http", "HTTPS"): {"adminPort": 0, "config": tls},
    }
    for (port, scheme), values in expected.items():
        made = container(rendered(tmp_path, values))
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            get = made[probe]["httpGet"]
            assert (get["port"], get.get("scheme")) == (port, scheme)
    assert "startupProbe" not in container(rendered(tmp_path, {"probes": {"startup": None}}))


@HELM
def test_forward_authentication_is_reached(tmp_path: Path) -> None:
    """Each of its addresses has a port of the pod, of the Service and of the NetworkPolicy; one for the pod alone has none."""
    sections = [{"route": "/", "listen": "[::]:8890"}, {"route": "/a", "listen": "0.0.0.0:8890"}, {"route": "/b"}]
    local = [{"route": "/", "listen": place} for place in ("127.0.0.1:8891", "[::1]:8892", "unix:/run/a.sock")]
    for kind, name in (("ClusterIP", "txtoken"), ("LoadBalancer", "txtoken-internal")):
        objects = rendered(tmp_path, {"config": {"forwardAuth": sections + local}, "service": {"type": kind}})
        ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
        assert ports == {"http": 8888, "metrics": 9090, "auth-8890": 8890}
        reached = {port["targetPort"]: port["port"] for port in objects[f"Service {name}"]["spec"]["ports"]}
        assert (reached["metrics"], reached["auth-8890"]) == (9090, 8890)
        assert objects["Service txtoken"]["spec"]["ports"][0]["port"] == 80
        policy = objects["NetworkPolicy txtoken"]["spec"]["ingress"]
        assert {port["port"] for rule in policy for port in rule["ports"]} == set(ports)
    alone = rendered(tmp_path, {"config": {"forwardAuth": sections[0]}})
    assert {"name": "auth-8890", "containerPort": 8890} in container(alone)["ports"]


@HELM
def test_pods_are_replaced_for_no_other_change(tmp_path: Path) -> None:
    """What running pods reload leaves their template as it is."""
    template = rendered(tmp_path, {})["Deployment txtoken"]["spec"]["template"]
    reloaded = {"expHours": 1, "log": {"level": "warning"}, "forwardAuth": {"route": "/fa"}, "refresh": {}}
    assert rendered(tmp_path, {"config": reloaded})["Deployment txtoken"]["spec"]["template"] == template
    for fixed in ({"listen": "::"}, {"debug": True}, {"tls": {"certFile": "/tls/tls.crt"}}):
        assert rendered(tmp_path, {"config": fixed})["Deployment txtoken"]["spec"]["template"] != template


@HELM
def test_routes_are_those_that_clients_need(tmp_path: Path) -> None:
    """Ingress and HTTPRoute pass the same paths: logins, checks, sessions, and what is named."""
    config = {"checkTokenRoute": "/check", "refresh": {"route": "/again"}, "cookie": {"name": "session"}}
    for values, expected in (
        ({}, ["/getToken", "/checkToken"]),
        ({"config": config}, ["/getToken", "/check", "/again", "/again/end"]),
    ):
        route: dict[str, Any] = {"enabled": True, "extraPaths": ["/jwks"]}
        gateway = {**route, "parentRefs": [{"name": "public"}]}
        objects = rendered(tmp_path, {**values, "ingress": route, "httpRoute": gateway})
        (rule,) = objects["Ingress txtoken"]["spec"]["rules"]
        assert [path["path"] for path in rule["http"]["paths"]] == [*expected, "/jwks"]
        (rule,) = objects["HTTPRoute txtoken"]["spec"]["rules"]
        assert [match["path"]["value"] for match in rule["matches"]] == [*expected, "/jwks"]
        assert rule["backendRefs"] == [{"name": "a-txtoken", "port": 80}]


@HELM
def test_helm_test_reaches_the_service(tmp_path: Path) -> None:
    """The test's pod is no endpoint of the Service, may reach what it asks, and asks for no more than the values allow."""
    objects = rendered(tmp_path, {"networkPolicy": {"clientsFrom": [{"podSelector": {}}]}})
    pod = objects["Pod txtoken-test"]
    labels = pod["metadata"]["labels"]
    selector = objects["Service txtoken"]["spec"]["selector"]
    assert selector.items() - labels.items()
    for rule in objects["NetworkPolicy txtoken"]["spec"]["ingress"]:
        assert any(
            peer["podSelector"].get("matchLabels", {}).items() <= labels.items()
            for peer in rule["from"][1:]
            if "podSelector" in peer
        )
    (one,) = pod["spec"]["containers"]
    compile(one["args"][0], "release_test", "exec")
    assert {item["name"]: item["value"] for item in one["env"]} == {
        "READY_URL": "http://a-txtoken:9090/readyz",
        "SERVICE_URL": "http://a-txtoken:80",
        "CHECK_TOKEN": "/checkToken",
        "GET_TOKEN": "/getToken",
    }
    forwarded = rendered(tmp_path, {"config": {"validateBody": False}})["Pod txtoken-test"]["spec"]["containers"][0]
    assert "GET_TOKEN" not in {item["name"] for item in forwarded["env"]}
    asked = {"test": {"askRemote": True}, "adminPort": 0, "config": {"tls": {"certFile": "/tls/tls.crt"}}}
    (one,) = rendered(tmp_path, asked)["Pod txtoken-test"]["spec"]["containers"]
    env = {item["name"]: item["value"] for item in one["env"]}
    assert (env["READY_URL"], env["ASK_REMOTE"]) == ("https://a-txtoken:80/readyz", "/getToken")


@HELM
def test_one_image(tmp_path: Path) -> None:
    """Tags are the release's or the values', and a digest stands for exactly one image."""
    digest = f"sha256:{'a' * 64}"
    for image, expected in (({}, f":{VERSION}"), ({"tag": "7"}, ":7"), ({"tag": "7", "digest": digest}, f"@{digest}")):
        objects = rendered(tmp_path, {"image": image})
        assert container(objects)["image"] == f"txtoken{expected}"
        assert objects["Pod txtoken-test"]["spec"]["containers"][0]["image"] == f"txtoken{expected}"


@HELM
def test_the_account(tmp_path: Path) -> None:
    """Pods have an account of their own, without a token, or the one that is named."""
    for values, name in (({}, "a-txtoken"), ({"create": False}, "default"), ({"create": False, "name": "x"}, "x")):
        objects = rendered(tmp_path, {"serviceAccount": values})
        pod = objects["Deployment txtoken"]["spec"]["template"]["spec"]
        assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (name, False)
        assert ("ServiceAccount txtoken" in objects) == values.get("create", True)
