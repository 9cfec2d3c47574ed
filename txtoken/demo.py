"""The service with a login API of its own, to see it work before anything is configured. Knows no real users.

Everything listens on loopback, and the key is made at start: what the demo signs is worth nothing elsewhere. The login API can
also be had alone, on another address, as the remote of a service that is configured.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import web

from txtoken.config import read
from txtoken.errors import StartError
from txtoken.observe.logs import LineWriter, open_log
from txtoken.process.loop import run
from txtoken.process.running import STDOUT_FD, announce
from txtoken.process.signals import Signals
from txtoken.process.sockets import address, bind
from txtoken.process.worker import Worker
from txtoken.settings import LOOPBACK, Config, LogSettings

LOGIN_PATH: Final = "/login"
USER: Final = "ada"
PASSWORD: Final = "engine"  # noqa: S105 - the demo prints it
PROFILE: Final = {
    "id": 1815,
    "user": USER,
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "roles": ["member", "author"],
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of the demo's client and what came back."""

    title: str
    request: str
    status: int
    answer: Any


async def login(request: web.Request) -> web.Response:
    """The demo's login API: the right password gives a user object, a wrong one 401."""
    try:
        credentials = await request.json()
    except json.JSONDecodeError:
        return web.json_response({"error": "not JSON"}, status=400)
    if isinstance(credentials, dict) and credentials.get("user") == USER and credentials.get("password") == PASSWORD:
        return web.json_response(PROFILE)
    return web.json_response({"error": "wrong user or password"}, status=401)


def demo_config(port: int, login_url: str, log: LogSettings) -> Config:
    """Make the demo's configuration, with a key that nobody knows."""
    overrides = {
        "listen": LOOPBACK,
        "port": str(port),
        "encKey": secrets.token_urlsafe(36),
        "remote": login_url,
        "requestKey": secrets.token_urlsafe(36),
        "requestTokenData": '{"service":"txtoken demo"}',
        "forwardHeaders": "X-Request-Id",
        "timeouts.drain": "2s",
        "reload": "off",
        "log.level": log.level,
        "log.format": log.format,
        "log.access": str(log.access).lower(),
        "remoteProxy": "off",
    }
    return read.load("", {}, overrides)


def demo(*, port: int, login_port: int, login_only: str | None, once: bool, say: Callable[[str], None]) -> int:
    """Run the demo until Ctrl-C, or with `once` for three requests of its own. Returns the process's exit code.

    With `login_only`, an IP address, there is no service: the login API alone listens, on that address.

    Raises:
        StartError: a port is in use, or this machine does not have the address.
    """
    if login_only is not None:
        return run(_login_api_alone(login_only, login_port, say))
    if once:
        port = login_port = 0
    settings = LogSettings(level="error" if once else "info", format="text", access=not once)
    writer = LineWriter(STDOUT_FD)
    log = open_log(writer, level=settings.level, as_json=False)
    try:
        return run(_demo(port, login_port, settings, log, writer, say, once=once))
    finally:
        writer.close()


async def _demo(
    port: int,
    login_port: int,
    settings: LogSettings,
    log: logging.Logger,
    writer: LineWriter,
    say: Callable[[str], None],
    *,
    once: bool,
) -> int:
    signals = Signals()
    login_api, login_url = await _start_login_api(LOOPBACK, login_port)
    config = demo_config(port, login_url, settings)
    sockets: list[socket.socket] = []
    try:
        sockets = bind(config.process.addresses, config.process.port)
        service_url = f"http://{address(sockets[0])}"
        worker = Worker(config, log, writer)
        if once:
            await worker.start(sockets)
            good = await _three_requests(service_url, say)
            await worker.stop()
            return 0 if good else 1
        say(_greeting(service_url, login_url))
        await worker.start(sockets)
        announce(log, config, sockets)
        await signals.first.wait()
        await worker.stop()
        return 0
    finally:
        for sock in sockets:
            sock.close()
        await login_api.cleanup()


async def _login_api_alone(host: str, port: int, say: Callable[[str], None]) -> int:
    signals = Signals()
    login_api, login_url = await _start_login_api(host, port)
    try:
        say(f"The demo's login API is at {login_url}. It knows {USER}, whose password is {PASSWORD}; Ctrl-C ends it.")
        await signals.first.wait()
        return 0
    finally:
        await login_api.cleanup()


async def _start_login_api(host: str, port: int) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_post(LOGIN_PATH, login)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    place = f"[{host}]" if ":" in host else host
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        in_use = "the port is in use. Choose another with --login-port."
        why = in_use if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
        raise StartError(f"the demo's login API cannot listen on {place}:{port}: {why}") from error
    return runner, f"http://{place}:{runner.addresses[0][1]}{LOGIN_PATH}"


def _greeting(service_url: str, login_url: str) -> str:
    log_in = f"""curl -s -d '{{"user":"{USER}","password":"{PASSWORD}"}}' {service_url}/getToken"""
    return f"""
txtoken's demo: a login API at {login_url}, and txtoken in front of it at {service_url}

  1. Turn a login into a signed token:

     {log_in}

  2. Log in and have the token checked:

     curl -s -H "Authorization: Bearer $({log_in} | cut -d'"' -f4)" {service_url}/checkToken

  Try a wrong password too. What happens is logged below; Ctrl-C ends the demo.
"""


async def _three_requests(service_url: str, say: Callable[[str], None]) -> bool:
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
