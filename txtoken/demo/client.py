"""The demo's client: three requests, and whether they went as they should. Knows neither service nor login API from inside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from txtoken.demo.login_api import PASSWORD, PROFILE, USER


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back."""

    title: str
    request: str
    status: int
    answer: Any


async def make_requests(service_url: str, say: Callable[[str], None]) -> bool:
    """Log in, check the token, log in with a wrong password. True if all three went as they should."""
    async with aiohttp.ClientSession(service_url) as client:
        first = await _log_in(client, "A login becomes a signed token", PASSWORD)
        _show(first, say)
        token = first.answer.get("token", "")
        second = await _check(client, token)
        _show(second, say)
        third = await _log_in(client, "A wrong password gets no token", "guess")
        _show(third, say)
    checks = {
        "the login gave a token": first.status == 200 and token.count(".") == 2,
        "the token is valid and holds what the login API said": second.status == 200
        and second.answer.get("Valid") is True
        and second.answer.get("Claims", {}).get("data") == PROFILE,
        "the wrong login gave none": third.status == 500 and third.answer.get("status") == 401,
    }
    for text, good in checks.items():
        say(f"{'ok    ' if good else 'FAILED'}  {text}")
    return all(checks.values())


async def _log_in(client: aiohttp.ClientSession, title: str, password: str) -> Exchange:
    credentials = {"user": USER, "password": password}
    async with client.post("/getToken", json=credentials) as response:
        return Exchange(title, f"POST /getToken  {json.dumps(credentials)}", response.status, await response.json())


async def _check(client: aiohttp.ClientSession, token: str) -> Exchange:
    async with client.get("/checkToken", headers={"Authorization": f"Bearer {token}"}) as response:
        request = f"GET /checkToken  Authorization: Bearer {token[:16]}…"
        return Exchange("The token is checked", request, response.status, await response.json())


def _show(exchange: Exchange, say: Callable[[str], None]) -> None:
    say(f"{exchange.title}\n  > {exchange.request}\n  < {exchange.status} {json.dumps(exchange.answer)}\n")
