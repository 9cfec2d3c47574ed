"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from tests.http1.loopback import Go
from tests.running import run


@pytest.fixture(params=["service", "asyncio"])
def go(request: pytest.FixtureRequest) -> Go:
    """Run a coroutine on the service's loop, and once more on asyncio's own."""
    return lambda main: run(main, loop=request.param)
