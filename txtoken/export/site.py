"""What a proxy has to know to protect one upstream: where txtoken is asked, what it answers with, where clients come in.

Knows no proxy.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from txtoken.errors import ExportError
from txtoken.settings import ALL_ADDRESSES, ALL_IPV4, LOOPBACK, UNIX_PREFIX, Config, CookieSettings, ForwardAuthSettings

PORT_MAX: Final = 65535
_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
# Of paths that mean the same in every proxy's file: none of these has to be quoted anywhere.
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9/._~-]*")


@dataclass(frozen=True, slots=True)
class Address:
    """A host, by its name or its IP address without brackets, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


LISTEN: Final = Address(LOOPBACK, 8080)  # in the clear: for this machine alone, until there is TLS
UPSTREAM: Final = Address(LOOPBACK, 8000)


@dataclass(frozen=True, slots=True)
class Site:
    """One upstream behind one forward-auth route."""

    asked: ForwardAuthSettings
    cookie: CookieSettings
    service: Address  # of txtoken, or of the address that is for this route alone
    upstream: Address = UPSTREAM
    listen: Address = LISTEN

    @property
    def headers(self) -> tuple[str, ...]:
        """Names of the claim headers."""
        return tuple(name for name, _ in self.asked.headers)

    @property
    def looks_at_cookie(self) -> bool:
        """Whether a token may stand in a cookie."""
        return bool(self.cookie.name) and "cookie" in self.asked.places

    @property
    def looks_at_query(self) -> bool:
        """Whether a token may stand in the query."""
        return "query" in self.asked.places


def read_address(text: str) -> Address:
    """Read HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= PORT_MAX:
        raise ValueError(text)
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif not re.fullmatch(_HOST, host):
        raise ValueError(text)
    return Address(host, int(port))


def choose_section(sections: tuple[ForwardAuthSettings, ...], wanted: str | None) -> ForwardAuthSettings:
    """Find the section that is wanted, by its `route` or its `listen`; the only one where none is named.

    Raises:
        ExportError: there is none, or more than one that fits.
    """
    if not sections:
        example = "forwardAuth: {route: /forwardAuth, headers: {X-Auth-Request-User: /data/id}}"
        raise ExportError(f"the configuration has no forwardAuth, which is what proxies ask. Add it: {example}")
    names = ", ".join(
        section.route if section.listen is None else f"{section.route} at {section.listen}" for section in sections
    )
    found = [section for section in sections if wanted is None or wanted in (section.route, section.listen)]
    if not found:
        raise ExportError(f"forwardAuth has no section {wanted}. There are: {names}")
    if len(found) > 1:
        raise ExportError(f"forwardAuth has several sections. Choose one by --section: {names}")
    (section,) = found
    if not _PLAIN_PATH.fullmatch(section.route):
        raise ExportError(
            f"the route {section.route!r} would have to be quoted, by each proxy in another way: "
            "choose one of letters, digits and / . _ ~ -"
        )
    return section


def place_of(section: ForwardAuthSettings, config: Config) -> Address:
    """Say where a proxy on the same machine reaches a section's route.

    Raises:
        ExportError: by TCP nowhere, or by TLS alone.
    """
    if config.tls.context is not None:
        raise ExportError(
            "the service speaks TLS, and what is exported is for plain HTTP between proxy and service. "
            "Name by --service HOST:PORT where it can be reached without"
        )
    listen = section.listen
    if listen is None:
        hosts = [host for host in config.process.addresses if not host.startswith(UNIX_PREFIX)]
        listen = f"{_bracketed(hosts[0])}:{config.process.port}" if hosts else ""
    if not listen or listen.startswith(UNIX_PREFIX) or listen.endswith(":0"):
        raise ExportError("the service has no address with a port that is known. Name one by --service HOST:PORT")
    address = read_address(listen)
    if address.host == ALL_IPV4 or address.host == ALL_ADDRESSES:
        return Address(LOOPBACK, address.port)
    return address


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
