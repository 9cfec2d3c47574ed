"""The service as a Python user would write it first: FastAPI on uvicorn, one shared httpx client, PyJWT.

Knows both routes of the contract and nothing of limits or metrics.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import httpx
import jwt
from fastapi import Body, FastAPI, Header
from fastapi.responses import JSONResponse

ALGORITHM: Final = "HS256"
TTL_S: Final = 12 * 3600
BEARER_TTL_S: Final = 300
KEY: Final = os.environ["KEY"]
REMOTE: Final = os.environ["REMOTE"]
LIMITS: Final = httpx.Limits(max_connections=256, max_keepalive_connections=256)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one client as long as the application lives."""
    async with httpx.AsyncClient(limits=LIMITS, timeout=5.0) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


async def get_token(credentials: Annotated[dict[str, Any], Body()]) -> JSONResponse:
    """Pass the login on and sign what comes back."""
    bearer = jwt.encode({"data": {"service": "bench"}, "exp": int(time.time()) + BEARER_TTL_S}, KEY, ALGORITHM)
    try:
        reply = await app.state.client.post(REMOTE, json=credentials, headers={"Authorization": f"Bearer {bearer}"})
    except httpx.HTTPError:
        return JSONResponse({"message": "Remote post failure."}, 500)
    if reply.status_code != 200:
        return JSONResponse({"message": "Remote post status failure.", "status": reply.status_code}, 500)
    try:
        data = reply.json()
    except ValueError:
        data = None
    if not isinstance(data, dict):
        return JSONResponse({"message": "Can not unmarshal returned json."}, 500)
    return JSONResponse({"token": jwt.encode({"data": data, "exp": int(time.time()) + TTL_S}, KEY, ALGORITHM)})


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


app.add_api_route("/getToken", get_token, methods=["POST"], response_class=JSONResponse)
app.add_api_route("/checkToken", check_token, methods=["GET"], response_class=JSONResponse)
