"""Where a remote or a proxy is: the parts of its URL, as a dial and a request's head need them. Validates none.

yarl splits URLs, too, but takes 1 MB of memory and 6 ms to load. A service needs it only with aiohttp (`several`).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"([^:]+)://(?:\[([^]]*)\]|([^:/?]*))(?::([0-9]*))?([^?]*)(?:\?(.*))?")


class Location(NamedTuple):
    """The parts of an http or https URL. `host` is a name or an IP address, without brackets."""

    scheme: str
    host: str
    port: int
    target: str  # path and query, as in the first line of a request

    @property
    def url_host(self) -> str:
        """The host as in a URL: an IPv6 address has brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def host_line(self) -> str:
        """The host as in a Host line: without the scheme's own port, and without the dot of an absolute name."""
        host = self.url_host.rstrip(".")
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def locate(url: str) -> Location:
    """Split a URL that `config.urls.read_url` accepts. The target of an http+unix URL is right, and nothing else of it."""
    parts = _URL.fullmatch(url)
    assert parts is not None
    scheme = parts[1].lower()
    path, query = parts[5] or "/", parts[6]
    return Location(
        scheme,
        parts[2] or parts[3],
        int(parts[4] or _PORTS.get(scheme, 0)),
        f"{path}?{query}" if query else path,
    )
