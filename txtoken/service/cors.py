"""CORS: which web pages may call (WHATWG Fetch, "CORS protocol"). Wraps a router and adds the header lines with which a browser
gives the answer to a script. Knows no route.

Browsers hide an answer without these lines from the page. So errors need them as well.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from txtoken.errors import ProtocolError
from txtoken.http1.messages import Client, Handler, Head, Peer, Pending, Request, Response, Router, response_head
from txtoken.settings import CorsSettings

# Fields of our answers that scripts may read, in addition to those that are always allowed.
EXPOSED: Final = b"Access-Control-Expose-Headers: Retry-After, WWW-Authenticate\r\n"
ALL: Final = "*"


class CrossOriginRoutes(Router):
    """Routes whose answers say which pages may read them. Answers to bytes that are not a request do not."""

    __slots__ = ("_by_origin", "_others", "_routes")

    def __init__(self, routes: Router, settings: CorsSettings) -> None:
        self._routes = routes
        self._by_origin: dict[bytes, bytes] = {}
        # If all origins may read it, the answer does not depend on the origin. Else Vary says so to caches.
        self._others = (
            b"Access-Control-Allow-Origin: *\r\n" + EXPOSED if ALL in settings.origins else b"Vary: Origin\r\n"
        )
        credentials = b"Access-Control-Allow-Credentials: true\r\n" if settings.credentials else b""
        for origin in settings.origins:
            if origin != ALL:
                name = origin.encode("ascii")
                lines = b"Access-Control-Allow-Origin: %b\r\n" % name + credentials + EXPOSED
                self._by_origin[name] = self._others + lines

    def find(self, head: Head) -> Handler:
        """Return the handler of this request, which adds the lines for its origin."""
        handler = self._routes.find(head)
        if not handler.is_for_pages():
            return handler
        lines = self._by_origin.get(head.fields.get(b"origin", b""), self._others)
        return _Lined(self._routes, handler, lines)

    def waits(self, head: Head) -> bool:
        """Whether the answer to this request comes later."""
        return self._routes.waits(head)

    def waits_for_body(self, head: Head) -> bool:
        """Whether this request is answered after its body."""
        return self._routes.waits_for_body(head)

    def refusal(self, error: ProtocolError, head: Head | None = None) -> Response:
        """Return the answer to bytes that are not a request that we serve, or to a request without room."""
        return self._routes.refusal(error, head)

    def failure(self, error: Exception) -> Response:
        """Return the answer to a request that made this program fail."""
        return self._routes.failure(error)


class _Lined(Handler):
    """A handler whose answer gets more header lines on its way to the client. Made for one request."""

    __slots__ = ("_handler", "_lines", "_routes")

    def __init__(self, routes: Router, handler: Handler, lines: bytes) -> None:
        self._routes = routes
        self._handler = handler
        self._lines = lines

    def handle(self, request: Request, client: Client) -> Pending | None:
        page = _Page(client, self._lines)
        try:
            return self._handler.handle(request, page)
        except Exception as error:
            if page.is_answered:
                raise  # the connection notes it
            page.respond(self._routes.failure(error))
            return None


class _Page(Client):
    """A client whose answers get the lines about who may read them."""

    __slots__ = ("_client", "_lines", "is_answered")

    def __init__(self, client: Client, lines: bytes) -> None:
        self._client = client
        self._lines = lines
        self.is_answered = False

    def respond(self, response: Response) -> None:
        self.is_answered = True
        self._client.respond(response.with_lines(self._lines))

    def address(self) -> str:
        return self._client.address()

    def peer(self) -> Peer:
        return self._client.peer()


class Preflight(Handler):
    """`OPTIONS` of one route: a browser's preflight, before a request that a plain form could not send.

    The answer always lists what is allowed, and the browser decides. `methods` are those of the route.
    """

    __slots__ = ("_response",)

    def __init__(self, methods: Collection[str], settings: CorsSettings) -> None:
        names = {*methods, *(["HEAD"] if "GET" in methods else [])}
        lines = [
            _list(b"Allow", sorted({*names, "OPTIONS"})),
            _list(b"Access-Control-Allow-Methods", sorted(names)),
            b"Access-Control-Max-Age: %d" % int(settings.max_age_s),
        ]
        if settings.headers:
            lines.append(_list(b"Access-Control-Allow-Headers", settings.headers))
        # 200 and not 204: browsers accept both, and 200 has a Content-Length, which some proxies wait for.
        self._response = Response(200, response_head(200, *lines, content_type=b""), b"")

    def handle(self, request: Request, client: Client) -> None:
        client.respond(self._response)


def _list(name: bytes, items: Sequence[str]) -> bytes:
    return name + b": " + ", ".join(items).encode("ascii")
