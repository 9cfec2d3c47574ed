"""A key as tokens know it: its algorithm, and what it signs and verifies. Knows no key material."""

from __future__ import annotations

from txtoken.compiling import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Key:
    """One key. `algorithm` is its JWA name (RFC 7518 §3.1), `jwa_hash` the number that the original's check route has for its
    hash (Go's crypto.Hash).
    """

    __slots__ = ("algorithm", "jwa_hash")

    def __init__(self, algorithm: str, jwa_hash: int) -> None:
        self.algorithm = algorithm
        self.jwa_hash = jwa_hash

    def sign(self, signing_input: bytes) -> bytes:
        """Sign header and payload as they stand in a token. Returns the signature's segment (RFC 7515 §5.1)."""
        raise NotImplementedError

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether this segment is the signature of this input, written in the one way to write it. Constant-time."""
        raise NotImplementedError
