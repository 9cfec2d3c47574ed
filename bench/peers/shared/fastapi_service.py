"""The service as a Python user would write it first: FastAPI, PyJWT. Only the client of the remote is not chosen here.

Knows both routes of the contract and nothing of limits or metrics.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Final

import jwt
from fastapi import Body, FastAPI, Header
from fastapi.responses import JSONResponse

ALGORITHM: Final = "HS256"
TTL_S: Final = 12 * 3600
BEARER_TTL_S: Final = 300
KEY: Final = os.environ["KEY"]
REMOTE: Final = os.environ["REMOTE"]

# Posts credentials as JSON, with these header fields. Returns the status and the body.
Post = Callable[[dict[str, Any], dict[str, str]], Awaitable[tuple[int, bytes]]]


class RemoteFailure(Exception):
    """The remote could not be asked."""


def application(remote: Callable[[], contextlib.AbstractAsyncContextManager[Post]]) -> FastAPI:
    """Make the application. It keeps one client of the remote as long as it lives."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with remote() as post:
            app.state.post = post
            yield

    app = FastAPI(lifespan=lifespan)

    async def get_token(credentials: Annotated[dict[str, Any], Body()]) -> JSONResponse:
        """Pass the login on and sign what comes back."""
        bearer = jwt.encode({"data": {"service": "bench"}, "exp": int(time.time()) + BEARER_TTL_S}, KEY, ALGORITHM)
        try:
            status, text = await app.state.post(credentials, {"Authorization": f"Bearer {bearer}"})
        except RemoteFailure:
            return JSONResponse({"message": "Remote post failure."}, 500)
        if status != 200:
            return JSONResponse({"message": "Remote post status failure.", "status": status}, 500)
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            return JSONResponse({"message": "Can not unmarshal returned json."}, 500)
        return JSONResponse({"token": jwt.encode({"data": data, "exp": int(time.time()) + TTL_S}, KEY, ALGORITHM)})

    app.add_api_route("/getToken", get_token, methods=["POST"], response_class=JSONResponse)
    app.add_api_route("/checkToken", check_token, methods=["GET", "POST"], response_class=JSONResponse)
    return app


async def check_token(authorization: Annotated[str, Header()] = "") -> JSONResponse:
    """Verify a token and return its claims."""
    token = authorization.removeprefix("Bearer ")
    try:
        complete = jwt.decode_complete(token, KEY, [ALGORITHM], options={"require": ["exp"]})
    except jwt.InvalidTokenError as error:
        return JSONResponse({"error": str(error)}, 401, {"WWW-Authenticate": "Bearer"})
    return JSONResponse(
        {
            "Raw": token,
            "Method": {"Name": ALGORITHM, "Hash": 5},
            "Header": complete["header"],
            "Claims": complete["payload"],
            "Signature": token.rpartition(".")[2],
            "Valid": True,
        }
    )
