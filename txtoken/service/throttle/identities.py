"""Keys of the throttle's table: hashes, with a secret, of who attempts a login. Knows addresses and names; counts nothing.

No attacker can choose a name that collides with another's entry, and the table contains no names. CPython's own hash of bytes is
keyed (SipHash) and takes 0.05 µs, where blake2b takes 0.6 (bench/micro). Its key is the process's, or comes from PYTHONHASHSEED,
so the table's secret is hashed as well. Forked workers, replacements included, inherit both from the supervisor.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from txtoken.memo import Memo
from txtoken.service.throttle.table import KEY_MASK

KNOWN_MAX: Final = 1024  # remembered addresses
IPV4_NETWORK_BYTES: Final = 3  # /24
IPV6_NETWORK_BYTES: Final = (
    7  # /56: the least that a provider gives a customer, so that a single IPv6 address means no more than this
)
_MAPPED: Final = b"\0" * 10 + b"\xff\xff"  # an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2)
# Prefixes for the kinds of hashes, so that no two kinds hash the same text.
_ADDRESS: Final = b"A"
_NAME: Final = b"N"


def siphash_key(text: bytes) -> int:
    """Return the key of an entry, by CPython's hash of bytes."""
    return hash(text) & KEY_MASK


def blake2b_key(text: bytes) -> int:
    """Return the key of an entry, if CPython's hash has 32 bits or is not securely keyed."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") & KEY_MASK


def _choose(width: int, algorithm: str) -> Callable[[bytes], int]:
    return siphash_key if width == 64 and algorithm.startswith("siphash") else blake2b_key


keyed: Final[Callable[[bytes], int]] = _choose(sys.hash_info.width, sys.hash_info.algorithm)


class Known:
    """The known hashes of an address: the prefix for names there, and the key of the address itself."""

    __slots__ = ("key", "prefix")

    def __init__(self, prefix: bytes, key: int) -> None:
        self.prefix = prefix
        self.key = key


class Identities:
    """Makes keys with this secret."""

    __slots__ = ("_known", "_secret")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: Memo[str, Known] = Memo(KNOWN_MAX)

    def keys(self, address: str, names: list[str]) -> list[int]:
        """Return the key of each name in the network of this address, and that of the address. No name is the name "".

        Clients without an IP address (at a Unix socket, or already gone) count as one client.
        """
        known = self._known.get(address)
        if known is None:
            known = self._find_out(address)
            self._known.put(address, known)
        if len(names) == 1:  # nearly always
            return [keyed(known.prefix + _text(names[0])), known.key]
        return [*[keyed(known.prefix + _text(name)) for name in dict.fromkeys(names or [""])], known.key]

    def _find_out(self, address: str) -> Known:
        packed = packed_address(address)
        network = packed[: IPV4_NETWORK_BYTES if len(packed) == 4 else IPV6_NETWORK_BYTES]
        single = packed if len(packed) == 4 else network
        kind = bytes([len(packed)])  # the length of the network, so that the name's start is unambiguous
        return Known(
            b"".join((self._secret, _NAME, kind, network)), keyed(b"".join((self._secret, _ADDRESS, kind, single)))
        )


def _text(name: str) -> bytes:
    # Lone surrogates are not UTF-8, but JSON allows them.
    return name.encode() if name.isascii() else name.encode("utf-8", "surrogatepass")


def packed_address(address: str) -> bytes:
    """Read an address as 4 or 16 bytes. Empty if it is not an address."""
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        # A zone has a meaning only on this machine.
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return b""
    return packed[12:] if packed.startswith(_MAPPED) else packed
