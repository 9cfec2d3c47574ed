"""One process: binding, the signals' meaning, and what it does when its parts fail."""

from __future__ import annotations

import logging
import resource

import pytest

from txtoken.demo import demo_config
from txtoken.process.worker import with_room
from txtoken.settings import Config, LogSettings


@pytest.fixture
def config() -> Config:
    """A good configuration."""
    return demo_config(0, "http://127.0.0.1:9/login", LogSettings())


@pytest.mark.parametrize(
    ("soft", "hard", "asked", "connections"),
    [
        (20_000, 20_000, None, 10_000),
        (1024, 20_000, 10_320, 10_000),
        (1024, resource.RLIM_INFINITY, 10_320, 10_000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, 10_000),
        (1024, 4096, 4096, 4096 - 320),
        (1024, 1024, 1024, 1024 - 320),
        (100, 100, 100, 1),
    ],
)
def test_room_for_clients(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    soft: int,
    hard: int,
    asked: int | None,
    connections: int,
) -> None:
    """A process asks for as many files as it needs; where it does not get them, it lets fewer clients in and says so."""
    calls: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: calls.append(limit[0]))
    assert with_room(config, logging.getLogger("txtoken.test")).limits.connections == connections
    assert calls == ([] if asked is None else [asked])
    assert bool(caplog.records) == (connections < 10_000)
