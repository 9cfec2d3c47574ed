"""All keys of a service: which one signs now, and which one a token names. Knows no claims and no configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import floor, inf
from typing import Final

import orjson

from txtoken.service.keys.derived import DerivedKeys
from txtoken.service.keys.key import Key

# Why there is no JWK Set.
NO_PUBLIC_KEY: Final = (
    "there is no public key now: secrets (HMAC) are never published, and keys that have ended or are revoked no more"
)
# What a key is for: it signs, it signed or never will, it signs later.
USES: Final = ("signing", "old", "next")


class KeyRing:
    """The keys that sign and verify tokens, in the order of the configuration.

    A key is found by a token's `kid`, and brings its own algorithm: a token never chooses one. The key without a `kid` is for
    tokens without one; where it is alone, a token's `kid` means nothing. Call `refresh` at least once a second.
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
        self._fixed = tuple(keys)  # that do not follow the clock
        self._derived = derived
        self._stays_from, self._stays_until = inf, -inf  # for how long these keys are right
        self.keys: tuple[Key, ...] = ()
        self.jwks = b""  # the public keys that have not ended, as a JWK Set (RFC 7517 §5); "" where there is none
        self._by_kid: dict[str, Key] = {}
        self._nameless: Key | None = None
        self._by_age: list[Key] = []
        self._revoked: frozenset[str] = frozenset()
        # Those with a public half that have not ended and are not revoked: another list whenever anything here has changed.
        self.published: list[Key] = []
        self._moment = -inf  # that this is of
        self._hold(keys)

    def _hold(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self._by_kid = {key.kid: key for key in keys if key.kid}
        self._nameless = next((key for key in keys if not key.kid), None)
        # Those that can sign, the youngest first. The key without a `kid` is the oldest of all.
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
        """Sign with none of these keys any more, and publish none. Their tokens find them still."""
        if self._revoked != kids:
            self._revoked = frozenset(kids)
            self._hold(self.keys)

    def is_revoked(self, key: Key) -> bool:
        """Whether all tokens of a key are revoked."""
        return key.kid in self._revoked

    def refresh(self, now: float) -> None:
        """Take over what is known at this moment (Unix time): keys that follow the clock, and which of all are published."""
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
        """Return the key that a token with this `kid` (None: without one) has to be signed by. None: there is none any more."""
        key = self._nameless
        if kid is not None and self._by_kid:
            key = self._by_kid.get(kid) if isinstance(kid, str) else None
        return key if key is not None and now < key.until else None

    def signer(self, now: float, life_s: float = 0.0) -> Key | None:
        """Return the key that signs a token of `now` (Unix time) that is to live so long. None: no key signs now.

        It is the one whose `begins` has passed last. Where it ends before the token would, it is the next one that outlives the
        token; where there is none, the token has to end with the key (contract §5).
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
        """Return when another key may sign (Unix time), the first first."""
        return sorted({moment for key in self._by_age for moment in (key.begins, key.until) if abs(moment) < inf})

    def _signer_at(self, moment: float) -> Key | None:
        for key in self._by_age:
            if key.begins <= moment < key.until:
                return key
        return None

    @property
    def rotates(self) -> bool:
        """Whether there are keys that rotate by themselves."""
        return self._derived is not None

    @property
    def signers(self) -> tuple[Key, ...]:
        """The keys that may sign, whatever the time is: those with a private half that are not revoked."""
        return tuple(self._by_age)

    def next_switch(self, now: float, life_s: float) -> float:
        """Return when another key signs tokens that live so long, or none does (Unix time). `math.inf`: never.

        A key that ends before its tokens would gives way to the next one before its end.
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
        """Return what a key is for at this moment (Unix time): one of `USES`."""
        if key is self._signer_at(now):
            return "signing"
        return "next" if key.begins > now else "old"

    def signing_end(self, now: float) -> float:
        """Return when no key signs any more (Unix time), `now` where none does already. `math.inf`: never."""
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
    """Write the public keys as a JWK Set (RFC 7517 §5): the same bytes for the same keys. Empty where there is none."""
    found = []
    for key in sorted(keys, key=_begins_and_kid):
        members = key.public_members()
        if members is not None:
            found.append({"kty": members["kty"], "use": "sig", "alg": key.algorithm, "kid": key.kid, **members})
    return orjson.dumps({"keys": found}) if found else b""


def _begins_and_kid(key: Key) -> tuple[float, str]:
    return key.begins, key.kid
