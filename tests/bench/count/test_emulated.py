"""Counting real programs under qemu-user: skipped where it, or the compiler of its plugin, is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from bench.count import build, counting, emulator, plugin
from bench.count.cases import chosen
from bench.count.counters import Counters, Snapshot
from bench.count.emulator import MODELS, Emulator
from bench.count.fingerprint import fingerprint
from bench.count.remote import started_remote
from bench.count.subject import Subject, environment, started_service
from bench.errors import BenchError, Ended, Unavailable
from bench.measure.processes import ROOT

PATIENCE_S = 60.0
PROGRAM = r"""
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **arguments) {
    volatile long sum = 0;
    for (long left = atol(arguments[1]); left; left--) sum += left;
    for (int left = 7; left; left--) getppid();
    return count - 2;
}
"""


@pytest.fixture(scope="module")
def here() -> Emulator:
    """Return this machine's emulator."""
    if platform.machine() not in MODELS:
        pytest.skip(f"nothing is known of {platform.machine()}")
    try:
        return emulator.emulator(platform.machine(), None)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def program(here: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program that does as much as it is told."""
    folder = tmp_path_factory.mktemp("program")
    source, made = folder / "program.c", folder / "program"
    source.write_text(PROGRAM)
    subprocess.run(["cc", "-O1", "-o", str(made), str(source)], check=True, timeout=PATIENCE_S)
    return made


def counted(here: Emulator, folder: Path, *command: str | Path) -> Snapshot:
    """Run a program to its end and return what it executed."""
    with Counters(folder / "counters") as counters:
        whole = here.command(counters.path, environment(0), command)
        subprocess.run(whole, check=True, timeout=PATIENCE_S)
        return counters.read()


def test_exact(here: Emulator, program: Path, tmp_path: Path) -> None:
    """The same work is counted exactly alike, twice as much work as twice as much, and each system call once."""
    if not here.fixes_addresses:
        pytest.skip("this machine does not let programs have fixed addresses")
    one, again, more, most = (counted(here, tmp_path, program, str(times)) for times in (1000, 1000, 2000, 4000))
    assert one == again
    assert more.instructions - one.instructions >= 1000
    assert most.instructions - more.instructions == 2 * (more.instructions - one.instructions)
    getppid = {"x86_64": 110, "aarch64": 173}[here.arch]
    assert one.system_calls[getppid] == 7
    assert most.system_calls == one.system_calls


@pytest.mark.parametrize("api", [1, 2])
def test_both_interfaces(here: Emulator, api: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The plugin compiles without a warning for old and new versions of QEMU, once."""
    assert here.plugin.exists()
    monkeypatch.setattr(plugin, "CACHE", tmp_path / "cache")
    made = plugin.built(api)
    before = made.stat().st_mtime_ns
    assert plugin.built(api) == made
    assert made.stat().st_mtime_ns == before


def test_service(here: Emulator, tmp_path: Path) -> None:
    """The service is counted under conditions that it says itself; one that dies meanwhile is an error that says so."""
    conditions = fingerprint(here, build.sources(ROOT), environment(0), "a test")
    assert (conditions.arch, conditions.cpu, conditions.counting) == (here.arch, here.model, "a test")
    assert conditions.python.startswith(platform.python_version())
    assert {"httptools", "orjson", "aiohttp", "PyJWT"} <= conditions.wheels.keys()

    plan = counting.Plan(starts=1, warm_up=5, requests=20)
    login, check = counting.count(here, build.sources(ROOT), chosen(["login", "check"], None), plan)
    assert login.instructions > check.instructions > 1000
    assert login.system_calls.keys() - {"clock_gettime"}
    assert check.spread < 0.2


def test_service_that_dies(here: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that dies in the middle is an error that says how it ended, not a figure."""
    plan = counting.Plan(starts=1, warm_up=1, requests=5)
    at_rest = Subject.at_rest

    def kill(subject: Subject) -> Snapshot:
        found = at_rest(subject)
        os.kill(subject.process.pid, 9)
        return found

    monkeypatch.setattr(Subject, "at_rest", kill)
    with pytest.raises(Ended, match="ended with -9"):
        counting.count(here, build.sources(ROOT), chosen(["check"], None), plan)


def test_service_that_does_not_start(here: Emulator) -> None:
    """A service that refuses its configuration is an error with what it says."""
    with (
        started_remote(b"{}") as remote,
        pytest.raises(BenchError, match=r"ended with 78.*tokenBytes"),
        started_service(here, build.sources(ROOT), 0, remote.url, {"limits.tokenBytes": "none"}),
    ):
        pass


def test_no_txtoken(here: Emulator, tmp_path: Path) -> None:
    """An interpreter without txtoken is an error that says what is missing."""
    interpreter = shutil.which("python3", path="/usr/bin") or pytest.skip("there is no other Python")
    with pytest.raises(BenchError, match=r"has no txtoken that runs in .*No module named 'txtoken'"):
        fingerprint(here, build.installed(Path(interpreter)), environment(0), "a test")
    with pytest.raises(BenchError, match="there is no interpreter"):
        build.installed(tmp_path / "python")


def test_no_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without qemu-user nothing is counted, and the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="qemu-x86_64 is missing: apt-get install qemu-user"):
        emulator.emulator("x86_64", _root(tmp_path))


def test_static_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A qemu-user without plugins is named as what it is."""
    static = tmp_path / "qemu-arm"
    static.write_text("#!/bin/sh\necho qemu-arm version 7.2.0\n")
    static.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="takes no plugins, as a static one does not"):
        emulator.emulator("armv7l", _root(tmp_path))


def test_no_compiler(here: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a C compiler the error says what to install."""
    monkeypatch.setattr(plugin, "CACHE", tmp_path / "cache")
    (tmp_path / here.program.name).symlink_to(here.program)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"a C compiler is missing, .*: apt-get install gcc"):
        emulator.emulator(here.arch, None)


def test_root(tmp_path: Path) -> None:
    """Another architecture needs a root, which has to be one, and complete."""
    other = next(arch for arch in MODELS if arch != platform.machine())
    with pytest.raises(BenchError, match=f"{other} needs --root"):
        emulator.emulator(other, None)
    with pytest.raises(BenchError, match="is not the root of a system"):
        emulator.emulator(other, tmp_path)
    with pytest.raises(BenchError, match="has no usr/bin/python3: make it with scripts/foreign-root"):
        build.of_root(tmp_path, ROOT)
    for name, text in ((build.PROGRAM, ""), (build.WHEELS / "a", ""), (build.PINS, "other pins")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(BenchError, match=r"has not what requirements/run\.txt wants: run scripts/foreign-root again"):
        build.of_root(tmp_path, ROOT)
    with pytest.raises(BenchError, match="nothing is known of the architecture m68k"):
        emulator.emulator("m68k", tmp_path)


def test_counters_begin_at_nothing(tmp_path: Path) -> None:
    """Counters begin at nothing."""
    with Counters(tmp_path / "counters") as counters:
        assert counters.read() == Snapshot(0, Counter())


def _root(folder: Path) -> Path:
    (folder / "usr").mkdir()
    return folder
