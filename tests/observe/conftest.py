"""What the tests of the log share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, log = logging.getLogger(), logging.getLogger("txtoken")
    before = root.handlers[:], root.level, log.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    log.setLevel(before[2])
