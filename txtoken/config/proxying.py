"""The HTTP proxy for the remote: the key `remoteProxy`, and the environment variables that programs share. Dials nothing.

HTTP_PROXY, HTTPS_PROXY and NO_PROXY mean what they mean to golang.org/x/net/http/httpproxy, which the original used, with two
differences. A value that is not a proxy's URL is an error here, and not ignored. Beside REQUEST_METHOD, with which a client's
header could set HTTP_PROXY (golang.org/s/cgihttpproxy), HTTP_PROXY is ignored, and not an error of each request.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

import yaml

from txtoken.config.files import read_text_file
from txtoken.config.urls import is_host_and_port
from txtoken.config.values import TEXT, Wrong, kind, read_text, scalar
from txtoken.settings import HIDDEN, KIB, RemoteProxy, Secret
from txtoken.unix_urls import is_http_unix

ENVIRONMENT: Final = "env"
OFF: Final = "off"
PROXY_URL_BYTES_MAX: Final = 4 * KIB
PROXY_URL: Final = r"[Hh][Tt][Tt][Pp][Ss]?://[!-~]+"

_EXAMPLE: Final = "http://proxy.internal:3128"
_USERINFO: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")  # as Go: @ need not be escaped
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PORTS: Final = {"http": 80, "https": 443}


def shown(proxy: RemoteProxy | str | None) -> str:
    """Write a proxy as in the file, with secrets hidden."""
    if proxy is None or isinstance(proxy, str):
        return proxy or OFF
    return proxy.url if proxy.authorization is None else proxy.url.replace("://", f"://{HIDDEN}@", 1)


@kind(
    "string boolean",
    pattern=f"{ENVIRONMENT}|[Oo][Ff][Ff]|[Ff][Aa][Ll][Ss][Ee]|{PROXY_URL}",
    refused=(True,),
    write=shown,
)
def read_proxy(node: yaml.Node) -> RemoteProxy | str:
    """`env`, `off`, or the URL of a proxy. Errors do not quote the URL: it may contain a password."""
    text = read_text(node)
    if text == ENVIRONMENT:
        return ENVIRONMENT
    if text.lower() in (OFF, "false"):  # YAML reads an unquoted off as false
        return OFF
    proxy = parse_proxy(text)
    if urlsplit(text).path not in ("", "/") or "?" in text or "#" in text:
        raise Wrong(f"must not have a path, query or fragment: a proxy is {_EXAMPLE}")
    return proxy


@kind(TEXT)
def read_proxy_file(node: yaml.Node) -> RemoteProxy | str:
    """The same from a file, without one trailing line end."""
    text = read_text_file(node, PROXY_URL_BYTES_MAX)
    try:
        return read_proxy(scalar(text, node))
    except Wrong as wrong:
        raise Wrong(f"the proxy in {read_text(node)} {wrong}") from None


def parse_proxy(text: str) -> RemoteProxy:
    """Read the URL of a proxy. User and password become a header field (RFC 7617).

    Raises:
        Wrong: it is not one. The text quotes nothing of it.
    """
    wanted = f"has to be a proxy's URL like {_EXAMPLE}"
    if not re.fullmatch("[!-~]+", text):
        raise Wrong(f"{wanted}, in printable ASCII (percent-encoding for user and password)")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise Wrong(f"has a malformed host or port: it {wanted}") from None
    userinfo, at, place = url.netloc.rpartition("@")
    if url.scheme not in _PORTS or not text[len(url.scheme) :].startswith("://"):
        raise Wrong(f"{wanted}, of scheme http or https: others are not supported")
    if port == 0 or not is_host_and_port(place):
        raise Wrong(f"has a malformed host or port: it {wanted}")
    if not _USERINFO.fullmatch(userinfo):
        raise Wrong("has a user or password with characters that have to be percent-encoded")
    authorization = _basic(userinfo) if at else None
    return RemoteProxy(f"{url.scheme}://{place.lower().removesuffix(':')}", authorization)


def _basic(userinfo: str) -> Secret:
    user, _, password = userinfo.partition(":")
    decoded_user, decoded = unquote_to_bytes(user), unquote_to_bytes(password)
    if b":" in decoded_user:
        raise Wrong("has a user with a colon in it, which HTTP cannot express")
    if re.search(rb"[\x00-\x1f\x7f]", decoded_user + decoded):
        raise Wrong("has a user or password with control characters in it, which HTTP cannot express")
    return Secret(b"Basic " + base64.b64encode(decoded_user + b":" + decoded))


class BadVariable(Exception):
    """An environment variable does not name a proxy: its name, and what is wrong."""

    def __init__(self, variable: str, text: str) -> None:
        super().__init__(text)
        self.variable = variable


def from_environment(remote: str, environ: Mapping[str, str]) -> RemoteProxy | None:
    """Return the proxy that the environment names for this remote. None: no proxy.

    Raises:
        BadVariable: the variable that applies is not a proxy's URL.
    """
    if is_http_unix(remote):
        return None
    url = urlsplit(remote)
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    is_cgi = url.scheme == "http" and bool(environ.get("REQUEST_METHOD"))
    variable, text = _first(environ, f"{url.scheme.upper()}_PROXY", f"{url.scheme}_proxy")
    if not text or is_cgi or not _is_proxied(host, port, _first(environ, "NO_PROXY", "no_proxy")[1]):
        return None
    try:
        return parse_proxy(text if _SCHEME.match(text) else f"http://{text}")
    except Wrong as wrong:
        raise BadVariable(variable, str(wrong)) from None


def warnings(remote: str, environ: Mapping[str, str]) -> list[str]:
    """Return warnings about the environment's proxies, after `from_environment` has accepted them."""
    if is_http_unix(remote):
        return []
    scheme = urlsplit(remote).scheme
    upper, lower = f"{scheme.upper()}_PROXY", f"{scheme}_proxy"
    said = [
        f"{upper} and {lower} are set and differ: {upper} is used"
        for upper, lower in ((upper, lower), ("NO_PROXY", "no_proxy"))
        if environ.get(upper) and environ.get(lower) and environ[upper] != environ[lower]
    ]
    if scheme == "http" and environ.get("REQUEST_METHOD") and _first(environ, upper, lower)[1]:
        said.append(
            f"{upper} is ignored because REQUEST_METHOD is set, so that a client could have set it: use remoteProxy"
        )
    return said


def _first(environ: Mapping[str, str], *names: str) -> tuple[str, str]:
    return next(((name, environ[name]) for name in names if environ.get(name)), (names[0], ""))


def _is_proxied(host: str, port: int, no_proxy: str) -> bool:
    """Whether this host is reached by the proxy, by NO_PROXY. Loopback never is."""
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return False
    entries = [entry for part in no_proxy.split(",") if (entry := part.strip().lower())]
    return "*" not in entries and not any(_names(entry, host, address, port) for entry in entries)


def _names(entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    """Whether an entry of NO_PROXY names this host."""
    network = _network(entry)
    if network is not None:
        return address is not None and address in network
    name, entry_port = _split(entry)
    if not name or (entry_port and entry_port != str(port)):
        return False
    entry_address = _address(name)
    if entry_address is not None or address is not None:
        return entry_address == address
    name = name.removeprefix("*") if name.startswith("*.") else name
    if not name.isascii():
        name = _punycode(name)
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _split(entry: str) -> tuple[str, str]:
    """Split an entry into host and port, as net.SplitHostPort does. An entry that is not both is a host."""
    match = re.fullmatch(r"\[([^\[\]]*)\]:([^\[\]:]*)|([^\[\]:]*):([^\[\]:]*)", entry)
    if match is None:
        return entry, ""
    return (match[1], match[2]) if match[1] is not None else (match[3], match[4])


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address as Go compares it: an IPv4-mapped IPv6 address is IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Read an entry in CIDR notation. Its address may be any one of the network."""
    _, slash, length = text.partition("/")
    if not slash or not re.fullmatch("[0-9]{1,3}", length) or (len(length) > 1 and length[0] == "0"):
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    return network if mapped is None else ipaddress.ip_network((mapped, network.prefixlen - 96))


def _punycode(name: str) -> str:
    dot = "." if name.startswith(".") else ""
    try:
        return dot + name.removeprefix(".").encode("idna").decode("ascii")
    except UnicodeError:
        return name
