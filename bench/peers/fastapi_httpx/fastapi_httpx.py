"""The service on FastAPI, with one shared httpx client to the remote. The rest is in fastapi_service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx

from bench.peers.shared.fastapi_service import REMOTE, Post, RemoteFailure, application

LIMITS: Final = httpx.Limits(max_connections=256, max_keepalive_connections=256)
TIMEOUT_S: Final = 5.0


@contextlib.asynccontextmanager
async def remote() -> AsyncIterator[Post]:
    """Give the way to the remote."""
    async with httpx.AsyncClient(limits=LIMITS, timeout=TIMEOUT_S) as client:

        async def post(credentials: dict[str, Any], headers: dict[str, str]) -> tuple[int, bytes]:
            try:
                reply = await client.post(REMOTE, json=credentials, headers=headers)
            except httpx.HTTPError as error:
                raise RemoteFailure from error
            return reply.status_code, reply.content

        yield post


app = application(remote)
