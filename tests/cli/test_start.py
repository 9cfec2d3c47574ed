"""What short commands load, and the CPU time that their start takes. bench/measure/starts.py measures it more precisely."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest

from bench.measure.starts import GOALS, ratios
from tests.running import KEY, PROGRAM, run_command, run_first
from txtoken.cli.verbs import VERBS

CONFIG: Final = f"encKey: {KEY}\nremote: http://127.0.0.1:9/login\nport: 9\nlisten: 127.0.0.1\n"
CPU_FACTOR_MAX: Final = 2  # of the goals: the machine may do other things meanwhile
SERVICE: Final = {"aiohttp", "asyncio", "cryptography", "httptools", "jwt", "txtoken.process", "txtoken.service.app"}
SLOW: Final = {
    "argparse",
    "dataclasses",
    "orjson",
    "_ssl",
    "typing",
    "http.client",
    "shtab",
    "difflib",
    "encodings.idna",
}


@pytest.mark.parametrize(
    ("arguments", "verbs", "not_loaded"),
    [
        (["--version"], set(), SLOW | {"yaml", "socket"}),
        (["health", "--url", "http://127.0.0.1:9"], set(), SLOW | {"yaml"}),
        (["health"], set(), SLOW),
        (["health", "--output", "json"], {"health"}, {"_ssl", "http.client", "shutil"}),
        (["--help"], set(), {"orjson", "yaml", "txtoken.config", "_ssl"}),
        (["check"], {"check"}, {"_ssl", "shutil", "shtab", "txtoken.config.revocation_file"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_needed_is_not_loaded(
    tmp_path: Path, arguments: list[str], verbs: set[str], not_loaded: set[str]
) -> None:
    """A command loads its own verb at most, no part of the service, and nothing slow that it can do without."""
    loaded = tmp_path / "loaded"
    code = (
        "import atexit, sys\nbefore = {*sys.modules}\n"
        f"atexit.register(lambda: open({str(loaded)!r}, 'w').write(' '.join({{*sys.modules}} - before)))\n"
    )
    (tmp_path / "example_cfg.yml").write_text(CONFIG)
    run_command(tmp_path, *arguments, environment=run_first(tmp_path, code), stdout=subprocess.DEVNULL)
    modules = set(loaded.read_text().split())
    assert "txtoken.cli.main" in modules
    assert {verb for verb in VERBS if f"txtoken.cli.{verb}" in modules} == verbs
    assert not modules & (SERVICE | not_loaded)


@pytest.mark.parametrize(
    ("arguments", "is_enabled"),
    [([], True), (["serve"], True), (["-c", "my.yml"], True), (["demo"], True), (["check"], False), (["help"], False)],
    ids=str,
)
def test_a_service_collects_garbage(tmp_path: Path, arguments: list[str], is_enabled: bool) -> None:
    """Only commands that end soon run without the garbage collector."""
    code = (
        "import gc, sys\nfrom txtoken.cli import commands\n"
        "commands.run = lambda words: sys.stdout.write(str(gc.isenabled())) and 0\n"
    )
    ran = run_command(tmp_path, *arguments, environment=run_first(tmp_path, code), capture_output=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, str(is_enabled).encode(), b"")


def test_a_start_takes_little_cpu_time(tmp_path: Path) -> None:
    """Short commands take a few times the CPU time of an empty program, and no more."""
    for command, ratio in ratios(tmp_path, rounds=2, program=PROGRAM).items():
        assert ratio <= CPU_FACTOR_MAX * GOALS[command], command
