"""A key as tokens see it: its name, algorithm and times, and how it signs and verifies. Knows no key material."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

from txtoken.compiling import mypyc_attr

# For each algorithm (RFC 7518 §3.1, RFC 8037 §3.1), the number that the original's check route returns for its hash (Go's
# crypto.Hash): SHA-256, SHA-384, SHA-512. EdDSA has none.
ALGORITHMS: Final[dict[str, int]] = {
    "HS256": 5,
    "HS384": 6,
    "HS512": 7,
    "ES256": 5,
    "RS256": 5,
    "PS256": 5,
    "EdDSA": 0,
}
BEARER_TYPE: Final = "remote+jwt"  # `typ` of the token that txtoken sends to the remote (contract §5)
HMAC_ALGORITHMS: Final = ("HS256", "HS384", "HS512")
RSA_ALGORITHMS: Final = ("RS256", "PS256")
RSA_BITS_MIN: Final = 2048  # RFC 7518 §3.3
RSA_BITS_MAX: Final = 8192


class KeyTimes:
    """When a key begins to sign, and the end before which it signs and verifies (Unix time). It verifies before it begins to
    sign, too, because clocks differ.
    """

    __slots__ = ("begins", "until")

    def __init__(self, begins: float = -inf, until: float = inf) -> None:
        self.begins = begins
        self.until = until


ALWAYS: Final = KeyTimes()


@mypyc_attr(allow_interpreted_subclasses=True)
class Key:
    """One key, with exactly one algorithm (RFC 8725 §3.1). `kid` is "" for the key without a name."""

    __slots__ = ("algorithm", "begins", "can_sign", "is_slow", "kid", "until")

    def __init__(self, kid: str, algorithm: str, times: KeyTimes, *, can_sign: bool = True) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.begins = times.begins
        self.until = times.until
        self.can_sign = can_sign
        self.is_slow = False  # signing takes longer than the loop may be blocked

    def sign(self, signing_input: bytes) -> bytes:
        """Sign header and payload as in a token. Returns the signature's segment (RFC 7515 §5.1)."""
        raise NotImplementedError

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether this segment is the signature of this input, in canonical encoding. Constant-time."""
        raise NotImplementedError

    def public_members(self) -> Mapping[str, str] | None:
        """Return the key's own members of its public JWK (RFC 7518 §6), sorted by name. None: it is a secret."""
        return None
