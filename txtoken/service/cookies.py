"""The cookie with the token: the lines that set and clear it (contract §3.6, RFC 6265 §4.1). Reads no cookie: that is
`presented`.
"""

from __future__ import annotations

from typing import Final

from txtoken.settings import CookieSettings

# The length of name and value that every browser keeps. Browsers drop longer cookies silently.
COOKIE_BYTES_MAX: Final = 4093


class TokenCookie:
    """Writes the header lines of the cookie. Setting and clearing use the same attributes, or browsers would see two cookies."""

    __slots__ = ("_attributes", "_name", "_place")

    def __init__(self, settings: CookieSettings) -> None:
        self._name = settings.name.encode("ascii")
        domain = b"" if settings.domain is None else b"; Domain=" + settings.domain.encode("ascii")
        self._place = domain + b"; Path=" + settings.path.encode("ascii")
        self._attributes = b"; HttpOnly" * settings.http_only + b"; Secure" * settings.secure
        self._attributes += b"; SameSite=" + settings.same_site.encode("ascii") + b"\r\n"

    def size(self, token: bytes) -> int:
        """Return the length of the name and this token, which `COOKIE_BYTES_MAX` limits."""
        return len(self._name) + len(token)

    def set(self, token: bytes, life_s: int) -> bytes:
        """Write the line that sets the cookie for this time."""
        head = b"Set-Cookie: %b=%b%b; Max-Age=%d" % (self._name, token, self._place, life_s)
        return head + self._attributes

    def clear(self) -> bytes:
        """Write the line that clears the cookie."""
        return self.set(b"", 0)
