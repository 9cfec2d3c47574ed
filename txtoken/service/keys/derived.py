"""Self-rotating keys, derived from one secret (contract §5; docs/reference/key-derivation.md specifies the derivation exactly).

Every replica with the same secret has the same keys, without a database and without a leader. Knows periods and HKDF (RFC 5869);
its caller passes the time.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any, Final

from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key, KeyTimes
from txtoken.service.tokens.segments import encode_segment

SALT: Final = b"txtoken key v1"
# Bytes of HKDF's output for each algorithm: an HMAC secret, an Ed25519 seed (RFC 8032 §5.1.5), and for P-256 enough more than its
# 32 that the remainder of a division is practically uniform (FIPS 186-5 A.2.1; RFC 9380 §5 has 48 for P-256).
OUTPUT_BYTES: Final = {"HS256": 32, "EdDSA": 32, "ES256": 48}
FIELD_BYTES_MAX: Final = 0xFFFF  # of `info`: its length prefix has two bytes
KID_BYTES: Final = 8  # of a thumbprint, in a `kid`
LAG_S_MAX: Final = 900  # how long a key is kept after its last token expired: clocks of verifiers differ
KEYS_MAX: Final = 16  # AWS ALB accepts 10, and most verifiers search all
YEAR_2020: Final = 1_577_836_800  # an earlier clock was never set


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which keys are known when. `life_s` is how long the longest token lives."""

    every_s: int
    lead_s: int
    life_s: int

    @property
    def coming(self) -> int:
        """How many keys are known before they sign."""
        return ceil(self.lead_s / self.every_s)

    @property
    def lag_s(self) -> int:
        """How long a key is kept after it last signed."""
        return self.life_s + min(LAG_S_MAX, self.every_s)

    @property
    def old(self) -> int:
        """How many keys are known after they signed."""
        return ceil(self.lag_s / self.every_s)

    def period(self, now: float) -> int:
        """Return the number of the period that this moment (Unix time) is in."""
        return int(now // self.every_s)

    def periods(self, now: float) -> range:
        """Return the numbers of all periods whose keys are known at this moment."""
        current = self.period(now)
        return range(current - self.old, current + self.coming + 1)

    def times(self, period: int) -> KeyTimes:
        """Return from when a period's key signs, and until when it is known. The next one signs before that."""
        begins = period * self.every_s
        return KeyTimes(begins, begins + self.every_s * (1 + self.old))


class DerivedKeys:
    """The keys of each period. The first secret signs, all verify."""

    __slots__ = ("_algorithm", "_issuer", "_keys", "_roots", "schedule")

    def __init__(self, secrets: Sequence[bytes], algorithm: str, issuer: str, schedule: Schedule) -> None:
        self._roots = [hmac.digest(SALT, secret, "sha256") for secret in secrets]  # HKDF-Extract (RFC 5869 §2.2)
        self._algorithm = algorithm
        self._issuer = issuer
        self.schedule = schedule
        self._keys: dict[tuple[int, int], Key] = {}

    def known(self, now: float) -> list[Key]:
        """Return all keys known at this moment (Unix time), oldest first. None before 2020: that clock is wrong."""
        if now < YEAR_2020:
            return []
        wanted = [(number, period) for period in self.schedule.periods(now) for number in range(len(self._roots))]
        self._keys = {place: self._keys.get(place) or self._make(*place) for place in wanted}
        return list(self._keys.values())

    def stays(self, now: float) -> tuple[float, float]:
        """Return from when until before when the same keys are known as at this moment (Unix time)."""
        if now < YEAR_2020:
            return -inf, YEAR_2020
        begins = self.schedule.period(now) * self.schedule.every_s
        return max(begins, YEAR_2020), begins + self.schedule.every_s

    def _make(self, number: int, period: int) -> Key:
        key = derive(self._roots[number], self._algorithm, self._issuer, self.schedule, period)
        key.can_sign = number == 0
        return key


def derive(root: bytes, algorithm: str, issuer: str, schedule: Schedule, period: int) -> Key:
    """Derive a period's key. `root` is HKDF's pseudorandom key."""

    def output(use: bytes, size: int) -> bytes:
        numbers = (schedule.every_s.to_bytes(8), period.to_bytes(8))
        return expand(root, (use, issuer.encode(), algorithm.encode("ascii"), *numbers), size)

    material, times = output(b"sign", OUTPUT_BYTES[algorithm]), schedule.times(period)
    if algorithm == "HS256":
        # A thumbprint of the secret would let anyone test guesses (RFC 7638 §7).
        name = encode_segment(output(b"kid", KID_BYTES)).decode("ascii")
        return HmacKey(material, algorithm, f"{period}-{name}", times)
    asymmetric: Any = importlib.import_module("txtoken.service.keys.asymmetric")
    private, public = asymmetric.pair_of(material, algorithm)
    name = encode_segment(asymmetric.digest(public)[:KID_BYTES]).decode("ascii")
    key: Key = asymmetric.AsymmetricKey(private, public, algorithm, f"{period}-{name}", times)
    return key


def expand(root: bytes, fields: Sequence[bytes], size: int) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3) with SHA-256. Each field of `info` has its length before it, so that no two lists of fields are
    the same bytes.
    """
    info = b"".join(len(field).to_bytes(2) + field for field in fields)
    output, block = b"", b""
    for counter in range(1, ceil(size / hashlib.sha256().digest_size) + 1):
        block = hmac.digest(root, block + info + bytes((counter,)), "sha256")
        output += block
    return output[:size]
