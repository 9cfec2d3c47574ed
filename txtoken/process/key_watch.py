"""Copies the state of a worker's keys to shared memory. Knows no metric's name, and decides nothing."""

from __future__ import annotations

from math import inf

from txtoken.observe.metrics import Block
from txtoken.service.keys.ring import KeyRing


class KeyWatch:
    """Copies the state of the keys into a worker's block. It checks them only when something can have changed: not at every beat,
    four times a second, but when there are other keys, or at the time of the next change.
    """

    __slots__ = ("_block", "_gauges", "_published", "_stays_from", "_stays_until", "_ttl_s")

    def __init__(self, block: Block) -> None:
        self._block = block
        self._published: object = None  # the last checked keys: a different object whenever the keys change
        self._ttl_s = 0
        self._stays_from, self._stays_until = inf, -inf  # how long that is valid
        self._gauges = [0, 0, 0]

    def publish(self, ring: KeyRing, ttl_s: int, now: int) -> list[int]:
        """Copy the moments into the block. Returns the gauges: whether a key signs, how many verify, how many are published.

        `ttl_s` is how long tokens live.
        """
        is_known = ring.published is self._published and ttl_s == self._ttl_s
        if not is_known or not self._stays_from <= now < self._stays_until:
            self._look(ring, ttl_s, now)
        return self._gauges

    def _look(self, ring: KeyRing, ttl_s: int, now: int) -> None:
        key, switches = ring.signer(now, ttl_s), ring.next_switch(now, ttl_s)
        block = self._block
        block.set_moment("key_began", 0.0 if key is None else max(0.0, key.begins))
        block.set_moment("key_ends", 0.0 if key is None else key.until)
        block.set_moment("key_switches", switches)
        block.set_moment("keys_end", ring.signing_end(now))
        verifying = [known for known in ring.keys if now < known.until and not ring.is_revoked(known)]
        self._gauges = [int(key is not None), len(verifying), len(ring.published)]
        self._published, self._ttl_s = ring.published, ttl_s
        self._stays_from = now
        self._stays_until = min([switches, *(known.until for known in verifying)])
