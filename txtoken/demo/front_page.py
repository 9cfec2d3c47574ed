"""The demo's page, at `/` of the service: one file, which loads nothing from elsewhere. Knows no request but that for itself."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from txtoken.config.addresses import is_local
from txtoken.demo.events import EVENTS_PATH, Events, Ring
from txtoken.demo.login_api import PASSWORD, USER
from txtoken.demo.own_host import OwnHostOnly
from txtoken.http1.messages import Client, Handler, Request, Response, response_head
from txtoken.settings import Config
from txtoken.version import VERSION

PAGE_PATH: Final = "/"
_FILE: Final = Path(__file__).with_name("front_page.html")
_SETTINGS: Final = "SETTINGS"  # where in the file they go
_INLINE: Final = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)
_LINES: Final = (
    b"Cache-Control: no-store",
    b"X-Content-Type-Options: nosniff",
    b"Cross-Origin-Resource-Policy: same-origin",
)


@dataclass(frozen=True, slots=True)
class About:
    """What the page says of this run of the demo, `run`. `is_own`: the login API is the demo's own."""

    config: Config
    run: str
    is_own: bool

    @property
    def settings(self) -> dict[str, object]:
        """What the page's script has to know."""
        config = self.config
        own = {"user": USER, "password": PASSWORD} if self.is_own else None
        return {
            "run": self.run,
            "version": VERSION,
            "remote": config.remote.url,
            "own": own,
            "getToken": config.login.route,
            "checkToken": config.check.route,
            "jwks": config.jwks.route,
            "events": EVENTS_PATH,
        }


def pages(about: About, ring: Ring) -> Mapping[str, Mapping[str, Handler]]:
    """Return the routes of the demo, by path and method. A demo for this machine alone is not for pages of other sites."""
    routes: dict[str, Handler] = {PAGE_PATH: FrontPage(about), EVENTS_PATH: Events(ring, about.run, *_LINES)}
    if all(map(is_local, about.config.process.addresses)):
        routes = {path: OwnHostOnly(handler) for path, handler in routes.items()}
    return {path: {"GET": handler} for path, handler in routes.items()}


class FrontPage(Handler):
    """The page. Only its own style and its own script may have an effect in it, and it speaks with this service alone."""

    __slots__ = ("_response",)

    def __init__(self, about: About) -> None:
        text = _FILE.read_text(encoding="utf-8")
        lines = (*_LINES, b"Content-Security-Policy: " + _policy(text).encode("ascii"), b"Referrer-Policy: no-referrer")
        head = response_head(200, *lines, content_type=b"text/html; charset=utf-8")
        # No text can end the element that it stands in.
        settings = orjson.dumps(about.settings).decode().replace("<", "\\u003c")
        self._response = Response(200, head, text.replace(_SETTINGS, settings, 1).encode())

    def handle(self, request: Request, client: Client) -> None:
        client.respond(self._response)

    def is_for_pages(self) -> bool:
        return False


def _policy(text: str) -> str:
    """Write the Content-Security-Policy (CSP Level 3): the hashes of what stands in the file."""
    hashes: dict[str, list[str]] = {"style": [], "script": []}
    for kind, content in _INLINE.findall(text):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
        hashes[kind].append(f"'sha256-{digest}'")
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(hashes['script'])}",
            f"style-src {' '.join(hashes['style'])}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )
