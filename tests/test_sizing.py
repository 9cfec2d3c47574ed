"""What `deploy/` gives the service fits what clients can make it hold: by docs/how-to/size.md's formula, and by greedy clients.

The clients are those of `scripts/withstand`, for a few seconds.
"""

from __future__ import annotations

import dataclasses
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bench.measure.processes import raise_open_files
from bench.withstand.attack import Attack, Scale
from bench.withstand.battery import judged
from bench.withstand.catalog import CATALOG
from bench.withstand.cli import OPEN_FILES_MIN
from bench.withstand.stage import Attackers, staged
from bench.withstand.subject import deployed_settings
from bench.withstand.verdict import PEAK_KIB_MAX
from tests.running import KEY
from txtoken.config.read import load
from txtoken.settings import KIB, MIB, Config

ROOT: Final = Path(__file__).parents[1]
DEPLOY: Final = ROOT / "deploy"
LIMIT: Final = 256 * MIB
SECONDS: Final = 15.0  # of each kind of greed, at most: it ends when the service has read all that it reads
CLIENTS: Final = 3900
GREED: Final = ("heads", "bodies", "behind", "unread")


def bound(config: Config) -> float:
    """The bytes that a worker takes at most: docs/how-to/size.md."""
    held = config.limits.buffered_bytes + config.remote.connections * config.remote.reply_bytes
    return 45 * MIB + 3.5 * KIB * config.limits.connections + 20 * MIB + 1.5 * held


def sized(settings: dict[str, Any], folder: Path) -> Config:
    """Read these limits as the service does."""
    file = folder / "cfg.yml"
    file.write_text(yaml.safe_dump({"remote": "http://login/", "encKey": KEY, "limits": settings}))
    return load(str(file), {})


def test_kubernetes_fits(tmp_path: Path) -> None:
    """The pod's memory limit is above what its settings can take, and the chart has the same settings."""
    config = sized(deployed_settings()["limits"], tmp_path)
    pod = yaml.safe_load((DEPLOY / "kubernetes" / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["memory"] == "256Mi"
    assert bound(config) <= LIMIT
    chart = yaml.safe_load((DEPLOY / "helm" / "txtoken" / "values.yaml").read_text())
    assert sized(chart["config"]["limits"], tmp_path) == config


def test_compose_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container's memory limit is above what its settings can take; they are those of the pod."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "enc_key").write_text(KEY)
    service = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]["txtoken"]
    config = load(None, service["environment"] | {"TXTOKEN_ENC_KEY_FILE": "enc_key"})
    assert service["mem_limit"] == "256m"
    assert bound(config) <= LIMIT
    pod = sized(deployed_settings()["limits"], tmp_path)
    assert (config.limits, config.remote.connections) == (pod.limits, pod.remote.connections)
    assert config.remote.reply_bytes == pod.remote.reply_bytes


def test_systemd_fits(tmp_path: Path) -> None:
    """The unit's memory limit is above what the defaults can take."""
    unit = (DEPLOY / "systemd" / "txtoken.service").read_text()
    (most,) = re.findall(r"^MemoryMax=(\d+)M$", unit, re.MULTILINE)
    assert bound(sized({}, tmp_path)) <= int(most) * MIB


def test_the_formula_is_documented(tmp_path: Path) -> None:
    """docs/how-to/size.md has the formula's figures, and what comes of them."""
    text = (ROOT / "docs" / "how-to" / "size.md").read_text().partition("## Memory")[2].partition("\n## ")[0]
    assert "(3.5 KiB of memory and a file each)" in (DEPLOY / "prometheus" / "alerts.yml").read_text()
    for part in ("45 MiB", "3.5 KiB × connections", "20 MiB", "1.5 × (bufferedBytes + remoteConnections × replyBytes)"):
        assert part in text
    for config in (sized(deployed_settings()["limits"], tmp_path), sized({}, tmp_path)):
        assert f"| {bound(config) / MIB:.0f} MiB |" in text


@pytest.fixture
def open_files() -> Iterator[None]:
    """Let this process and its children open as many files as they may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        if raise_open_files() < OPEN_FILES_MIN:
            pytest.skip(f"needs {OPEN_FILES_MIN} open files (ulimit -Hn)")
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("open_files")
@pytest.mark.parametrize("name", GREED)
def test_greedy_clients(name: str, tmp_path: Path) -> None:
    """With the pod's own settings 3 900 clients that hold all they can keep it below 256 MiB, and the honest client is served."""
    attack = CATALOG[name]
    assert isinstance(attack, Attack)
    assert attack.plan is not None
    with staged(sys.executable, tmp_path) as stage:
        plan = attack.plan(stage, Scale(SECONDS))
        plan = dataclasses.replace(plan, clients=CLIENTS, reopens=False, until_still=True)
        stage.honest.go(attack.lanes)
        with Attackers(plan, stage.cores.attackers) as attackers:
            done = judged(attackers.wait(), plan, frozenset())
        honest = stage.honest.pause()
        peak_kib = stage.subject.usage().peak_kib
    assert not done.void
    assert done.counts["opened"] >= CLIENTS
    assert peak_kib <= PEAK_KIB_MAX
    assert not honest.failures, honest.reasons
    assert honest.requests
