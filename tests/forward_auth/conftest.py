"""One stage for all tests of a module: proxies are started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.forward_auth.stage import Stage, staged


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run the service and the upstream."""
    with staged(tmp_path_factory.mktemp("stage")) as running:
        yield running
