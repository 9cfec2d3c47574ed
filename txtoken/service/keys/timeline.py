"""What the keys of a service do at a moment, which key signs next, and when no key signs any more. Signs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf
from typing import Final

from txtoken.service.keys.build import build_ring
from txtoken.service.keys.derived import Schedule
from txtoken.service.keys.key import Key
from txtoken.service.keys.ring import KeyRing
from txtoken.settings import KeySettings

SIGNS: Final = "signs"
VERIFIES: Final = "verifies"
COMES: Final = "comes"  # it verifies, and signs later
ENDED: Final = "ended"


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key, and what it does now: `SIGNS`, `VERIFIES`, `COMES` or `ENDED`. `lead_s` is for how long it is known before it signs,
    from now on; None where it does not come.
    """

    key: Key
    does: str
    lead_s: float | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The keys that are known now, the oldest first, and what comes."""

    keys: tuple[KeyState, ...]
    signer: Key | None  # that signs now
    switches: float  # when another key signs, or none does (Unix time); `math.inf`: never
    following: Key | None  # that signs then
    ends: float  # from when on no key signs
    schedule: Schedule | None  # of keys that rotate by themselves


def timeline(settings: KeySettings, life_s: int, now: float) -> Timeline:
    """Look at keys at a moment (Unix time). Tokens live so many seconds.

    Raises:
        KeyMaterialError: a key cannot be used.
    """
    ring = _ring_at(settings, life_s, now)
    signer = ring.signer(now, life_s)
    states = tuple(_state(key, signer, now) for key in sorted(ring.keys, key=_begins))
    schedule = ring.schedule
    if schedule is None:
        switches = _next_switch(ring, life_s, now)
        following = ring.signer(switches, life_s) if switches < inf else None
        ends = max((key.until for key in ring.keys if key.can_sign), default=now)
    else:
        switches = schedule.times(schedule.period(now) + 1).begins
        following = _ring_at(settings, life_s, switches).signer(switches, life_s)  # which need not be known yet
        ends = inf
    return Timeline(states, signer, switches, following, ends, schedule)


def _ring_at(settings: KeySettings, life_s: int, now: float) -> KeyRing:
    ring = build_ring(settings, life_s)
    ring.refresh(now)
    return ring


def _state(key: Key, signer: Key | None, now: float) -> KeyState:
    if key is signer:
        return KeyState(key, SIGNS, None)
    if key.until <= now:
        return KeyState(key, ENDED, None)
    if key.can_sign and key.begins > now:
        return KeyState(key, COMES, key.begins - now)
    return KeyState(key, VERIFIES, None)


def _begins(key: Key) -> float:
    return key.begins


def _next_switch(ring: KeyRing, life_s: int, now: float) -> float:
    """Find the first moment at which another key signs than now. A key that ends before its tokens would stops early."""
    signers = [key for key in ring.keys if key.can_sign]
    moments = {key.begins for key in signers} | {key.until for key in signers}
    moments |= {floor(key.until - life_s) + 1.0 for key in signers if key.until < inf}
    current = ring.signer(now, life_s)
    coming = sorted(moment for moment in moments if now < moment < inf)
    return next((moment for moment in coming if ring.signer(moment, life_s) is not current), inf)
