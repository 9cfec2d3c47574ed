"""Builds the key ring from the configuration. Knows which module makes which kind of key."""

from __future__ import annotations

import importlib
from typing import Any

from txtoken.errors import KeyMaterialError
from txtoken.service.keys.derived import DerivedKeys, Schedule
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import HMAC_ALGORITHMS, Key, KeyTimes
from txtoken.service.keys.ring import KeyRing
from txtoken.settings import KeyEntry, KeySettings, RotationSettings

CRYPTO_MISSING = "needs the package cryptography, which is not installed: pip install cryptography (not for HS256)"


def build_ring(settings: KeySettings, life_s: int) -> KeyRing:
    """Make the keys of a service whose tokens live at most so many seconds. Reading the configuration has proved that each works.

    Raises:
        KeyMaterialError: one of them cannot be used.
    """
    keys: list[Key] = [build_key(entry, is_proved=True) for entry in settings.entries]
    if settings.secret is not None:
        keys.append(HmacKey(settings.secret.reveal()))
    return KeyRing(keys, None if settings.rotation is None else build_derived(settings.rotation, life_s))


def build_key(entry: KeyEntry, *, is_proved: bool = False) -> Key:
    """Make one key. With `is_proved`, it is known to work.

    Raises:
        KeyMaterialError: it cannot be used, or not for its algorithm.
    """
    times = KeyTimes(entry.begins, entry.until)
    if entry.algorithm in HMAC_ALGORITHMS:
        return HmacKey(entry.material.reveal(), entry.algorithm, entry.kid, times)
    key: Key = asymmetric().load(entry.material.reveal(), entry.algorithm, entry.kid, times, is_proved=is_proved)
    return key


def build_derived(rotation: RotationSettings, life_s: int) -> DerivedKeys:
    """Make self-rotating keys.

    Raises:
        KeyMaterialError: their algorithm needs a package that is not installed.
    """
    if rotation.algorithm not in HMAC_ALGORITHMS:
        asymmetric()
    schedule = Schedule(rotation.every_s, rotation.lead_s, life_s)
    secrets = [secret.reveal() for secret in rotation.secrets]
    return DerivedKeys(secrets, rotation.algorithm, rotation.issuer, schedule)


def asymmetric() -> Any:
    """Return the module of asymmetric keys.

    Raises:
        KeyMaterialError: the package that it needs is not installed.
    """
    try:
        return importlib.import_module("txtoken.service.keys.asymmetric")
    except ImportError:
        raise KeyMaterialError(CRYPTO_MISSING) from None
