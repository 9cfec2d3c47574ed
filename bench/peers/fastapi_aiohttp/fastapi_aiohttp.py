"""The service on FastAPI, with one shared aiohttp session to the remote. The rest is in fastapi_service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from bench.peers.shared.fastapi_service import REMOTE, Post, RemoteFailure, application

CONNECTIONS_MAX: Final = 1024
TIMEOUT: Final = aiohttp.ClientTimeout(total=5)


@contextlib.asynccontextmanager
async def remote() -> AsyncIterator[Post]:
    """Give the way to the remote."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:

        async def post(credentials: dict[str, Any], headers: dict[str, str]) -> tuple[int, bytes]:
            try:
                async with session.post(REMOTE, json=credentials, headers=headers, allow_redirects=False) as reply:
                    return reply.status, await reply.read()
            except (OSError, aiohttp.ClientError) as error:
                raise RemoteFailure from error

        yield post


app = application(remote)
