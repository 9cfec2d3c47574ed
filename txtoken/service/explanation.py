"""Explains to people why a token is or is not valid. Uses the verdict of `tokens`; judges nothing itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from txtoken.errors import TokenError
from txtoken.service.keys.key import BEARER_TYPE
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.compact import UnusableJson, compact_object
from txtoken.service.tokens.segments import decode_segment
from txtoken.service.tokens.verify import TokenVerifier

_ADVICE: Final = {
    "segments": "a token has three parts with dots between them; perhaps it was truncated, or something was added to it",
    "malformed": "a part of it is malformed; perhaps it was changed on its way",
    "signature": "it was signed with another key, or changed after it was signed",
    "no_expiry": "it has no `exp`, and tokens that never expire are rejected (verify.requireExp)",
    "issuer": "its `iss` is not the required one (verify.iss)",
    "audience": "its `aud` does not contain an accepted one (verify.aud)",
    "revoked": "it was revoked: the token itself, its session, user or key, or all tokens of that time (revocations)",
}
_KID_LENGTH_MAX: Final = 64
_KIDS_MAX: Final = 16  # in a message
# Of a self-rotating key: its period and a part of its thumbprint.
_DERIVED_KID: Final = re.compile(r"([0-9]{1,12})-[A-Za-z0-9_-]{11}")
_OF_TIMES: Final = ("malformed", "no_expiry", "expired", "not_yet")  # reasons that an invalid time can cause
_TIMES: Final = ("exp", "nbf", "iat")  # seconds since 1970 (RFC 7519 §2: NumericDate)
_SECONDS_MAX: Final = 100_000_000_000  # the year 5138: a larger number is in milliseconds, or finer
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a token. `header` and `claims` are JSON text, or None if they cannot be read."""

    valid: bool
    error: str | None
    reason: str
    header: bytes | None
    claims: bytes | None


def explain(verifier: TokenVerifier, token: bytes, now: float) -> Explanation:
    """Explain why `token` is or is not valid at `now` (Unix time in seconds). The verdict is the verifier's."""
    header, claims = _readable(token)
    try:
        verdict = verifier.verify(token, now)
    except TokenError as error:
        return Explanation(False, error.public, _why_not(error, verifier.ring, header, claims, now), header, claims)
    if odd := _odd_time(claims, (*_TIMES, "auth_time")):
        return Explanation(True, None, f"it is valid, but {odd}", header, claims)
    if verdict.valid_until == float("inf"):
        return Explanation(True, None, "it is valid, and never expires", header, claims)
    return Explanation(True, None, f"it is valid for another {duration(verdict.valid_until - now)}", header, claims)


def duration(seconds: float) -> str:
    """Write a time as people say it: `32 s`, `3 h 12 min`, `2 d 4 h`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _why_not(error: TokenError, ring: KeyRing, header: bytes | None, claims: bytes | None, now: float) -> str:
    if error.code == "key":
        return _why_unknown(ring, _members(header), now)
    if error.code == "algorithm":
        return _other_method(ring, _members(header), now)
    if error.code == "audience" and _members(header).get("typ") == BEARER_TYPE:
        return "it is the token that this service sends to the remote, not a user's token"
    if error.code in _OF_TIMES and (odd := _odd_time(claims)):
        return odd
    if error.code == "expired" and (expires := _number(claims, "exp")) is not None:
        if expires <= now:
            return f"it expired {duration(now - expires)} ago"
        return "it is too old (verify.maxAge)"
    if error.code == "not_yet" and (begins := _number(claims, "nbf")) is not None:
        return f"it becomes valid in {duration(begins - now)}"
    return _ADVICE.get(error.code, error.public)


def _why_unknown(ring: KeyRing, header: Mapping[str, object], now: float) -> str:
    """Explain why the service does not know the key that a token names."""
    known = f"this service knows {_names(key.kid for key in ring.keys if now < key.until)}"
    if header.get("kid") is None:
        return f"it does not name its key (`kid`), and {known}"
    kid = header["kid"]
    if not isinstance(kid, str) or not 0 < len(kid) <= _KID_LENGTH_MAX or not kid.isprintable():
        return f"its key (`kid`) was never a key of this service: {known}"
    ended = next((key.until for key in ring.keys if key.kid == kid), None)
    if ended is not None:
        return f"its key ({kid}) ended {duration(now - ended)} ago (keys.until)"
    if _is_of_past_period(ring, kid):
        return f"its key ({kid}) ended by rotation, and {known}"
    return f"its key (`kid`), {kid}, is unknown: {known}"


def _is_of_past_period(ring: KeyRing, kid: str) -> bool:
    """Whether a key looks like a self-rotating key from before the known ones."""
    named = _DERIVED_KID.fullmatch(kid)
    if named is None or not ring.rotates:
        return False
    periods = [int(found[1]) for key in ring.keys if (found := _DERIVED_KID.fullmatch(key.kid))]
    return bool(periods) and int(named[1]) < min(periods)


def _names(kids: Iterable[str]) -> str:
    names = [kid or "the key without a name (encKey)" for kid in kids]
    if len(names) > _KIDS_MAX:
        names[_KIDS_MAX:] = [f"{len(names) - _KIDS_MAX} more"]
    return ", ".join(names) if names else "no key now"


def _other_method(ring: KeyRing, header: Mapping[str, object], now: float) -> str:
    key = ring.find(header.get("kid"), now)
    if key is None or not key.kid:
        algorithms = sorted({known.algorithm for known in ring.keys if not known.kid})
        return f"its `alg` is not one that this service uses ({', '.join(algorithms)})"
    return f"its `alg` is not that of its key ({key.kid}: {key.algorithm})"


def _odd_time(claims: bytes | None, names: Iterable[str] = _TIMES) -> str:
    """Name a time that is not a number of seconds. Empty: none found."""
    found = _members(claims)
    for name in names:
        value = found.get(name, 0)
        if isinstance(value, str):
            return f"its `{name}` is text, and has to be a number of seconds"
        if not isinstance(value, int | float) or isinstance(value, bool):
            return f"its `{name}` is not a number, and has to be a number of seconds"
        if value >= _SECONDS_MAX:
            return f"its `{name}` looks like milliseconds, and has to be in seconds"
    return ""


def _readable(token: bytes) -> tuple[bytes | None, bytes | None]:
    segments = token.split(b".", 3)
    texts = (*_texts(segments[:2]), None, None)
    return texts[0], texts[1]


def _texts(segments: list[bytes]) -> Iterator[bytes | None]:
    for segment in segments:
        try:
            yield compact_object(decode_segment(segment) or b"")
        except UnusableJson:
            yield None


def _number(claims: bytes | None, name: str) -> float | None:
    value = _members(claims).get(name)
    return value if isinstance(value, int | float) else None


def _members(claims: bytes | None) -> Mapping[str, object]:
    """Read the claims. Empty if orjson rejects them, for example an integer of 400 digits."""
    try:
        members = orjson.loads(claims or b"{}")
    except orjson.JSONDecodeError:
        return {}
    assert isinstance(members, dict)
    return members
