"""All keys of a service: which one signs now, and which one a token names. Knows no claims and no configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import floor, inf

import orjson

from txtoken.service.keys.derived import DerivedKeys
from txtoken.service.keys.key import Key


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
        "_nameless",
        "_revoked",
        "_stays_from",
        "_stays_until",
        "jwks",
        "keys",
    )

    def __init__(self, keys: Sequence[Key], derived: DerivedKeys | None = None) -> None:
        self._fixed = tuple(keys)  # that do not follow the clock
        self._derived = derived
        self._stays_from, self._stays_until = (-inf, inf) if derived is None else (inf, -inf)
        self.keys: tuple[Key, ...] = ()
        self.jwks = b""  # the public keys as a JWK Set (RFC 7517 §5); "" where there is none
        self._by_kid: dict[str, Key] = {}
        self._nameless: Key | None = None
        self._by_age: list[Key] = []
        self._revoked: frozenset[str] = frozenset()
        self._hold(keys)

    def _hold(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self._by_kid = {key.kid: key for key in keys if key.kid}
        self._nameless = next((key for key in keys if not key.kid), None)
        # Those that can sign, the youngest first. The key without a `kid` is the oldest of all.
        signers = [key for key in keys if key.can_sign and key.kid not in self._revoked]
        signers.sort(key=_is_named, reverse=True)
        self._by_age = sorted(signers, key=_begins, reverse=True)
        self.jwks = key_set([key for key in keys if key.kid not in self._revoked])

    def revoke(self, kids: Collection[str]) -> None:
        """Sign with none of these keys any more, and publish none. Their tokens find them still."""
        if self._revoked != kids:
            self._revoked = frozenset(kids)
            self._hold(self.keys)

    def count_verifying(self, now: float) -> int:
        """Return of how many keys a token can be valid at this moment (Unix time): not of those that ended or are revoked."""
        return sum(1 for key in self.keys if now < key.until and key.kid not in self._revoked)

    @property
    def public_count(self) -> int:
        """How many public keys are published."""
        return sum(1 for key in self.keys if key.public_members() is not None and key.kid not in self._revoked)

    def refresh(self, now: float) -> None:
        """Take over the keys that are known at this moment (Unix time), where they follow the clock."""
        if self._derived is not None and not self._stays_from <= now < self._stays_until:
            self._hold([*self._fixed, *self._derived.known(now)])
            self._stays_from, self._stays_until = self._derived.stays(now)

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
        key = first
        while key is not None and key.until < now + life_s:
            key = self._signer_at(key.until)
        return key or first

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
        times = {moment for key in self._by_age for moment in (key.begins, key.until) if abs(moment) < inf}
        early = {floor(moment - life_s) + 1.0 for moment in times}
        current = self.signer(now, life_s)
        for moment in sorted(times | early):
            if moment > now and self.signer(moment, life_s) is not current:
                return moment
        return inf

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
