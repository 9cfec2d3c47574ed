"""Figures that stand in several texts have one source: the objects of deploy/kubernetes, the systemd unit, and the service's own
defaults. Everything else that says them is held to these.

The chart repeats the objects of deploy/kubernetes: tests/test_deploy.py compares the two.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from txtoken.config.table import KEYS
from txtoken.http1.acceptor import LISTEN_BACKLOG

ROOT: Final = Path(__file__).parents[1]
DEPLOY: Final = ROOT / "deploy"
DOCS: Final = "README.md docs/**/*.md"
POD_ROW: Final = r"^\| `kubernetes/`[^|]*\|"  # of the table of limits and memory

# Where figures stand: files, and a pattern whose groups are named as the figures.
PLACES: Final = (
    ("Dockerfile", r"^USER (?P<user>\d+):(?P<user_>\d+)$"),
    ("Dockerfile", r"^EXPOSE (?P<port>\d+)$"),
    ("deploy/docker-compose.yml", r'^  user: "(?P<user>\d+):(?P<user_>\d+)"$'),
    ("deploy/docker-compose.yml", r"^    mem_limit: (?P<memory_mib>\d+)m$"),
    ("deploy/docker-compose.yml", r"^    stop_grace_period: (?P<grace_s>\d+)s"),
    ("deploy/docker-compose.yml", r'LIMITS_CONNECTIONS: "(?P<connections>\d+)"$'),
    ("deploy/docker-compose.yml", r"LIMITS_BUFFERED_BYTES: (?P<buffered_mib>\d+)MiB$"),
    ("deploy/docker-compose.yml", r'LIMITS_REMOTE_CONNECTIONS: "(?P<remote_connections>\d+)"$'),
    ("deploy/docker-compose.yml", r"LIMITS_REPLY_BYTES: (?P<reply_kib>\d+)KiB$"),
    ("deploy/systemd/txtoken.service", r"^TimeoutStopSec=(?P<grace_s>\d+)$"),
    ("deploy/systemd/txtoken.socket", r"^Backlog=(?P<backlog>\d+)$"),
    ("deploy/systemd/txtoken.socket", r"^ListenStream=(?P<port>\d+)$"),
    ("bench/withstand/verdict.py", r"^PEAK_KIB_MAX: Final = (?P<memory_mib>\d+) \* 1024$"),
    (DOCS, rf"{POD_ROW} (?P<connections>[\d,]+) \| (?P<buffered_mib>\d+) MiB \|"),
    (DOCS, rf"{POD_ROW} [^|]*\|[^|]*\| (?P<remote_connections>\d+) × (?P<reply_kib>\d+) KiB \|"),
    (DOCS, rf"{POD_ROW} .* (?P<memory_mib>\d+) MiB \|$"),
    (DOCS, r"^\| `systemd/`.* (?P<unit_memory_mib>\d+) MiB \|$"),
    (DOCS, r"`terminationGracePeriodSeconds: (?P<grace_s>\d+)`"),
    (DOCS, r"`TimeoutStopSec=(?P<grace_s>\d+)`"),
    (DOCS, r"the (?P<cpu_m>\d+)m that a pod requests"),
    (DOCS, r"pods of (?P<cpu_m>\d+)m"),
    (DOCS, r"so (?P<idle_mib>\d+) MiB are a good request"),
)


def objects(name: str) -> Any:
    """Read an object of deploy/kubernetes."""
    return yaml.safe_load((DEPLOY / "kubernetes" / name).read_text())


def number(text: object, unit: str) -> int:
    """Read a figure that has this unit."""
    found = re.fullmatch(rf"(\d+){unit}", str(text))
    assert found, (text, unit)
    return int(found[1])


@pytest.fixture(scope="module")
def figures() -> dict[str, int]:
    """Read every figure at its source."""
    pod = objects("deployment.yaml")["spec"]["template"]["spec"]
    resources = pod["containers"][0]["resources"]
    limits = yaml.safe_load(objects("configmap.yaml")["data"]["txtoken.yml"])["limits"]
    unit = (DEPLOY / "systemd" / "txtoken.service").read_text()
    (unit_memory,) = re.findall(r"^MemoryMax=(\d+)M$", unit, re.MULTILINE)
    (port,) = (key.default for key in KEYS if key.name == "port")
    assert isinstance(port, int)
    return {
        "memory_mib": number(resources["limits"]["memory"], "Mi"),
        "idle_mib": number(resources["requests"]["memory"], "Mi"),
        "cpu_m": number(resources["requests"]["cpu"], "m"),
        "grace_s": pod["terminationGracePeriodSeconds"],
        "user": pod["securityContext"]["runAsUser"],
        "connections": limits["connections"],
        "remote_connections": limits["remoteConnections"],
        "buffered_mib": number(limits["bufferedBytes"], "MiB"),
        "reply_kib": number(limits["replyBytes"], "KiB"),
        "unit_memory_mib": int(unit_memory),
        "backlog": LISTEN_BACKLOG,
        "port": port,
    }


def texts(patterns: str) -> list[str]:
    """Read the files that these patterns name."""
    return [path.read_text() for pattern in patterns.split() for path in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize(("files", "pattern"), PLACES)
def test_figures_agree(files: str, pattern: str, figures: dict[str, int]) -> None:
    """Each of these places exists, and says what the source says."""
    found = [match.groupdict() for text in texts(files) for match in re.finditer(pattern, text, re.MULTILINE)]
    assert found, f"no {pattern} in {files}: where does it stand now?"
    for match in found:
        said = {name.rstrip("_"): int(text.replace(",", "")) for name, text in match.items()}
        assert said == {name: figures[name] for name in said}


def test_users_are_one(figures: dict[str, int]) -> None:
    """User, group and the group of files are one number, which is not 0."""
    context = objects("deployment.yaml")["spec"]["template"]["spec"]["securityContext"]
    assert {context[name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {figures["user"]}
    assert figures["user"] > 1000


def test_the_load_of_a_pod_follows(figures: dict[str, int]) -> None:
    """What a pod can bear is what its CPU and the cost of a request make, to two digits."""
    text = " ".join(" ".join(texts(DOCS)).split())
    (costs,) = re.findall(r"Plan with (\d+) µs a login and (\d+) µs a check, and with (\d+) % of the CPU", text)
    login_us, check_us, percent = map(int, costs)
    (said,) = re.findall(r"that is ([\d,]+) logins/s or ([\d,]+) checks/s a pod", text)
    for cost_us, rate in zip((login_us, check_us), said, strict=True):
        expected = figures["cpu_m"] / 1000 * percent / 100 / cost_us * 1e6
        assert int(rate.replace(",", "")) == pytest.approx(expected, rel=0.01)
