"""Claims into tokens (contract §3.1). Knows no clock and no sockets: callers say what time it is."""

from __future__ import annotations

from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.segments import encode_segment


class TokenIssuer:
    """Signs tokens that carry `data` and live `ttl_s` seconds."""

    __slots__ = ("_end", "_key", "_second", "_start", "_ttl_s")

    def __init__(self, ring: KeyRing, ttl_s: int) -> None:
        self._key = ring.signer()
        self._ttl_s = ttl_s
        self._second = -1  # the one that `_end` was written for
        self._end = b""
        self._start = encode_segment(b'{"alg":"%b","typ":"JWT"}' % self._key.algorithm.encode("ascii")) + b"."

    def issue(self, data: bytes, now: int) -> bytes:
        """Return the token for `data`, which is compact JSON. `now` is Unix time in seconds."""
        if now != self._second:
            self._second = now
            self._end = b',"exp":%d}' % (now + self._ttl_s)
        claims = b"".join((b'{"data":', data, self._end))
        signing_input = self._start + encode_segment(claims)
        return b"".join((signing_input, b".", self._key.sign(signing_input)))
