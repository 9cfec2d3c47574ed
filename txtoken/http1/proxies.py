"""Trusted proxies: which part of `X-Forwarded-For` to trust, and what the next hop gets. Knows header fields; knows no sockets.

Any client can write `X-Forwarded-For`. The field is trusted as far as trusted proxies have written it: from the right, where the
nearest proxy appended to it, up to the first address that is not a trusted proxy's.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from txtoken.http1.messages import UNIX, UNKNOWN, Peer
from txtoken.memo import Memo

KNOWN_MAX: Final = 1024  # remembered peers and fields: the same few repeat
KNOWN_TEXT_BYTES_MAX: Final = 256  # of a remembered field: four hops of IPv6 fit
HOPS_MAX: Final = 32  # that are checked: real chains are shorter, and a field can be 64 KiB long

_MAPPED: Final = b"\0" * 10 + b"\xff\xff"  # an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2)
_MAPPED_TEXT: Final = "::ffff:"
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


class Proxies:
    """The trusted proxies: `trusted` contains networks (`10.0.0.0/8`), and `unix` for all clients of a Unix socket.
    `on_untrusted` is called with a peer whose field `client_behind` ignores.
    """

    __slots__ = ("_clients", "_networks", "_on_untrusted", "_peers", "_trusts_unix")

    def __init__(self, trusted: Sequence[str], on_untrusted: Callable[[str], None] | None = None) -> None:
        self._on_untrusted = on_untrusted
        self._trusts_unix = UNIX in trusted
        self._networks = [_network(text) for text in trusted if text != UNIX]
        self._peers: Memo[str, bool] = Memo(KNOWN_MAX)
        self._clients: Memo[bytes, str] = Memo(KNOWN_MAX)

    def trusts(self, peer: str) -> bool:
        """Whether this peer is a trusted proxy."""
        known = self._peers.get(peer)
        if known is None:
            packed = _packed(peer)
            known = self._trusts_unix if peer == UNIX else packed is not None and self._is_trusted(packed)
            self._peers.put(peer, known)
        return known

    def client(self, peer: str, forwarded_for: bytes) -> str:
        """Find the client's address: the first from the right that is not a trusted proxy's.

        The search stops before an entry that is not an address. If all are proxies, the leftmost is the client.
        """
        if not self.trusts(peer):
            return peer
        known = self._clients.get(forwarded_for)
        if known is None:
            known = self._last_believed(forwarded_for)
            if len(forwarded_for) <= KNOWN_TEXT_BYTES_MAX:
                self._clients.put(forwarded_for, known)
        return known or peer

    def client_behind(self, peer: str, fields: Mapping[bytes, bytes]) -> str:
        """Find the address of the client of a request with these `fields`, and report an ignored field."""
        forwarded_for = fields.get(b"x-forwarded-for")
        if forwarded_for is None:
            return peer
        if self.trusts(peer):
            return self.client(peer, forwarded_for)
        if self._on_untrusted is not None:
            self._on_untrusted(peer)
        return peer

    def forwarded_lines(self, peer: Peer, fields: Mapping[bytes, bytes]) -> bytes:
        """Write the `X-Forwarded-*` lines for the next hop: the client, the scheme and the host of a request with these `fields`.

        A trusted proxy's fields are passed on, with its address appended; those of any other client are replaced.
        """
        chain = [] if peer.address in (UNIX, UNKNOWN) else [_shown(peer.address)]
        if self.trusts(peer.address) and (forwarded_for := fields.get(b"x-forwarded-for")):
            chain.insert(0, forwarded_for)
        scheme, host = self.asked_origin(peer, fields)
        lines = b"X-Forwarded-For: %b\r\n" % b", ".join(chain) if chain else b""
        lines += b"X-Forwarded-Proto: %b\r\n" % scheme
        return lines + b"X-Forwarded-Host: %b\r\n" % host if host else lines

    def asked_origin(self, peer: Peer, fields: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
        """Return scheme and host of a request with these `fields` as its client sees them: from a trusted proxy's fields, else
        from the request itself.
        """
        scheme, host = peer.scheme.encode("ascii"), fields.get(b"host", b"")
        if self.trusts(peer.address):
            scheme = fields.get(b"x-forwarded-proto") or scheme
            host = fields.get(b"x-forwarded-host") or host
        return scheme, host

    def _last_believed(self, forwarded_for: bytes) -> str:
        """Walk from the right. Empty if even the last entry is not an address."""
        last = ""
        for entry in reversed(forwarded_for.rsplit(b",", HOPS_MAX)[-HOPS_MAX:]):
            packed = _packed(entry.strip().decode("latin-1"))
            if packed is None:
                break
            last = _text(packed)
            if not self._is_trusted(packed):
                break
        return last

    def _is_trusted(self, packed: bytes) -> bool:
        address = int.from_bytes(packed, "big")
        return any(length == len(packed) and address >> shift == prefix for length, shift, prefix in self._networks)


def plain_address(address: str) -> str:
    """Return the address of a peer, IPv4-mapped ones as IPv4: a dual-stack socket shows 192.0.2.7 as ::ffff:192.0.2.7."""
    if not address.startswith(_MAPPED_TEXT) or "." not in address:
        return address
    plain = address[len(_MAPPED_TEXT) :]
    return address if ":" in plain else plain


def _network(text: str) -> tuple[int, int, int]:
    """Return the length of a network's addresses (in bytes), the bits to shift them by, and the prefix that is left."""
    network = ipaddress.ip_network(text)
    packed, shift = network.network_address.packed, network.max_prefixlen - network.prefixlen
    if packed.startswith(_MAPPED) and shift <= 32:
        packed = packed[12:]
    return len(packed), shift, int.from_bytes(packed, "big") >> shift


def _packed(text: str) -> bytes | None:
    """Read an address, with or without a port, as 4 or 16 bytes. None: the text is not an address.

    `inet_pton` is strict (no leading zeros, no zones) and takes a tenth of the time of `ipaddress`.
    """
    match = _WITH_PORT.fullmatch(text)
    if match is not None:
        text = match[1] or match[2]
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        packed = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])  # a zone has a meaning only on this machine
    except (OSError, ValueError):  # ValueError: a NUL in it
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed


def _text(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _shown(address: str) -> bytes:
    packed = _packed(address)
    return (address if packed is None else _text(packed)).encode("ascii", "replace")
