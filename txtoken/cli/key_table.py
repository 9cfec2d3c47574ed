"""The keys of a service as a table: what each does now, what comes next, and when the keyset ends. Knows no key material."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from math import floor, inf
from typing import Any, Final

from txtoken import timestamp
from txtoken.service.explanation import duration
from txtoken.service.keys.key import HMAC_ALGORITHMS, Key
from txtoken.service.keys.ring import KeyRing

_RSA_ALONE: Final = ("APISIX openid-connect", "AWS API Gateway (HTTP)", "AWS ALB", "Oracle API Gateway")
# Well-known verifiers that cannot use an algorithm: those with a "no" in the table of docs/reference/verifiers.md.
UNUSABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "ES256": _RSA_ALONE,
    "RS256": (),
    "PS256": ("auth0 java-jwt", "Hasura", "AWS API Gateway (REST)", *_RSA_ALONE),
    "EdDSA": (
        *("node jsonwebtoken", "passport-jwt", "Spring", "auth0 java-jwt", ".NET", "Kubernetes"),
        *("AWS API Gateway (REST)", *_RSA_ALONE),
    ),
}
_COLUMNS: Final = ("kid", "alg", "now", "from", "until", "lead left")
_NAMELESS: Final = "(encKey)"  # the key without a `kid`


@dataclass(frozen=True, slots=True)
class Row:
    """One key. `now` says what it does: signs, verifies, comes, ended, or revoked."""

    key: Key
    now: str
    lead_s: float | None  # until it signs, where that is in the future


@dataclass(frozen=True, slots=True)
class Switch:
    """When another key signs (Unix time). None: no key signs from then on."""

    moment: float
    key: Key | None


@dataclass(frozen=True, slots=True)
class KeyTable:
    """All keys at one moment."""

    moment: float
    rows: tuple[Row, ...]
    signer: Key | None
    switch: Switch | None  # None: the same key signs for ever
    ends: float  # when the last key stops signing; `inf`: never

    @property
    def algorithms(self) -> list[str]:
        """The algorithms of all keys that have not ended."""
        return list(dict.fromkeys(row.key.algorithm for row in self.rows if row.now != "ended"))


def key_table(ring_at: Callable[[float], KeyRing], now: float, life_s: int) -> KeyTable:
    """Make the table at `now` (Unix time).

    `ring_at` returns the keys that are known at a moment, and `life_s` is how long tokens live.
    """
    ring = ring_at(now)
    signer = ring.signer(now, life_s)
    signers = ring.signers
    rows = tuple(_row(key, key is signer, key in signers, now) for key in sorted(ring.keys, key=_begins))
    switch = ring.next_switch(now, life_s)
    following = None if switch == inf else Switch(switch, ring_at(switch).signer(switch, life_s))
    return KeyTable(now, rows, signer, following, ring.signing_end(now))


def _row(key: Key, is_signer: bool, can_sign: bool, now: float) -> Row:
    lead_s = key.begins - now if now < key.begins < inf else None
    if now >= key.until:
        return Row(key, "ended", lead_s)
    if is_signer:
        return Row(key, "signs", lead_s)
    if key.can_sign and not can_sign:
        return Row(key, "revoked", lead_s)
    return Row(key, "comes" if can_sign and lead_s is not None else "verifies", lead_s)


def as_text(table: KeyTable) -> str:
    """Write the table for people."""
    cells = [_COLUMNS, *(_cells(row) for row in table.rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, "", *_sentences(table)])


def _cells(row: Row) -> tuple[str, ...]:
    key = row.key
    lead = "-" if row.lead_s is None else duration(row.lead_s)
    return key.kid or _NAMELESS, key.algorithm, row.now, time_of(key.begins) or "-", time_of(key.until) or "-", lead


def _sentences(table: KeyTable) -> Iterable[str]:
    signer, switch, now = table.signer, table.switch, table.moment
    yield f"Now: {_name(signer)} signs." if signer else "Now: no key signs."
    if switch is None:
        yield "Next: no other key comes."
    else:
        what = f"{_name(switch.key)} signs" if switch.key else "no key signs"
        yield f"Next: {what} from {time_of(switch.moment)} on, in {duration(switch.moment - now)}."
    if table.ends == inf:
        yield "End: the keyset does not end."
    elif table.ends > now:
        yield f"End: no key signs from {time_of(table.ends)} on, in {duration(table.ends - now)}. Add the next one before."
    else:
        yield "End: the keyset has ended."
    yield ""
    for algorithm in table.algorithms:
        yield f"{algorithm}: {_reach(algorithm)}"


def _reach(algorithm: str) -> str:
    if algorithm in HMAC_ALGORITHMS:
        return "everyone who verifies tokens can also sign them; the key is never published."
    unusable = UNUSABLE[algorithm]
    return f"not for {', '.join(unusable)}." if unusable else "for all well-known verifiers."


def _name(key: Key) -> str:
    return f"{key.kid or _NAMELESS} ({key.algorithm})"


def as_data(table: KeyTable) -> dict[str, Any]:
    """Write the table for programs. A `kid` is null for the key without one, and a time where there is none."""
    switch = table.switch
    return {
        "keys": [
            {
                **_named(row.key),
                "now": row.now,
                "from": time_of(row.key.begins),
                "until": time_of(row.key.until),
                "leadSeconds": None if row.lead_s is None else floor(row.lead_s),
            }
            for row in table.rows
        ],
        "signs": None if table.signer is None else _named(table.signer),
        "next": None if switch is None else {"from": time_of(switch.moment), **_named(switch.key)},
        "ends": time_of(table.ends),
        "unusable": {name: _unusable(name) for name in table.algorithms},
    }


def _unusable(algorithm: str) -> Collection[str] | None:
    """Name verifiers. None for an HMAC algorithm: its keys are shared with each verifier."""
    return UNUSABLE.get(algorithm)


def _named(key: Key | None) -> dict[str, str | None]:
    return {"kid": key.kid or None if key else None, "alg": key.algorithm if key else None}


def time_of(moment: float) -> str | None:
    """Write a time (RFC 3339). None: it has no bound there."""
    if abs(moment) == inf:
        return None
    return timestamp.written(moment)


def _begins(key: Key) -> float:
    return key.begins
