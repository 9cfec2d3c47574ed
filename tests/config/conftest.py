"""What tests of configurations share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.key_files import write_key_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with keys, which `@` stands for."""
    write_key_files(tmp_path)
    return tmp_path
