"""Writes the head of requests to the remote: the constant part, and the bearer of this second. Knows no exchange."""

from __future__ import annotations

from collections.abc import Callable

from txtoken.clock import Clock
from txtoken.service.upstream.dial import proxy_authorization
from txtoken.service.upstream.location import locate
from txtoken.settings import RemoteSettings
from txtoken.unix_urls import is_http_unix


class RequestHead:
    """The head without an exchange's own lines and its length. `bearer` makes the token for a given second."""

    __slots__ = ("_bearer", "_clock", "_fixed", "_second", "_text")

    def __init__(self, fixed: bytes, bearer: Callable[[int], bytes], clock: Clock) -> None:
        self._fixed = fixed
        self._bearer = bearer
        self._clock = clock
        self._second = 0
        self._text = b""

    def text(self) -> bytes:
        """Return the head of this second. It is signed once a second."""
        second = self._clock.second
        if second != self._second:
            self._text = b"%bAuthorization: Bearer %b\r\n" % (self._fixed, self._bearer(second))
            self._second = second
        return self._text


def request_head(settings: RemoteSettings, user_agent: str) -> bytes:
    """Write the constant part of a request's head (contract §2), up to Content-Type.

    A request to a proxy has the whole URL (RFC 9112 §3.2.2), unless there is a tunnel through it.
    """
    location = locate(settings.url)
    host = "localhost" if is_http_unix(settings.url) else location.host_line
    target = f"http://{host}{location.target}" if settings.is_asked_through_proxy else location.target
    lines = (
        f"POST {target} HTTP/1.1",
        f"Host: {host}",
        f"User-Agent: {user_agent}",
        "Content-Type: application/json",
        "Accept: application/json",
        "Accept-Encoding: identity",
    )
    head = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    return head + proxy_authorization(settings) if settings.is_asked_through_proxy else head
