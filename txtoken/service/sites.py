"""Protection against cross-site requests: which pages may use the cookie (contract §3.6). Knows no token and no route.

Any site's page can make a browser send a cookie, and keep one from the answer. The browser says where a request comes from: by
`Sec-Fetch-Site` (W3C Fetch Metadata), or in older browsers by `Origin` (RFC 6454 §7). No page can set either. Other programs have
no cookies that a stranger could use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from txtoken.http1.messages import Client, Handler, Head, Peer, Pending, Request
from txtoken.service.answers import error_response

# Finds scheme and host of a request as its client sees them, from its peer and its header fields.
AskedOrigin = Callable[[Peer, Mapping[bytes, bytes]], tuple[bytes, bytes]]

ALL: Final = "*"  # of `cors.origins`: it names no single origin
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}
FOREIGN: Final = error_response(
    403, "foreign_site", "pages of other sites may not do this: only those whose origin cors.origins names"
)


class Sites:
    """Distinguishes pages of this service's own origin from others. `origins` are trusted; `asked_origin` finds the origin that a
    request was for.
    """

    __slots__ = ("_asked_origin", "_named")

    def __init__(self, origins: Sequence[str], asked_origin: AskedOrigin) -> None:
        self._named = frozenset(origin.encode("ascii") for origin in origins if origin != ALL)
        self._asked_origin = asked_origin

    def may_log_in(self, head: Head, client: Client) -> bool:
        """Whether a request may set a cookie: nothing says that it comes from a foreign page."""
        origin = head.fields.get(b"origin")
        if origin in self._named:
            return True
        site = head.fields.get(b"sec-fetch-site")
        if site == b"same-origin" or site == b"none":
            return True
        # Another host of the domain is the same site, but must not plant a session either: `Origin` names the host.
        return site != b"cross-site" and (origin is None or self._is_own(origin, head, client))

    def may_use_cookie(self, head: Head, client: Client) -> bool:
        """Whether a request may use its cookie: something says that it comes from our own page, or from a trusted one."""
        origin = head.fields.get(b"origin")
        if origin in self._named:
            return True
        site = head.fields.get(b"sec-fetch-site")
        if site == b"same-origin":
            return True  # whatever `Origin` says: a proxy may have rewritten Host
        is_said = site == b"same-site" or site == b"cross-site" or site == b"none"
        return not is_said and origin is not None and self._is_own(origin, head, client)

    def _is_own(self, origin: bytes, head: Head, client: Client) -> bool:
        """Whether an origin is the one that this request was for. `null` and lists never are."""
        scheme, _, host = origin.lower().partition(b"://")
        asked_scheme, asked_host = self._asked_origin(client.peer(), head.fields)
        asked_scheme = _first(asked_scheme)
        return scheme == asked_scheme and _plain_host(scheme, host) == _plain_host(scheme, _first(asked_host))


class Guarded(Handler):
    """A handler whose answers set a cookie: it rejects requests from pages of foreign sites."""

    __slots__ = ("_handler", "_sites")

    def __init__(self, handler: Handler, sites: Sites) -> None:
        self._handler = handler
        self._sites = sites

    def handle(self, request: Request, client: Client) -> Pending | None:
        if self._sites.may_log_in(request.head, client):
            return self._handler.handle(request, client)
        client.respond(FOREIGN)
        return None

    def waits(self, head: Head) -> bool:
        return self._handler.waits(head)

    def waits_for_body(self, head: Head) -> bool:
        return self._handler.waits_for_body(head)


def _first(field: bytes) -> bytes:
    """Return the first item of a field that several proxies have appended to: the value of the first proxy."""
    return field.partition(b",")[0].strip().lower()


def _plain_host(scheme: bytes, host: bytes) -> bytes:
    """Remove the default port of a scheme."""
    port = _DEFAULT_PORTS.get(scheme)
    return host if port is None else host.removesuffix(port)
