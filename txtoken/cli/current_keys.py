"""The keys of a configuration as the service has them at one moment. Prints nothing."""

from __future__ import annotations

from txtoken.config.revocation_file import carried_by, read_all
from txtoken.service.keys.build import build_ring
from txtoken.service.keys.ring import KeyRing
from txtoken.service.revocations import Revocations
from txtoken.settings import Config


def read_revocations(config: Config) -> Revocations | None:
    """Read the list of what is no longer valid. None: there is none.

    Raises:
        ConfigError: it cannot be used.
    """
    return None if config.revocations is None else read_all(config.revocations, carried_by(config))


def ring_at(config: Config, now: float, revocations: Revocations | None) -> KeyRing:
    """Make the keys that are known at `now` (Unix time), without those that are revoked among its signers."""
    ring = build_ring(config.keys, config.token_use_s)
    ring.refresh(now)
    ring.revoke(frozenset() if revocations is None else revocations.kids)
    return ring
