"""The demo's page: what a proxy protects. It trusts what the proxy says of its reader, and knows no tokens."""

from __future__ import annotations

import html
from typing import Final

from aiohttp import web

from txtoken.settings import LOOPBACK

USER: Final = "X-Auth-Request-User"
ROLES: Final = "X-Auth-Request-Roles"


async def start_page() -> tuple[web.AppRunner, int]:
    """Start the page in this loop, at any port of loopback. Returns its runner, which the caller cleans up, and the port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _show)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    return runner, runner.addresses[0][1]


async def _show(request: web.Request) -> web.Response:
    user, roles = (html.escape(request.headers.get(name, "")) for name in (USER, ROLES))
    text = (
        f"<!doctype html>\n<title>txtoken's demo</title>\n<p>Hello {user}. The proxy says that you are: {roles}</p>\n"
    )
    return web.Response(text=text, content_type="text/html")
