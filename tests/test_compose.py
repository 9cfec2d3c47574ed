"""What deploy/docker-compose.yml starts is a service that works, and a remote for it. Starts neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from tests.running import KEY
from txtoken.cli import demo
from txtoken.cli.commands import parse
from txtoken.config.read import load
from txtoken.demo.login_api import LOGIN_PATH

ROOT: Final = Path(__file__).parents[1]
USER: Final = 65532  # as the image's


@pytest.fixture
def composed() -> Any:
    """What `docker compose` starts."""
    return yaml.safe_load((ROOT / "deploy" / "docker-compose.yml").read_text())


def test_compose_configures_the_service(composed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is a good configuration, for the published port, and no request that runs is cut at the end."""
    monkeypatch.chdir(tmp_path)
    service = composed["services"]["txtoken"]
    environment = service["environment"]
    (secret,) = service["secrets"]
    assert environment["TXTOKEN_ENC_KEY_FILE"] == f"/run/secrets/{secret}"  # where compose puts it
    (tmp_path / "enc_key").write_text(KEY)
    config = load(None, environment | {"TXTOKEN_ENC_KEY_FILE": "enc_key"})
    assert service["ports"] == [f"{config.process.port}:{config.process.port}"]
    assert config.process.addresses == ("::",)
    assert int(service["stop_grace_period"].removesuffix("s")) > config.timeouts.drain + config.timeouts.drain_delay


def test_compose_starts_the_remote(composed: Any) -> None:
    """The remote is the demo's login API, where the other service has it, and where that one can be reached."""
    remote = urlsplit(composed["services"]["txtoken"]["environment"]["TXTOKEN_REMOTE"])
    login = composed["services"]["login"]
    assert remote.hostname in composed["services"]
    options = parse(login["command"])
    assert (options.command, options.login_only, options.login_port) == (demo.run, "0.0.0.0", remote.port)  # noqa: S104 - it is read, not bound
    assert remote.path == LOGIN_PATH
    assert login["healthcheck"] == {"disable": True}  # the image's own asks for a service


def test_compose_shuts_containers_off(composed: Any) -> None:
    """Nothing runs as root, writes to its root, or may gain a privilege; the secret stays out of the repository."""
    for service in composed["services"].values():
        assert service["user"] == f"{USER}:{USER}"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
    for secret in composed["secrets"].values():
        assert f"deploy/{secret['file']}" in (ROOT / ".gitignore").read_text().splitlines()


def test_compose_asks_for_health(composed: Any) -> None:
    """The health check is the image's own, and begins sooner."""
    check = composed["services"]["txtoken"]["healthcheck"]
    assert set(check) == {"start_period", "start_interval"}
