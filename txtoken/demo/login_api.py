"""The demo's login API: one user, one password. Knows no tokens.

It can also run alone, on another address, as the remote of a service that is configured.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from txtoken.errors import StartError
from txtoken.process.loop import run
from txtoken.process.signals import Signals
from txtoken.process.sockets import address

LOGIN_PATH: Final = "/login"
USER: Final = "ada"
PASSWORD: Final = "engine"  # noqa: S105 - the demo prints it
_BACKLOG: Final = 128
PROFILE: Final = {
    "id": 1815,
    "user": USER,
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "roles": ["member", "author"],
}


def serve_login_api(host: str, port: int, say: Callable[[str], None]) -> int:
    """Run the login API alone until a signal ends it. `host` is an IP address. Returns the process's exit code.

    Raises:
        StartError: the port is in use, or this machine does not have the address.
    """
    return run(_serve(bind_login_api(host, port), say))


class Login:
    """One request as the login API sees it, and its reply."""

    __slots__ = ("body", "fields", "reply", "status")

    def __init__(self, fields: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
        self.fields = fields
        self.body = body
        self.status, self.reply = _reply(body)


def _reply(body: bytes) -> tuple[int, dict[str, Any]]:
    """Reply to the right password with a user object, to a wrong one with 401."""
    try:
        credentials = json.loads(body)
    except (ValueError, RecursionError):
        return 400, {"error": "not JSON"}
    if isinstance(credentials, dict) and credentials.get("user") == USER and credentials.get("password") == PASSWORD:
        return 200, PROFILE
    return 401, {"error": "wrong user or password"}


def _ignore(_: Login) -> None:
    """Nobody wants to know."""


async def _serve(sock: socket.socket, say: Callable[[str], None]) -> int:
    signals = Signals()
    login_api = await start_login_api(sock)
    try:
        say(
            f"The demo's login API is at {login_url(sock)}. It knows {USER}, whose password is {PASSWORD}; Ctrl-C ends it."
        )
        await signals.first.wait()
        return 0
    finally:
        await login_api.cleanup()


def bind_login_api(host: str, port: int) -> socket.socket:
    """Bind the login API's socket.

    Raises:
        StartError: as for `serve_login_api`.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        place = f"[{host}]" if ":" in host else host
        raise StartError(f"the demo's login API cannot listen on {place}:{port}: {_why(error)}") from error
    return sock


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use. Choose another with --login-port."
    return os.strerror(error.errno or 0)


def login_url(sock: socket.socket) -> str:
    """Return the URL for logins at this socket."""
    return f"http://{address(sock)}{LOGIN_PATH}"


async def start_login_api(sock: socket.socket, on_login: Callable[[Login], None] = _ignore) -> web.AppRunner:
    """Start the login API in this loop. Returns its runner, which the caller cleans up."""

    async def log_in(request: web.Request) -> web.Response:
        login = Login(request.raw_headers, await request.read())
        response = web.json_response(login.reply, status=login.status)
        on_login(login)
        return response

    app = web.Application()
    app.router.add_post(LOGIN_PATH, log_in)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    return runner
