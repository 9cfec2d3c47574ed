"""The proxies' files in deploy/ and in docs/how-to/forward-auth.md are what `txtoken export` prints for deploy/forward-auth.yml.

Where this fails after a change of txtoken/export/ or of that configuration, `scripts/exports` writes all of them anew.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from tests.configuring import load_text
from tests.exported import ASKED, CONFIGURATION, DOCUMENT, DOOR, FILES, ROOT, document, files, named, site
from txtoken.export.proxies import WRITERS
from txtoken.export.site import Site
from txtoken.settings import CookieSettings

GATEWAY: Final = ROOT / "deploy" / "kubernetes" / "gateway-api"
# Where the schemas of these objects stand in the Go modules of their projects.
SCHEMAS: Final = {
    "HTTPRoute": ("sigs.k8s.io/gateway-api@*", "config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml"),
    "SecurityPolicy": (
        "github.com/envoyproxy/gateway@*",
        "charts/**/generated/gateway.envoyproxy.io_securitypolicies.yaml",
    ),
    "ClientTrafficPolicy": (
        "github.com/envoyproxy/gateway@*",
        "charts/**/generated/gateway.envoyproxy.io_clienttrafficpolicies.yaml",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files(name: str) -> None:
    """Each file holds what is exported."""
    assert (ROOT / name).read_text() == files()[name]


def test_the_document() -> None:
    """The document has a block for each file, and it holds the same."""
    text = DOCUMENT.read_text()
    assert sorted(named(text)) == sorted(FILES)
    assert document(text) == text


def test_every_proxy_has_a_file() -> None:
    """What can be exported is in deploy/."""
    assert {proxy for proxy, _ in FILES.values()} == set(WRITERS)


def variant(section: str, **changes: object) -> Site:
    """Change what a section says."""
    whole = site(section)
    return replace(whole, asked=replace(whole.asked, **changes))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("proxy", WRITERS)
def test_no_claims_are_named_where_there_are_none(proxy: str) -> None:
    """Without `headers` nothing is copied, and nothing is left half written."""
    text = WRITERS[proxy](variant(ASKED, headers=()))
    assert "X-Auth-Request-User:" not in text
    assert "x-auth-request-user" not in text
    assert "copy_headers" not in text
    if proxy in ("traefik", "envoy", "gateway-api"):
        assert yaml.safe_load(text)


@pytest.mark.parametrize("proxy", WRITERS)
def test_the_cookie_is_asked_for_where_it_counts(proxy: str) -> None:
    """Where headers are listed that go to txtoken, the cookie's is among them when a token may stand there, and else is not."""
    with_cookie = WRITERS[proxy](variant(ASKED, places=("header", "cookie")))
    for without in (variant(ASKED, places=("header",)), replace(site(ASKED), cookie=CookieSettings())):
        if proxy in ("nginx", "caddy", "haproxy-lua"):  # which send all, or are told by an argument
            assert WRITERS[proxy](without) == with_cookie
        else:
            assert re.sub(r"(?i)\n *- (exact: )?cookie(?=\n)| cookie(?=\n)| -(?=\n)", "", with_cookie) == re.sub(
                r" -(?=\n)", "", WRITERS[proxy](without)
            )


@pytest.mark.parametrize("proxy", ["nginx", "caddy", "haproxy", "envoy", "traefik"])
def test_a_clients_own_copies_go_first(proxy: str) -> None:
    """Where the order is ours, a client's own copies are removed, and that before txtoken is asked."""
    text = WRITERS[proxy](site(DOOR if proxy == "envoy" else ASKED))
    removes, asks = {
        "nginx": ("proxy_set_header X-Auth-Request-User", "proxy_pass http://127.0.0.1:8000"),
        "caddy": ("request_header -X-Auth-Request-User", "forward_auth "),
        "haproxy": ("lua.forward_auth http://", "default_backend"),
        "envoy": ("- remove: x-auth-request-user", "ext_authz"),
        "traefik": ("[forward-auth-clean, ", "forward-auth]"),
    }[proxy]
    assert 0 < text.index(removes) < text.index(asks)


def test_the_configuration_runs(tmp_path: Path) -> None:
    """The one configuration is good, and warns of nothing but its key, which everybody knows."""
    config = load_text(tmp_path, CONFIGURATION.read_text())
    assert len(config.forward_auth) == 3
    (warning,) = config.warnings
    assert "is public" in warning


def modules() -> Path | None:
    """Where Go keeps modules, if there is Go."""
    go = shutil.which("go")
    if go is None:
        return None
    return Path(subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip())


def schema_of(kind: str) -> dict[str, Any]:
    """Find the schema of an object, or skip the test."""
    module, file = SCHEMAS[kind]
    cache = modules()
    found = sorted(path for folder in sorted(cache.glob(module)) for path in folder.glob(file)) if cache else []
    if not found:
        pytest.skip(
            f"the schema of {kind} is missing: go mod download {module.replace('*', 'latest')}, outside of a module"
        )
    definition = yaml.safe_load(found[-1].read_text())
    (version,) = [version for version in definition["spec"]["versions"] if version["storage"]]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def closed(schema: Any) -> Any:
    """Allow nothing that a schema does not name, as `kubectl apply` with strict validation does."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items() if not name.startswith("x-")}
    if "properties" in made and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def objects() -> Iterator[Any]:
    """Read every object."""
    for path in sorted(GATEWAY.glob("*.yaml")):
        yield from (pytest.param(value, id=value["kind"]) for value in yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("value", [*objects()])
def test_objects_fit_their_schemas(value: dict[str, Any]) -> None:
    """Each object of the gateways is what its project's schema allows."""
    schema = closed(schema_of(value["kind"]))
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.Draft7Validator(schema).validate(value)
    with pytest.raises(jsonschema.ValidationError):  # so that it is known to look
        jsonschema.Draft7Validator(schema).validate({**value, "spec": {**value["spec"], "nothing": 1}})
