"""The remote after a reload: made anew when anything of it has changed, and the old one put to rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests.configuring import changed, revealed
from tests.running import run
from tests.service.faulty_remote import FaultyRemote, good, silent, turning
from tests.serving import Served, configuration, serving
from txtoken.settings import Config, RemoteProxy, RemoteSettings, RemoteTls, Secret

OTHER_KEY: Final = Secret(b"another-key-for-the-remote-0123456789")


@asynccontextmanager
async def served_by(folder: Path, faulty: FaultyRemote, text: str = "") -> AsyncIterator[tuple[Served, Config]]:
    """Serve with this remote."""
    config = configuration(folder, text, faulty.url)
    async with serving(config) as served:
        yield served, config


async def log_in(served: Served) -> int:
    """Log in once, and return the status."""
    return (await served.ask("POST", "/getToken", body=b"{}")).status


CHANGES: Final[dict[str, Any]] = {
    "url": "http://127.0.0.1:9/other",
    "request_key": OTHER_KEY,
    "request_token_data": b'{"role":"other"}',
    "request_token_s": 77,
    "proxy": RemoteProxy("http://127.0.0.1:9"),
    "tls": RemoteTls(server_name="login.example"),
    "success_statuses": frozenset((200, 201)),
    "reply_bytes": 5,
    "connections": 5,
    "waiting": 5,
    "connect_s": 0.7,
    "timeout_s": 0.7,
    "idle_s": 0.7,
}


def test_every_setting_has_a_change() -> None:
    """No setting of the remote is left out below."""
    assert set(CHANGES) == {field.name for field in fields(RemoteSettings)}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_another_remote(tmp_path: Path, change: str) -> None:
    """Whatever of the remote has changed, another one is made, with that; anything else leaves it and its connections."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, served_by(tmp_path, faulty) as (served, config):
            before = served.worker._app.remote
            served.worker.take_over(changed(config, issue__ttl_s=77))
            assert served.worker._app.remote is before
            new = changed(config, remote=replace(config.remote, **{change: CHANGES[change]}))
            served.worker.take_over(new)
            assert served.worker._app.remote is not before
            assert served.worker._app.remote.settings == new.remote != config.remote

    run(main())


def test_a_rotated_request_key_is_used(tmp_path: Path) -> None:
    """After a reload with another `requestKey` the remote sees bearers of that key, on a connection of its own."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, served_by(tmp_path, faulty) as (served, config):
            assert await log_in(served) == 200
            served.worker.take_over(changed(config, remote__request_key=OTHER_KEY))
            assert await log_in(served) == 200
            bearers = [
                request.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode() for _, request in faulty.requests
            ]
            for bearer, key in zip(bearers, (config.remote.request_key, OTHER_KEY), strict=True):
                assert jwt.decode(bearer, revealed(key), ["HS256"])["data"] == {}
            assert [number for number, _ in faulty.requests] == [0, 1]

    run(main())


def test_a_retired_remote_is_closed(tmp_path: Path) -> None:
    """The connections of a remote that a reload has replaced are closed, though nobody uses them any more."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, served_by(tmp_path, faulty) as (served, config):
            assert await log_in(served) == 200
            before = served.worker._app.remote
            served.worker.take_over(changed(config, remote__request_key=OTHER_KEY))
            await faulty.peers[0].ended()
            await turning(lambda: not served.worker._app._retired and not served.worker._app.closing)
            assert before.open_count == 0
            assert await log_in(served) == 200

    run(main())


def test_the_deadlines_of_a_retired_remote(tmp_path: Path) -> None:
    """A login that a replaced remote does not answer ends at its deadline, and the connection with it."""

    async def main() -> None:
        async with (
            FaultyRemote(silent, good).listening() as faulty,
            served_by(tmp_path, faulty, "timeouts: {remote: 0.3}") as (served, config),
        ):
            login = asyncio.ensure_future(log_in(served))
            await faulty.requested(1)
            served.worker.take_over(changed(config, remote__request_key=OTHER_KEY))
            assert await log_in(served) == 200
            assert not login.done()
            assert await login == 500
            await faulty.peers[0].ended()
            await turning(lambda: not served.worker._app._retired)

    run(main())
