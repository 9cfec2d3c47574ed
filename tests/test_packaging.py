"""What makes the image and the one binary names things that exist. Builds neither."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import pinning
from txtoken.cli import health, serve
from txtoken.cli.commands import parse
from txtoken.cli.verbs import VERBS
from txtoken.config.read import load
from txtoken.version import VERSION

ROOT: Final = Path(__file__).parents[1]
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENTS: Final = sorted((ROOT / "requirements").iterdir())


def instructions(name: str) -> Iterator[str]:
    """Give what follows an instruction, for each of its kind, in order."""
    for line in DOCKERFILE.splitlines():
        word, _, rest = line.partition(" ")
        if word == name:
            yield rest.strip()


def test_what_the_image_copies_is_there() -> None:
    """Every file that the Dockerfile copies is in the repository, and .dockerignore lets it through."""
    copied = {source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]}
    assert "txtoken" in copied
    assert all((ROOT / source).exists() for source in copied)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied
    pins = {name for line in instructions("RUN") for name in re.findall(r"-r (\S+)", line)}
    assert pins == {source for source in copied if source.startswith("requirements/")}


def test_what_the_image_runs() -> None:
    """The image serves, asks for health without a shell, ends by SIGTERM, and runs as non-root."""
    (script,) = PROJECT["project"]["scripts"]
    (entry,) = instructions("ENTRYPOINT")
    assert json.loads(entry) == [script]
    (command,) = instructions("CMD")
    assert parse(json.loads(command)).command is serve.run
    (check,) = instructions("HEALTHCHECK")
    word, *arguments = json.loads(check.partition("CMD ")[2])
    assert (word, parse(arguments).command) == (script, health.run)
    assert "--interval=30s" in check  # each check is a process
    assert list(instructions("STOPSIGNAL")) == ["SIGTERM"]
    assert list(instructions("USER")) == ["65532:65532"]


def test_the_image_has_one_base() -> None:
    """The base image is named once, where `scripts/image --pin` and Dependabot find it, and every stage begins with it."""
    first, *others = instructions("FROM")
    assert re.fullmatch(r"docker\.io/library/python:[\w.-]+(@sha256:[0-9a-f]{64})? AS base", first)
    assert others == ["base AS build", "base"]


def test_what_the_image_says_of_itself() -> None:
    """Labels, port and path are those of the package and its documentation."""
    (label,) = instructions("LABEL")
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', label))
    assert labels == {
        "title": PROJECT["project"]["name"],
        "description": PROJECT["project"]["description"],
        "version": VERSION,
        "licenses": PROJECT["project"]["license"],
    }
    config = load(str(ROOT / "example_cfg.yml"), {})
    assert list(instructions("EXPOSE")) == [str(config.process.port)]
    assert any("CFG_FILE=/config/txtoken.yml" in line for line in instructions("ENV"))


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.name)
def test_requirements_are_complete(file: Path) -> None:
    """Every line of a file is the file it starts from, a version, or one of its hashes: no address, no version without a hash."""
    lines = file.read_text()
    first, _, rest = lines.partition("\n")
    lines = rest if first == "-r run.txt" else lines
    found = pinning.pins(lines)
    assert found
    assert "".join(found) == lines
    name, hashes = r"[\w.-]+==[\w.!+]+( ; [^\\\n]+)?", r"( \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    assert [pin for pin in found if not re.fullmatch(name + hashes, pin)] == []
    assert "://" not in lines


def test_requirements_agree() -> None:
    """A package has one version in all files, or versions for different Pythons, which then are the same ones in each file."""
    versions: dict[str, set[str]] = {}
    for file in REQUIREMENTS:
        here: dict[str, set[str]] = {}
        for name, version in re.findall(r"^([\w.-]+)==([^ ;]+)", file.read_text(), re.MULTILINE):
            here.setdefault(name, set()).add(version)
        for name, found in here.items():
            assert versions.setdefault(name, found) == found, f"{file.name}: {name}"


def test_every_use_is_pinned() -> None:
    """requirements/ has the file of each use, and the run-time dependencies are in run.txt within their bounds."""
    assert {file.stem for file in REQUIREMENTS} == {"run", *pinning.USES, *pinning.ALONE}
    assert {*pinning.USES, *pinning.ALONE} <= set(PROJECT["dependency-groups"])
    run = (ROOT / "requirements" / "run.txt").read_text()
    pinned = {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^ ;]+)", run, re.MULTILINE)
    }
    for wanted in map(Requirement, PROJECT["project"]["dependencies"]):
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)])


def described(folder: Path, address: str = "") -> Message:
    """Give the metadata of the package, made in a folder as a build makes it, with the repository's address."""
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "txtoken", folder / "txtoken", ignore=shutil.ignore_patterns("__pycache__"))
    project = (ROOT / "pyproject.toml").read_text()
    named = re.sub('^address = ".*?"', f'address = "{address}"', project, count=1, flags=re.MULTILINE)
    (folder / "pyproject.toml").write_text(named)
    build = "from setuptools import build_meta; print(build_meta.prepare_metadata_for_build_wheel('.'))"
    said = subprocess.run([sys.executable, "-c", build], cwd=folder, capture_output=True, text=True, check=True).stdout
    return message_from_string((folder / said.splitlines()[-1] / "METADATA").read_text())


def test_metadata(tmp_path: Path) -> None:
    """The metadata says what an index shows; the README in it has no relative link, and no address is made up."""
    metadata = described(tmp_path)
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_all("Project-URL") is None
    text = str(metadata.get_payload())
    assert text.strip().startswith("# txtoken\n")
    assert re.findall(r'\]\((?!https?://).*?\)|\b(?:src|srcset|href)="(?!https?://).*?"', text) == []


def test_metadata_with_an_address(tmp_path: Path) -> None:
    """With the repository's address, links and pictures of the README are those of this version there."""
    at = "https://forge.example/txtoken"
    metadata = described(tmp_path, at)
    assert f"Source, {at}" in metadata.get_all("Project-URL", [])
    text = str(metadata.get_payload())
    links = re.findall(r"(?<!!)\[[^]]*\]\((?!https?://)([^)\s]+)\)", (ROOT / "README.md").read_text())
    assert links
    for link in links:
        assert f"]({at}{link if link.startswith('#') else f'/blob/v{VERSION}/{link}'})" in text
    assert re.findall(r'\]\((?!https?://).*?\)|\b(?:src|srcset|href)="(?!https?://).*?"', text) == []


def test_pythons() -> None:
    """The Pythons that the metadata names are those that wheels are made for, from the oldest that is taken."""
    named = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["project"]["classifiers"]), re.MULTILINE)
    assert PROJECT["tool"]["cibuildwheel"]["build"] == " ".join(f"cp{name.replace('.', '')}-*" for name in named)
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"


def test_what_the_source_distribution_has(tmp_path: Path) -> None:
    """Every file of the repository is in the source distribution, so that its tests run, and what is made of it is not."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is not a clone, or git is not installed")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {file for file in tracked.split("\0") if (ROOT / file).is_file()}
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    listed = set((tmp_path / "txtoken.egg-info" / "SOURCES.txt").read_text().splitlines())
    assert files - listed == set()
    made = subprocess.run(
        ["git", "check-ignore", "--stdin"], cwd=ROOT, input="\n".join(listed - files), capture_output=True, text=True
    )
    assert made.stdout == ""


def test_what_a_wheel_has() -> None:
    """What is no module in the package is among its data, which wheels take: the mark of typed packages is."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    data = {file for file in (ROOT / "txtoken").rglob("*.*") if file.suffix not in {".py", ".pyc", ".so"}}
    assert ROOT / "txtoken" / "py.typed" in data
    assert {file for file in data if not any(fnmatchcase(file.name, pattern) for pattern in patterns)} == set()


def submodules(package: str) -> list[str]:
    """Name all modules of a package, as PyInstaller's function of a longer name does."""
    path = importlib.import_module(package).__path__
    return [module.name for module in pkgutil.walk_packages(path, f"{package}.")]


class Recipe:
    """Runs deploy/binary.spec with stand-ins for PyInstaller, and keeps what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hooks = ModuleType("PyInstaller.utils.hooks")
        hooks.collect_submodules = submodules  # type: ignore[attr-defined] # a module has what one gives it
        hooks.collect_data_files = lambda package: [(str(ROOT / package / "py.typed"), package)]  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "PyInstaller", ModuleType("PyInstaller"))
        monkeypatch.setitem(sys.modules, "PyInstaller.utils", ModuleType("PyInstaller.utils"))
        monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", hooks)
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(ROOT))
        self.scripts: list[str] = []
        self.hidden: list[str] = []
        self.data: list[tuple[str, str]] = []
        self.excluded: list[str] = []
        given = {"Analysis": self._analyse, "PYZ": lambda _: None, "EXE": lambda *_, **__: None}
        runpy.run_path(str(ROOT / "deploy" / "binary.spec"), given)

    def _analyse(self, scripts: list[str], *, hiddenimports: list[str], datas: list[Any], excludes: list[str]) -> Any:
        self.scripts, self.hidden, self.data, self.excluded = scripts, hiddenimports, datas, excludes
        found = ModuleType("found")
        found.pure = found.scripts = found.binaries = found.datas = []  # type: ignore[attr-defined] # see above
        return found


def test_the_binary_has_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that the command line loads by name, and what modules that are compiled import, are in the binary."""
    recipe = Recipe(monkeypatch)
    assert recipe.scripts == [str(ROOT / "txtoken" / "__main__.py")]
    assert {f"txtoken.cli.{verb}" for verb in VERBS} <= set(recipe.hidden)
    assert recipe.data == [(str(ROOT / "txtoken" / "py.typed"), "txtoken")]
    assert {"cryptography", "httptools"} <= {name.partition(".")[0] for name in recipe.hidden}
    assert {"ctypes", "email.utils"} <= set(recipe.hidden)  # loaded by name, when they are needed
    for name in recipe.hidden:
        if name != "uvloop":  # not on every machine
            assert name in sys.modules or importlib.util.find_spec(name), name


def test_the_binary_leaves_out_what_nothing_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out of the binary is nothing that the package imports or depends on."""
    recipe = Recipe(monkeypatch)
    needed = {name.partition(".")[0] for name in recipe.hidden}
    needed |= {re.split(r"[<>=;]", text)[0].lower() for text in PROJECT["project"]["dependencies"]}
    assert recipe.excluded
    assert not needed & set(recipe.excluded)
