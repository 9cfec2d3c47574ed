"""The demo's login API: one user, one password. Knows no tokens.

It can also run alone, on another address, as the remote of a service that is configured.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from typing import Final

from aiohttp import web

from txtoken.errors import StartError
from txtoken.process.loop import run
from txtoken.process.signals import Signals

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


def serve_login_api(host: str, port: int, say: Callable[[str], None]) -> int:
    """Run the login API alone until a signal ends it. `host` is an IP address. Returns the process's exit code.

    Raises:
        StartError: the port is in use, or this machine does not have the address.
    """
    return run(_serve(host, port, say))


async def _serve(host: str, port: int, say: Callable[[str], None]) -> int:
    signals = Signals()
    login_api, login_url = await start_login_api(host, port)
    try:
        say(f"The demo's login API is at {login_url}. It knows {USER}, whose password is {PASSWORD}; Ctrl-C ends it.")
        await signals.first.wait()
        return 0
    finally:
        await login_api.cleanup()


async def start_login_api(host: str, port: int) -> tuple[web.AppRunner, str]:
    """Start the login API in this loop. Returns its runner, which the caller cleans up, and the URL for logins.

    Raises:
        StartError: as for `serve_login_api`.
    """
    app = web.Application()
    app.router.add_post(LOGIN_PATH, _login)
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


async def _login(request: web.Request) -> web.Response:
    """Reply to the right password with a user object, to a wrong one with 401."""
    try:
        credentials = await request.json()
    except json.JSONDecodeError:
        return web.json_response({"error": "not JSON"}, status=400)
    if isinstance(credentials, dict) and credentials.get("user") == USER and credentials.get("password") == PASSWORD:
        return web.json_response(PROFILE)
    return web.json_response({"error": "wrong user or password"}, status=401)
