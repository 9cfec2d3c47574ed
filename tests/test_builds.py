"""Both builds are tested: the sources, and the modules that are compiled. Which one runs is what was asked for."""

from __future__ import annotations

import ast
import importlib
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import compiled_modules, is_extension
from tests.running import PROGRAM

MARKED_MAX: Final = 0.15  # of all tests may be for the sources alone
FILES: Final = {*Path(__file__).parent.rglob("test_*.py")}


@pytest.mark.parametrize("module", compiled_modules())
def test_the_build_that_was_asked_for(module: str, pytestconfig: pytest.Config) -> None:
    """The tests of a build use that build's modules."""
    assert is_extension(importlib.import_module(module).__file__) is pytestconfig.getoption("--compiled")


@pytest.mark.parametrize("module", compiled_modules())
def test_no_name_is_of_two_kinds_of_error(module: str) -> None:
    """Within a function each kind of error has a name of its own: in a compiled one a name has the type of its first use, and
    another error under it is a TypeError (a login without its subject was answered 500 so).
    """
    source = (Path(__file__).parents[1] / module.replace(".", "/")).with_suffix(".py").read_text()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            kinds: dict[str, set[str]] = {}
            for handler in ast.walk(function):
                if isinstance(handler, ast.ExceptHandler) and handler.name and handler.type:
                    kinds.setdefault(handler.name, set()).add(ast.unparse(handler.type))
            assert all(len(found) == 1 for found in kinds.values()), f"{function.name}: {kinds}"


def test_the_service_is_of_that_build_too(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """A service that the tests start as a process is of the build that is tested."""
    *python, _, _ = PROGRAM
    command = [*python, "-c", "import txtoken.http1.parser as parser; print(parser.__file__)"]
    file = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()
    assert is_extension(file) is pytestconfig.getoption("--compiled")


def test_few_tests_are_for_the_sources_alone(request: pytest.FixtureRequest) -> None:
    """At most 15 % of the tests are not run against the compiled modules."""
    items = request.session.items
    if {item.path for item in items} < FILES:
        pytest.skip("not the whole suite runs")
    marked = [item for item in items if item.get_closest_marker("interpreted")]
    assert len(marked) <= MARKED_MAX * len(items)
