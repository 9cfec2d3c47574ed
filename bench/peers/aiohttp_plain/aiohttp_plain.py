"""The service as aiohttp's documentation would have it: its server, one ClientSession, PyJWT, on uvloop.

Knows both routes of the contract and nothing of limits or metrics.
"""

from __future__ import annotations

import json
import os
import time
from typing import Final

import aiohttp
import jwt
import uvloop
from aiohttp import web

ALGORITHM: Final = "HS256"
TTL_S: Final = 12 * 3600
BEARER_TTL_S: Final = 300
KEY: Final = os.environ["KEY"]
REMOTE: Final = os.environ["REMOTE"]
SESSION: Final = web.AppKey("session", aiohttp.ClientSession)


class Bearer:
    """The token that is shown to the remote: signed once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def text(self) -> str:
        """Return it for now."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            claims = {"data": {"service": "bench"}, "exp": now + BEARER_TTL_S}
            self._text = "Bearer " + jwt.encode(claims, KEY, ALGORITHM)
        return self._text


BEARER: Final = Bearer()


def failure(message: str, status: int = 500) -> web.Response:
    """Make an answer that says what went wrong."""
    return web.json_response({"message": message}, status=status)


async def get_token(request: web.Request) -> web.Response:
    """Pass the login on and sign what comes back."""
    body = await request.read()
    try:
        json.loads(body)
    except ValueError:
        return failure("Request body is not valid JSON.", 400)
    headers = {"Authorization": BEARER.text(), "Content-Type": "application/json"}
    try:
        async with request.app[SESSION].post(REMOTE, data=body, headers=headers, allow_redirects=False) as reply:
            if reply.status != 200:
                return failure("Remote post status failure.")
            text = await reply.read()
    except (OSError, aiohttp.ClientError):
        return failure("Remote post failure.")
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        return failure("Can not unmarshal returned json.")
    return web.json_response({"token": jwt.encode({"data": data, "exp": int(time.time()) + TTL_S}, KEY, ALGORITHM)})


async def check_token(request: web.Request) -> web.Response:
    """Verify a token and return its claims."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        complete = jwt.decode_complete(token, KEY, [ALGORITHM], options={"require": ["exp"]})
    except jwt.InvalidTokenError as error:
        return web.json_response({"error": str(error)}, status=401, headers={"WWW-Authenticate": "Bearer"})
    return web.json_response(
        {
            "Raw": token,
            "Method": {"Name": ALGORITHM, "Hash": 5},
            "Header": complete["header"],
            "Claims": complete["payload"],
            "Signature": token.rpartition(".")[2],
            "Valid": True,
        }
    )


async def application() -> web.Application:
    """Make the application, with its session."""
    app = web.Application()
    connector = aiohttp.TCPConnector(limit=256)
    app[SESSION] = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=5))
    app.router.add_post("/getToken", get_token)
    app.router.add_get("/checkToken", check_token)
    app.router.add_post("/checkToken", check_token)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(
        application(),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ["PORT"]),
        access_log=None,
        print=None,
        backlog=4096,
        keepalive_timeout=75,
        loop=uvloop.new_event_loop(),
    )
