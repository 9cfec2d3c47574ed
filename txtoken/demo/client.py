"""The demo's client: some requests, and whether they went as they should. Knows neither service nor login API from inside.

What it shows can be read in 40 columns.
"""

from __future__ import annotations

import asyncio
import json
import textwrap
import time
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from txtoken.demo.decoding import decoded
from txtoken.demo.login_api import PASSWORD, PROFILE, USER
from txtoken.demo.speech import Speech

PATIENCE_S: Final = 10.0
ELLIPSIS: Final = "…"
BAD_REQUEST: Final = 400
COLUMNS: Final = 40  # of a narrow terminal
_SEGMENT_CHARACTERS: Final = 8  # of a token's segment that is shown
_SHOWN_OF_CHECK: Final = ("Claims", "Valid")
_FAILURES: Final = (aiohttp.ClientError, asyncio.TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back. `shown` is that for people."""

    title: str
    request: tuple[str, ...]
    status: int
    answer: Any
    shown: str


async def make_requests(service_url: str, speech: Speech) -> bool:
    """Log in, check the token, and that token with one character changed, log in with a wrong password. True if all went as they
    should.
    """
    try:
        async with _session(service_url) as client:
            first = await _log_in(client, "A login becomes a signed token", PASSWORD)
            _show(first, speech)
            token = first.answer.get("token", "")
            second = await _check(client, "The token is checked", token)
            _show(second, speech)
            changed = await _check(client, "One character is changed", _broken(token))
            _show(changed, speech)
            last = await _log_in(client, "A wrong password gets no token", "guess")
            _show(last, speech)
    except _FAILURES as error:
        return _failed(error, speech)
    checks = {
        "the login gave a token": first.status == 200 and token.count(".") == 2,
        "the token is valid, and says who": second.status == 200
        and second.answer.get("Valid") is True
        and second.answer.get("Claims", {}).get("data") == PROFILE,
        "the changed token is refused": changed.status == 401,
        "the wrong password gave no token": last.status == 500 and last.answer.get("status") == 401,
    }
    return _told(checks, speech)


def _session(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=PATIENCE_S))


def _failed(error: Exception, speech: Speech) -> bool:
    speech.say(f"{speech.paint('FAILED', 'red', 'bold')}  no answer: {error or type(error).__name__}")
    return False


def _told(checks: dict[str, bool], speech: Speech) -> bool:
    for text, good in checks.items():
        mark = speech.paint("ok    ", "green") if good else speech.paint("FAILED", "red", "bold")
        speech.say(f"{mark}  {text}")
    return all(checks.values())


async def make_requests_behind(proxy_url: str, service_url: str, speech: Speech) -> bool:
    """Ask for the page that a proxy protects: without a token, with a good one, and with a changed one. True if all three went
    as they should.
    """
    try:
        async with _session(service_url) as client:
            token = (await _log_in(client, "", PASSWORD)).answer.get("token", "")
        async with _session(proxy_url) as client:
            refused = await _read(client, "Without a token there is no page", "")
            page = await _read(client, "With one there is, with its user", token)
            changed = await _read(client, "With a changed one there is none", _broken(token))
    except _FAILURES as error:
        return _failed(error, speech)
    speech.say("")
    for exchange in (refused, page, changed):
        _show(exchange, speech)
    checks = {
        "without a token there is no page": refused.status == 401,
        "the page has the token's user": page.status == 200 and f"Hello {USER}." in page.answer,
        "a changed token gives no page": changed.status == 401,
    }
    return _told(checks, speech)


async def _read(client: aiohttp.ClientSession, title: str, token: str) -> Exchange:
    headers = {"X-Auth-Request-User": "root"}
    shown = ["GET /", "X-Auth-Request-User: root"]
    if token:
        headers["Authorization"] = f"Bearer {token}"
        shown += ["Authorization: Bearer", f"  {shortened(token)}"]
    async with client.get("/", headers=headers) as response:
        text = await response.text()
        return Exchange(title, (*shown,), response.status, text, "\n".join(text.replace(". ", ".\n").splitlines()))


async def _log_in(client: aiohttp.ClientSession, title: str, password: str) -> Exchange:
    credentials = json.dumps({"user": USER, "password": password}, separators=(",", ":"))
    headers = {"Content-Type": "application/json"}
    async with client.post("/getToken", data=credentials, headers=headers) as response:
        answer = await response.json()
        request = ("POST /getToken", credentials)
        return Exchange(title, request, response.status, answer, _shown_login(answer))


async def _check(client: aiohttp.ClientSession, title: str, token: str) -> Exchange:
    async with client.get("/checkToken", headers={"Authorization": f"Bearer {token}"}) as response:
        answer = await response.json()
        request = ("GET /checkToken", "Authorization: Bearer", f"  {shortened(token)}")
        shown = {name: answer[name] for name in _SHOWN_OF_CHECK if name in answer} or answer
        return Exchange(title, request, response.status, answer, _pretty(shown))


def _shown_login(answer: dict[str, Any]) -> str:
    """Show what a login gave: its token short and decoded, or the answer as it came."""
    token = answer.get("token", "")
    try:
        header, claims = decoded(token)
    except ValueError:
        return _pretty(answer)
    left_h = (claims["exp"] - time.time()) / 3600
    return f"{shortened(token)}\n\nheader\n{_pretty(header)}\nclaims\n{_pretty(claims)}\nexpires in {left_h:.3g} h"


def shortened(token: str) -> str:
    """Show how a token begins, segment by segment."""
    return ".".join(f"{segment[:_SEGMENT_CHARACTERS]}{ELLIPSIS}" for segment in token.split("."))


def _broken(token: str) -> str:
    """Change one character of the claims: the last one that is shown."""
    place = token.find(".") + _SEGMENT_CHARACTERS
    return f"{token[:place]}{'A' if token[place] != 'A' else 'B'}{token[place + 1 :]}" if token else ""


def _pretty(answer: object) -> str:
    return json.dumps(answer, indent=2, ensure_ascii=False)


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, COLUMNS, subsequent_indent=indent, break_on_hyphens=False)


def _show(exchange: Exchange, speech: Speech) -> None:
    request = "\n".join(f"  {line}" for line in exchange.request)
    shown = "\n".join(_wrapped(f"  {line}") for line in exchange.shown.splitlines())
    title = speech.paint(exchange.title, "bold")
    status = speech.paint(str(exchange.status), "green" if exchange.status < BAD_REQUEST else "red")
    speech.say(f"{title}\n\n{speech.paint(request, 'dim')}\n\n  {status}\n{shown}\n")
