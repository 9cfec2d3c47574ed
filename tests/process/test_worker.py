"""One process: binding, the signals' meaning, and what it does when its parts fail."""

from __future__ import annotations

import logging
import resource
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from txtoken.config import Config, LogSettings
from txtoken.demo import demo_config
from txtoken.errors import StartError
from txtoken.process.worker import address, bind, with_room


@pytest.fixture
def config() -> Config:
    """A good configuration."""
    return demo_config(0, "http://127.0.0.1:9/login", LogSettings())


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Sockets that are closed at the end."""
    sockets: list[socket.socket] = []
    yield sockets
    for sock in sockets:
        sock.close()


def test_the_kernel_chooses_a_port(config: Config, opened: list[socket.socket]) -> None:
    """Port 0 gives one free port, the same on every address."""
    opened += bind(replace(config, listen=("127.0.0.1", "127.0.0.2")))
    first, second = (sock.getsockname() for sock in opened)
    assert first[0] == "127.0.0.1"
    assert second[0] == "127.0.0.2"
    assert first[1] == second[1] != 0


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize(("listen", "reached_by_v4"), [(("::",), True), (("::", "127.0.0.1"), True), (("::1",), False)])
def test_ipv6(config: Config, opened: list[socket.socket], listen: tuple[str, ...], reached_by_v4: bool) -> None:
    """`::` alone takes IPv4 clients too, and beside an IPv4 address both can be bound."""
    opened += bind(replace(config, listen=listen))
    port = opened[0].getsockname()[1]
    with socket.create_connection(("::1", port), timeout=5):
        pass
    if reached_by_v4:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    assert address(opened[0]).startswith("[")


def test_a_port_in_use(config: Config, opened: list[socket.socket]) -> None:
    """A port that another process has is told, with what to do, and nothing stays bound."""
    opened += bind(replace(config, listen=("127.0.0.2",)))
    taken = opened[0].getsockname()[1]
    with pytest.raises(StartError, match=rf"127\.0\.0\.2:{taken}: the port is in use.*choose another with `port`"):
        bind(replace(config, port=taken, listen=("127.0.0.1", "127.0.0.2")))
    opened += bind(replace(config, port=taken, listen=("127.0.0.1",)))


@pytest.mark.parametrize(
    ("listen", "port", "words"),
    [
        ("192.0.2.1", 0, r"cannot listen on 192\.0\.2\.1:0: this machine does not have that address"),
        ("2001:db8::1", 0, r"cannot listen on \[2001:db8::1\]:0: "),
    ],
)
def test_an_address_that_is_not_ours(config: Config, listen: str, port: int, words: str) -> None:
    """An address of another machine is told as such."""
    with pytest.raises(StartError, match=words):
        bind(replace(config, listen=(listen,), port=port))


def test_localhost(config: Config, opened: list[socket.socket]) -> None:
    """`localhost` is the loopback address."""
    opened += bind(replace(config, listen=("localhost",)))
    assert address(opened[0]).startswith("127.0.0.1:")


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
