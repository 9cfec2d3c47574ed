"""What all tests share, and what decides which build of the service they run against."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.stopwatch import Stopwatch
from txtoken.http1 import turns

ROOT: Final = Path(__file__).parents[1]
INTERPRETED: Final = "interpreted(reason): the test reaches inside in a way that compiled modules do not allow"

# The time of one example says nothing on a busy machine. Examples that failed are no file of the repository.
settings.register_profile("txtoken", deadline=None, database=None)
settings.load_profile("txtoken")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Leave no log open, and no level set, for the tests that come after: the order of tests is nobody's promise."""
    root, log = logging.getLogger(), logging.getLogger("txtoken")
    before = root.handlers[:], root.level, log.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    log.setLevel(before[2])


@pytest.fixture
def service_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Return what captures the service's log, which does not propagate. A service that is started sets its level."""
    log = logging.getLogger("txtoken")
    log.addHandler(caplog.handler)
    yield caplog
    log.removeHandler(caplog.handler)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    """Return the clock that the turns of the loop go by in this test."""
    stopwatch = Stopwatch()
    monkeypatch.setattr(turns, "perf_counter", stopwatch)
    return stopwatch


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--compiled`: the tests are to run against the compiled modules. `scripts/test --compiled` sees to the rest."""
    parser.addoption("--compiled", action="store_true", help="the txtoken that is imported has to be the compiled one")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and make sure that the build is the one that was asked for.

    Raises:
        pytest.UsageError: it is another one.
    """
    config.addinivalue_line("markers", INTERPRETED)
    wrong = modules_of_another_build(is_compiled=config.getoption("--compiled"))
    if wrong:
        raise pytest.UsageError(f"of another build than was asked for: {', '.join(wrong)}")


def modules_of_another_build(*, is_compiled: bool) -> list[str]:
    """Name the modules on a request's way that would not be imported from where they should be."""
    wrong = []
    for source in compiled_modules():
        spec = find_spec(source)
        assert spec is not None
        assert spec.origin is not None
        if is_extension(spec.origin) is not is_compiled:
            wrong.append(f"{source} ({spec.origin})")
    return wrong


def is_extension(file: str | None) -> bool:
    """Whether a module's file is machine code."""
    assert file is not None
    return file.endswith(tuple(EXTENSION_SUFFIXES))


def compiled_modules() -> list[str]:
    """Name the modules that setup.py has compiled."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name("COMPILED")]):
                return [name.removesuffix(".py").replace("/", ".") for name in ast.literal_eval(node.value)]
    raise AssertionError("setup.py has no COMPILED")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what is not for compiled modules, with its reason."""
    marker = item.get_closest_marker("interpreted")
    if marker is None:
        return
    (reason,) = marker.args
    if item.config.getoption("--compiled"):
        pytest.skip(f"interpreted only: {reason}")
