"""Addresses in the configuration: listening addresses, and the networks of proxies. Knows no key's name and no socket."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Final

import yaml

from txtoken.config.values import TEXT, Wrong, kind, list_of, read_text
from txtoken.settings import UNIX_PREFIX

UNIX_PATH_BYTES_MAX: Final = 107  # of Linux's sockaddr_un, without the terminating byte
PORT_MAX: Final = 65535
NETWORK: Final = "unix|[0-9A-Fa-f:.]+(?:/[0-9.]+)?"


@kind("string", pattern=r"localhost|[0-9A-Fa-f:.]+(?:%[^%]+)?|unix:/[\s\S]*[^/]")
def read_address(node: yaml.Node) -> str:
    """An IP address, `localhost`, or `unix:` and the path of a socket."""
    text = read_text(node)
    if text.startswith(UNIX_PREFIX):
        path = text.removeprefix(UNIX_PREFIX)
        if not path.startswith("/") or path.endswith("/") or len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
            length = f"at most {UNIX_PATH_BYTES_MAX} bytes long"
            raise Wrong(f"has to name a Unix socket by its whole path, {length}: unix:/run/txtoken/txtoken.sock", node)
    elif text != "localhost":
        try:
            ipaddress.ip_address(text)
        except ValueError:
            example = "an IP address like 0.0.0.0, 127.0.0.1 or ::, localhost, or unix:/path"
            raise Wrong(f"has to be {example}", node) from None
    return text


@kind(f"array {TEXT}", items=read_address.schema, minItems=1, uniqueItems=True)
def read_addresses(node: yaml.Node) -> tuple[str, ...]:
    """One address or a list of them, each once."""
    addresses = list_of(read_address)(node)
    if not addresses:
        raise Wrong("lists no address: leave it out to listen on all")
    if len(set(addresses)) != len(addresses):
        raise Wrong("lists an address twice")
    return addresses


@kind("string", pattern=r"(?:[0-9.]+|\[[0-9A-Fa-f:.]+\]|localhost):[0-9]{1,5}|unix:/[\s\S]*[^/]")
def read_listen(node: yaml.Node) -> str:
    """An address with its port, or `unix:` and the path of a socket. Returns the text unchanged."""
    text = read_text(node)
    if text.startswith(UNIX_PREFIX):
        return read_address(node)
    host, _, port = text.rpartition(":")
    plain = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        is_right = plain == "localhost" or (ipaddress.ip_address(plain).version == 6) == (plain != host)
    except ValueError:
        is_right = False
    if not is_right or not re.fullmatch("0|[1-9][0-9]{0,4}", port) or int(port) > PORT_MAX:
        raise Wrong("has to be an address with a port, like 127.0.0.1:8890 or '[::1]:8890', or unix:/path", node)
    return text


def is_local(address: str) -> bool:
    """Whether only this machine can reach this address of `listen`."""
    if address == "localhost" or address.startswith(UNIX_PREFIX):
        return True
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


@kind("string", pattern=NETWORK)
def read_proxies(node: yaml.Node) -> str:
    """A network of proxies, as `10.0.0.0/8`. One address is a network too. `unix` means every Unix socket."""
    text = read_text(node)
    if text == "unix":
        return text
    wanted = "has to be a list of networks like 10.0.0.0/8 or fd00::/8, addresses, or unix"
    if "%" in text:
        raise Wrong(f"{wanted}, without zones", node)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Wrong(wanted, node) from None
    if "/" in text and ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        raise Wrong(f"{text} is an address within a network: did you mean {network}?", node)
    return str(network)
