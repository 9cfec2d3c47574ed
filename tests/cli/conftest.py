"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from txtoken.cli.exit_codes import OK
from txtoken.settings import Config


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in a folder of its own."""
    return Terminal(tmp_path, capsys, monkeypatch)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """What `serve` was asked to run, in place of running it."""
    configs: list[Config] = []

    def serve(config: Config, load: Callable[[], Config], passed: Sequence[int]) -> int:
        configs.append(config)
        return OK

    monkeypatch.setattr("txtoken.process.supervisor.serve", serve)
    return configs
