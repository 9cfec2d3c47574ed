"""Maps method and path to a handler, built once. Knows all routes; 404 and 405 are routes too. Answers nothing itself.

Forward-auth routes match by path alone, with everything below it: the raw path continues with `/`. It is never decoded and never
normalised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from txtoken.errors import ProtocolError
from txtoken.http1.messages import Handler, Head, Response, Router
from txtoken.service.answers import CRASHED, error_response
from txtoken.service.handlers.fixed import Fixed
from txtoken.service.handlers.forward_auth import ForwardAuth
from txtoken.service.handlers.health import Health

HEALTH_PATHS = ("/livez", "/readyz", "/healthz")
NO_ROOM: Final = 503
RETRY: Final = b"Retry-After: 1"


def health_routes(is_alive: Callable[[], bool], is_ready: Callable[[], bool]) -> dict[str, dict[str, Handler]]:
    """Return the health routes: `/readyz` calls `is_ready`, the others `is_alive`."""
    alive, ready = Health(is_alive), Health(is_ready)
    return {path: {"GET": ready if path == "/readyz" else alive} for path in HEALTH_PATHS}


class Routes(Router):
    """The table of routes. `routes` maps a path to its handlers by method; HEAD comes with GET (RFC 9110 §9.3.2). `asked` are the
    forward-auth routes by path. With `denies` there are no others, and all other paths are rejected in the same form.
    """

    __slots__ = ("_asked", "_by_path", "_denies", "_not_found", "_on_crash", "_refusals")

    def __init__(
        self,
        routes: Mapping[str, Mapping[str, Handler]],
        on_crash: Callable[[Exception], None],
        asked: Mapping[str, ForwardAuth] | None = None,
        denies: ForwardAuth | None = None,
    ) -> None:
        self._on_crash = on_crash
        self._by_path: dict[bytes, tuple[dict[bytes, Handler], Handler]] = {}
        for path, handlers in routes.items():
            by_method = {method.encode("ascii"): handler for method, handler in handlers.items()}
            if b"GET" in by_method:
                by_method[b"HEAD"] = by_method[b"GET"]
            allow = b"Allow: " + b", ".join(sorted(by_method))
            not_allowed = Fixed(error_response(405, "method_not_allowed", "this path does not take this method", allow))
            self._by_path[path.encode("ascii")] = by_method, not_allowed
        self._not_found: Handler = Fixed(error_response(404, "not_found", "there is nothing at this path"))
        self._denies = denies
        if denies is not None:
            self._not_found = Fixed(denies.no_token)
        self._asked: list[tuple[bytes, ForwardAuth]] = []  # the prefixes of their paths, longest first
        for path, handler in (asked or {}).items():
            self._by_path[path.encode("ascii")] = {}, handler
            below = path.encode("ascii") + b"/" * (path != "/")
            self._asked.append((below, handler))
        self._asked.sort(key=lambda pair: -len(pair[0]))
        self._refusals: dict[tuple[int, str, str], Response] = {}

    def find(self, head: Head) -> Handler:
        """Return the handler of this request."""
        entry = self._by_path.get(head.path)
        if entry is None:
            return self._not_found if (asked := self._asked_at(head)) is None else asked
        by_method, not_allowed = entry
        return by_method.get(head.method, not_allowed)

    def _asked_at(self, head: Head) -> ForwardAuth | None:
        for below, handler in self._asked:
            if head.path.startswith(below):
                return handler
        return None

    def waits(self, head: Head) -> bool:
        """Whether the answer to this request comes later."""
        return self.find(head).waits(head)

    def waits_for_body(self, head: Head) -> bool:
        """Whether this request is answered after its body."""
        return self.find(head).waits_for_body(head)

    def refusal(self, error: ProtocolError, head: Head | None = None) -> Response:
        """Return the answer to bytes that are not a request that we serve, or to a request without room."""
        denies = self._denies
        if denies is None and error.status == NO_ROOM and self._asked:
            # Without a head, the route is unknown.
            asked = self._asked[0][1] if head is None else self.find(head)
            denies = asked if isinstance(asked, ForwardAuth) else None
        if denies is not None and error.status >= 500:
            # A proxy must not get a 5xx from forward authentication: Envoy may be configured to let the request pass then.
            lines = (RETRY,) if error.status == NO_ROOM else ()
            return denies.refusal(403, error.code, error.public, *lines)
        key = error.status, error.code, error.public
        response = self._refusals.get(key)
        if response is None:
            # There are about forty of them: llhttp's reasons and our own.
            lines = (RETRY,) if error.status == NO_ROOM else ()
            response = self._refusals[key] = error_response(error.status, error.code, error.public, *lines)
        return response

    def failure(self, error: Exception) -> Response:
        """Return the answer to a request that made this program fail."""
        self._on_crash(error)
        return CRASHED if self._denies is None else self._denies.denied
