"""All keys of a service: finds the key that signs now, and the key of a token. Knows no claims and no configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import floor, inf
from typing import Final

import orjson

from txtoken.service.keys.derived import DerivedKeys
from txtoken.service.keys.key import Key

# The reason for an absent JWK Set.
NO_PUBLIC_KEY: Final = (
    "there is no public key now: secrets (HMAC) are never published, and neither are ended or revoked keys"
)
# The uses of a key: it signs, it only verifies, it will sign later.
USES: Final = ("signing", "old", "next")


class KeyRing:
    """The keys that sign and verify tokens, in the order of the configuration.

    A token's `kid` finds the key, and the key has its algorithm: a token never chooses one. The key without a `kid` is for tokens
    without one; if it is the only key, a token's `kid` is ignored. Call `refresh` at least once a second.
    """

    __slots__ = (
        "_by_age",
        "_by_kid",
        "_derived",
        "_fixed",
        "_moment",
        "_nameless",
        "_revoked",
        "_stays_from",
        "_stays_until",
        "jwks",
        "keys",
        "published",
    )

    def __init__(self, keys: Sequence[Key], derived: DerivedKeys | None = None) -> None:
        self._fixed = tuple(keys)  # keys that do not depend on the clock
        self._derived = derived
        self._stays_from, self._stays_until = inf, -inf  # how long these keys stay the same
        self.keys: tuple[Key, ...] = ()
        self.jwks = b""  # the public keys that have not ended, as a JWK Set (RFC 7517 §5); "" where there is none
        self._by_kid: dict[str, Key] = {}
        self._nameless: Key | None = None
        self._by_age: list[Key] = []
        self._revoked: frozenset[str] = frozenset()
        # Keys with a public half that have not ended and are not revoked. Every change makes a new list.
        self.published: list[Key] = []
        self._moment = -inf  # that this is of
        self._hold(keys)

    def _hold(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self._by_kid = {key.kid: key for key in keys if key.kid}
        self._nameless = next((key for key in keys if not key.kid), None)
        # Keys that can sign, youngest first. The key without a `kid` is the oldest.
        signers = [key for key in keys if key.can_sign and key.kid not in self._revoked]
        signers.sort(key=_is_named, reverse=True)
        self._by_age = sorted(signers, key=_begins, reverse=True)
        self.published = [
            key
            for key in keys
            if key.kid not in self._revoked and self._moment < key.until and key.public_members() is not None
        ]
        self.jwks = key_set(self.published)

    def revoke(self, kids: Collection[str]) -> None:
        """Stop signing with these keys, and stop publishing them. Their tokens still find them."""
        if self._revoked != kids:
            self._revoked = frozenset(kids)
            self._hold(self.keys)

    def is_revoked(self, key: Key) -> bool:
        """Whether all tokens of a key are revoked."""
        return key.kid in self._revoked

    def refresh(self, now: float) -> None:
        """Update the keys for this moment (Unix time): those that depend on the clock, and the published ones."""
        if self._stays_from <= now < self._stays_until:
            return
        ends = [key.until for key in self._fixed]
        stays_from = max([end for end in ends if end <= now], default=-inf)
        stays_until = min([end for end in ends if end > now], default=inf)
        keys = [*self._fixed]
        if self._derived is not None:
            keys += self._derived.known(now)
            derived_from, derived_until = self._derived.stays(now)
            stays_from, stays_until = max(stays_from, derived_from), min(stays_until, derived_until)
        self._moment = now
        self._hold(keys)
        self._stays_from, self._stays_until = stays_from, stays_until

    def find(self, kid: object, now: float) -> Key | None:
        """Return the key for a token with this `kid` (None: without one). None: unknown, or ended."""
        key = self._nameless
        if kid is not None and self._by_kid:
            key = self._by_kid.get(kid) if isinstance(kid, str) else None
        return key if key is not None and now < key.until else None

    def signer(self, now: float, life_s: float = 0.0) -> Key | None:
        """Return the key that signs a token at `now` (Unix time) with this life. None: no key signs now.

        It is the key with the latest `begins` that has passed. If it ends before the token would, the next key that outlives the
        token signs. If there is none, the token has to end with the key (contract §5).
        """
        first = self._signer_at(now)
        if first is None or first.until >= now + life_s:
            return first
        for moment in self._moments():
            key = self._signer_at(moment) if moment > now else None
            if key is not None and key.until >= now + life_s:
                return key
        return first

    def _moments(self) -> list[float]:
        """Return the times when another key may sign (Unix time), in order."""
        return sorted({moment for key in self._by_age for moment in (key.begins, key.until) if abs(moment) < inf})

    def _signer_at(self, moment: float) -> Key | None:
        for key in self._by_age:
            if key.begins <= moment < key.until:
                return key
        return None

    @property
    def rotates(self) -> bool:
        """Whether there are self-rotating keys."""
        return self._derived is not None

    @property
    def signers(self) -> tuple[Key, ...]:
        """The keys that can sign at some time: they have a private half and are not revoked."""
        return tuple(self._by_age)

    def next_switch(self, now: float, life_s: float) -> float:
        """Return when another key, or none, signs tokens with this life (Unix time). `math.inf`: never.

        A key that ends before its tokens would is replaced before its end.
        """
        if self._derived is not None:
            return self._derived.stays(now)[1]
        times = self._moments()
        early = [floor(moment - life_s) + 1.0 for moment in times]
        current = self.signer(now, life_s)
        for moment in sorted(times + early):
            if moment > now and self.signer(moment, life_s) is not current:
                return moment
        return inf

    def use_of(self, key: Key, now: float) -> str:
        """Return the use of a key at this moment (Unix time): one of `USES`."""
        if key is self._signer_at(now):
            return "signing"
        return "next" if key.begins > now else "old"

    def signing_end(self, now: float) -> float:
        """Return when no key signs any more (Unix time), `now` if none signs already. `math.inf`: never."""
        if self._derived is not None:
            return inf
        moment = now
        while moment < inf and (key := self._signer_at(moment)) is not None:
            moment = key.until
        return moment


def _begins(key: Key) -> float:
    return key.begins


def _is_named(key: Key) -> bool:
    return bool(key.kid)


def key_set(keys: Sequence[Key]) -> bytes:
    """Write the public keys as a JWK Set (RFC 7517 §5): the same bytes for the same keys. Empty if there are none."""
    found = []
    for key in sorted(keys, key=_begins_and_kid):
        members = key.public_members()
        if members is not None:
            found.append({"kty": members["kty"], "use": "sig", "alg": key.algorithm, "kid": key.kid, **members})
    return orjson.dumps({"keys": found}) if found else b""


def _begins_and_kid(key: Key) -> tuple[float, str]:
    return key.begins, key.kid
