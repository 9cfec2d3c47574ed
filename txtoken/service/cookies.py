"""The cookie that holds the token: the line that sets it, and the one that clears it (contract §3.6, RFC 6265 §4.1). Reads none:
that is `presented`.
"""

from __future__ import annotations

from typing import Final

from txtoken.settings import CookieSettings

# Name and value together that every browser keeps. One of more is dropped without a word.
COOKIE_BYTES_MAX: Final = 4093


class TokenCookie:
    """Writes the header lines of the cookie. Its attributes are the same whenever it is set or cleared: else a browser would take
    them for two cookies.
    """

    __slots__ = ("_attributes", "_name", "_place")

    def __init__(self, settings: CookieSettings) -> None:
        self._name = settings.name.encode("ascii")
        domain = b"" if settings.domain is None else b"; Domain=" + settings.domain.encode("ascii")
        self._place = domain + b"; Path=" + settings.path.encode("ascii")
        self._attributes = b"; HttpOnly" * settings.http_only + b"; Secure" * settings.secure
        self._attributes += b"; SameSite=" + settings.same_site.encode("ascii") + b"\r\n"

    def size(self, token: bytes) -> int:
        """Return how many bytes the name and this token are, which `COOKIE_BYTES_MAX` is the limit of."""
        return len(self._name) + len(token)

    def set(self, token: bytes, life_s: int) -> bytes:
        """Write the line that has a browser keep a token for so long."""
        head = b"Set-Cookie: %b=%b%b; Max-Age=%d" % (self._name, token, self._place, life_s)
        return head + self._attributes

    def clear(self) -> bytes:
        """Write the line that has a browser drop the cookie."""
        return self.set(b"", 0)
