"""URLs and host names in the configuration: the remote's, and the name in its certificate. Knows no request."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Final
from urllib.parse import urlsplit

import yaml

from txtoken.config.addresses import UNIX_PATH_BYTES_MAX
from txtoken.config.values import TEXT, Wrong, kind, read_text
from txtoken.unix_urls import encoded_path, is_http_unix, socket_path

HTTP_UNIX_EXAMPLE: Final = "http+unix://%2Frun%2Flogin.sock/login"
# Printable ASCII without what has to be escaped
URL: Final = r"(?:[Hh][Tt][Tt][Pp](?:[Ss]|\+[Uu][Nn][Ii][Xx])?)://[!$-;=?-Z\[\]_a-z~]+"
_ESCAPED_WRONGLY: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@kind("string", pattern=URL)
def read_url(node: yaml.Node) -> str:
    """The absolute URL of the remote (contract §1.1, §1.2 `remoteProxy`)."""
    text = read_text(node)
    example = "like http://login.internal:8080/login"
    if not re.fullmatch(r"[!-~]+", text) or any(character in text for character in '"<>\\^`{|}'):
        raise Wrong(f"has to be a URL in printable ASCII without spaces, {example} (punycode, percent-encoding)")
    if is_http_unix(text):
        _check_http_unix(text)
        return text
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise Wrong(f"has a malformed host or port: it has to be a URL {example}") from None
    if url.scheme.lower() not in ("http", "https") or not host:
        raise Wrong(f"has to be an absolute http or https URL, {example}")
    if "@" in url.netloc:
        raise Wrong("must not contain a user or password: txtoken sends a token of its own (requestTokenData)")
    if "#" in text:
        raise Wrong("must not have a fragment (#…): it is never sent")
    if port == 0 or not is_host_and_port(url.netloc):
        raise Wrong(f"has a malformed host or port: it has to be a URL {example}")
    return text


def _check_http_unix(text: str) -> None:
    """Reject a URL whose host is not the percent-encoded absolute path of a socket."""
    if "#" in text:
        raise Wrong("must not have a fragment (#…): it is never sent")
    host = encoded_path(text)
    path = os.fsencode(socket_path(text))
    example = f"like {HTTP_UNIX_EXAMPLE}"
    if "@" in host or ":" in host:
        raise Wrong(f"must not contain a user, password or port beside a socket's path, {example}")
    if _ESCAPED_WRONGLY.search(host) or not path.startswith(b"/") or path.endswith(b"/") or b"\0" in path:
        raise Wrong(f"has to contain the socket's whole path, percent-encoded as the host, {example}")
    if len(path) > UNIX_PATH_BYTES_MAX:
        raise Wrong(f"names a socket whose path is longer than {UNIX_PATH_BYTES_MAX} bytes")


@kind(TEXT)
def read_server_name(node: yaml.Node) -> str:
    """The name or address that a certificate has to contain."""
    text = read_text(node)
    if not _is_host_name(text.lower()) and not _is_ipv6(text):
        raise Wrong("has to be a host name, like login.internal, or an IP address")
    return text


def is_host_and_port(text: str) -> bool:
    """Whether this is a URL's host, with IPv6 addresses in brackets, and perhaps a port. The port's range is not checked."""
    # urlsplit of older patch releases ignores text between a bracket and the port.
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::[0-9]*)?", text)
    if match is None:
        return False
    return _is_ipv6(match[1]) if match[1] is not None else _is_host_name(match[2].lower())


def _is_ipv6(host: str) -> bool:
    try:
        return "%" not in str(ipaddress.IPv6Address(host))  # a URL cannot contain a zone
    except ValueError:
        return False


def _is_host_name(host: str) -> bool:
    """Whether resolvers accept this name. One that they reject would break every request (RFC 1035 §2.3.4)."""
    return len(host) <= 253 and re.fullmatch(r"(?:[a-z0-9_~-]{1,63}\.)*[a-z0-9_~-]{1,63}\.?", host) is not None
