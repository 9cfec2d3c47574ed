"""Warnings about a change of keys: what it does to issued tokens, and to verifiers that cache keys. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from txtoken.service.keys.build import build_key
from txtoken.service.keys.derived import Schedule
from txtoken.service.keys.key import HMAC_ALGORITHMS, Key
from txtoken.settings import Config, KeySettings, RotationSettings

# After which all known verifiers accept a new key, except .NET's (docs/reference/verifiers.md).
LEAD_S_MIN: Final = 3 * 3600
_REJECTED: Final = "tokens that were issued before are rejected from now on"


def key_changes(before: Config, after: Config, now: float) -> list[str]:
    """Return warnings about what a new configuration's keys do to tokens and verifiers, at `now` (Unix time)."""
    old, new = _built(before.keys), _built(after.keys)
    return [
        *_other_secret(before.keys, after.keys),
        *_gone(old, new, now),
        *_other_rotation(before, after),
        *_short_leads([*_added(old, new, now), *_derived(before.keys, after.keys)], before.keys.algorithms, now),
    ]


def _built(keys: KeySettings) -> list[Key]:
    return [build_key(entry, is_proved=True) for entry in keys.entries]


def _other_secret(before: KeySettings, after: KeySettings) -> Iterator[str]:
    if before.secret is not None and before.secret != after.secret:
        what = "was removed" if after.secret is None else "changed"
        yield f"encKey {what}: tokens that it signed are rejected from now on"


def _gone(before: Sequence[Key], after: Sequence[Key], now: float) -> Iterator[str]:
    """Warn of listed keys that no longer verify, although their tokens have not expired."""
    left = {_identity(key) for key in after if key.until > now}
    for key in before:
        if key.begins <= now < key.until and _identity(key) not in left:
            yield f"the key {key.kid} no longer verifies: tokens that it signed are rejected from now on"


def _identity(key: Key) -> tuple[str, str, object]:
    """Return what makes a key the same key to a verifier, in whatever form and file it was given."""
    members = key.public_members()
    proof = key.sign(b"") if members is None else tuple(members.items())  # an HMAC key has no public members
    return key.kid, key.algorithm, proof


def _other_rotation(before: Config, after: Config) -> Iterator[str]:
    """Warn if the self-rotating keys are different, or fewer."""
    old, new = before.keys.rotation, after.keys.rotation
    if old is None:
        return
    if new is None:
        yield f"the self-rotating keys were removed: {_REJECTED}"
    elif _family(old) != _family(new):
        yield f"a changed alg, every or iss derives other keys: {_REJECTED}"
    elif not all(secret in new.secrets for secret in old.secrets):
        yield f"a secret of the self-rotating keys was removed: {_REJECTED} if it signed them"
    elif Schedule(new.every_s, new.lead_s, after.token_use_s).old * new.every_s < before.token_use_s:
        yield "expHours is shorter, so fewer old keys are kept: tokens issued before are rejected once their key is dropped"


def _family(rotation: RotationSettings) -> tuple[str, int, str]:
    return rotation.algorithm, rotation.every_s, rotation.issuer


@dataclass(frozen=True, slots=True)
class Added:
    """A key that is published from now on."""

    name: str
    algorithm: str
    begins: float  # to sign, Unix time


def _added(before: Sequence[Key], after: Sequence[Key], now: float) -> Iterator[Added]:
    """Find new listed keys that sign: they were not published before."""
    known = {_identity(key) for key in before}
    for key in after:
        if key.can_sign and key.until > now and key.public_members() is not None and _identity(key) not in known:
            yield Added(f"the key {key.kid}", key.algorithm, key.begins)


def _derived(before: KeySettings, after: KeySettings) -> Iterator[Added]:
    """Find new self-rotating keys: they were not published before."""
    old, new = before.rotation, after.rotation
    if new is None or new.algorithm in HMAC_ALGORITHMS:
        return
    if old is None or _family(old) != _family(new) or new.secrets[0] not in old.secrets:
        yield Added("the derived key", new.algorithm, -inf)


def _short_leads(added: Iterable[Added], algorithms: Sequence[str], now: float) -> Iterator[str]:
    """Warn of keys that sign too soon after they are first published, or have an algorithm other than these: verifiers cache
    keys, and some learn the algorithm only when they start.
    """
    for key in added:
        if key.begins < now + LEAD_S_MIN:
            yield f"{key.name} signs less than 3 h after it was published: verifiers that cache keys may not know it yet"
        if algorithms and key.algorithm not in algorithms:
            yield f"{key.name} has a different algorithm: restart verifiers that learn it only at start, before the key signs"
