"""What commands load, and the CPU time that their start takes. bench/measure/starts.py measures it more precisely."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from bench.measure.starts import GOALS, ratios
from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, PROGRAM, run_command, run_first, service_process
from txtoken.cli.verbs import VERBS

CONFIG: Final = f"encKey: {KEY}\nremote: http://127.0.0.1:9/login\nport: 9\nlisten: 127.0.0.1\n"
CPU_FACTOR_MAX: Final = 2  # of the goals: the machine may do other things meanwhile
USER: Final = {"user": "ada"}
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
    [([], False), (["serve"], False), (["-c", "my.yml"], False), (["demo"], True), (["check"], False)],
    ids=str,
)
def test_garbage_is_not_searched_for_at_first(tmp_path: Path, arguments: list[str], is_enabled: bool) -> None:
    """Commands are loaded without the garbage collector. The service enables it when it has started."""
    code = (
        "import gc, sys\nfrom txtoken.cli import commands\n"
        "commands.run = lambda words: sys.stdout.write(str(gc.isenabled())) and 0\n"
    )
    ran = run_command(tmp_path, *arguments, environment=run_first(tmp_path, code), capture_output=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, str(is_enabled).encode(), b"")


def test_a_start_takes_little_cpu_time(tmp_path: Path) -> None:
    """Short commands, and a service until its first answer, take some times the CPU time of an empty program, and no more."""
    for command, ratio in ratios(tmp_path, rounds=2, program=PROGRAM).items():
        assert ratio <= CPU_FACTOR_MAX * GOALS[command], command


# Writes what is loaded at the end, a file for each process, and whether garbage is collected.
AT_THE_END: Final = """
import gc, os, socket, sys
leave, look_up = os._exit, socket.getaddrinfo
def note_and_leave(code):
    with open({folder!r} + "/" + str(os.getpid()), "w") as file:
        file.write(" ".join([str(gc.isenabled()), *sys.modules]))
    leave(code)
def look_up_internal(name, *arguments, **options):
    if not str(name).endswith(".internal"):
        return look_up(name, *arguments, **options)
    return look_up("127.0.0.1", *arguments, **options) * (2 if name == "two.internal" else 1)
os._exit, socket.getaddrinfo = note_and_leave, look_up_internal
"""
# What aiohttp loads, and nothing else.
DIALLING: Final = {"aiohttp", "yarl", "multidict", "attr", "email", "http.client", "tempfile", "zlib", "pickle"}
# What only some services load, and what only other commands do.
NOT_SERVING: Final = {
    *("cryptography", "ctypes", "jwt", "prometheus_client"),
    *("shtab", "txtoken.cli.init", "txtoken.demo", "txtoken.export"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("remote", "status", "is_dialling"),
    [
        ("http://127.0.0.1:{port}/login", 200, False),
        ("http://one.internal:{port}/login", 200, False),
        ("http://two.internal:{port}/login", 200, True),
        ("http+unix://%2Fnowhere%2Flogin.sock/login", 500, False),
    ],
)
def test_what_a_service_loads(tmp_path: Path, remote: str, status: int, is_dialling: bool, workers: int) -> None:
    """A service loads aiohttp only for a name with several addresses, and nothing that others need. It collects garbage."""
    (notes := tmp_path / "notes").mkdir()
    with contextlib.closing(LoginApi(USER)) as login_api:
        url = remote.format(port=urlsplit(login_api.url).port)
        config = f"port: 0\nlisten: 127.0.0.1\nworkers: {workers}\nencKey: {KEY}\nremote: {url}\n"
        code = run_first(tmp_path, AT_THE_END.format(folder=str(notes)))
        with service_process(tmp_path, "serve", config=config, environment=code) as service:
            served = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_S)
            served.request("POST", "/getToken", b"{}")
            assert served.getresponse().status == status
            served.close()
            service.send(signal.SIGTERM)
            assert service.ended()[0] == 0
    loaded = [set(note.read_text().split()) for note in notes.iterdir()]
    assert len(loaded) == (1 if workers == 1 else workers + 1)
    assert all("True" in modules and not modules & NOT_SERVING for modules in loaded)
    assert sum(modules >= DIALLING for modules in loaded) >= is_dialling
    assert is_dialling or not any(DIALLING & modules for modules in loaded)
