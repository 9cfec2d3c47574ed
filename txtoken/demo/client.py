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
    return _told(checks, say)


def _told(checks: dict[str, bool], say: Callable[[str], None]) -> bool:
    for text, good in checks.items():
        say(f"{'ok    ' if good else 'FAILED'}  {text}")
    return all(checks.values())


async def make_requests_behind(proxy_url: str, service_url: str, say: Callable[[str], None]) -> bool:
    """Ask for the page that a proxy protects: without a token, with a good one, and with a garbled one. True if all three went
    as they should.
    """
    async with aiohttp.ClientSession(service_url) as client:
        token = (await _log_in(client, "", PASSWORD)).answer.get("token", "")
    async with aiohttp.ClientSession(proxy_url) as client:
        refused = await _read(client, "Without a token the proxy gives no page", "")
        page = await _read(client, "With one it does, and says whose it is", f"Bearer {token}")
        garbled = await _read(client, "A garbled one is none", f"Bearer {token[:-8]}AAAAAAAA")
    for exchange in (refused, page, garbled):
        _show(exchange, say)
    checks = {
        "without a token there was no page": refused.status == 401,
        "the page knows its reader, and not by what the client said": page.status == 200
        and f"Hello {USER}." in page.answer,
        "with a garbled token there was none": garbled.status == 401,
    }
    return _told(checks, say)


async def _read(client: aiohttp.ClientSession, title: str, authorization: str) -> Exchange:
    headers = {"X-Auth-Request-User": "root", **({"Authorization": authorization} if authorization else {})}
    async with client.get("/", headers=headers) as response:
        shown = f"GET /  X-Auth-Request-User: root{f'  Authorization: {authorization[:23]}…' if authorization else ''}"
        return Exchange(title, shown, response.status, await response.text())


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
