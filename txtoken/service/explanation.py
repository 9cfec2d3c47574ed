"""Why a token is or is not valid, in words for people. Knows what `tokens` found out; judges nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

import orjson

from txtoken.errors import TokenError
from txtoken.service.keys.derived import Schedule
from txtoken.service.keys.key import BEARER_TYPE
from txtoken.service.keys.ring import KeyRing
from txtoken.service.keys.verifiers import verifiers_without
from txtoken.service.times import date_time, duration
from txtoken.service.tokens.compact import UnusableJson, compact_object
from txtoken.service.tokens.memory import Verdict
from txtoken.service.tokens.segments import decode_segment
from txtoken.service.tokens.verify import TokenVerifier

_ADVICE: Final = {
    "segments": "a token is three parts with dots between them; perhaps it was cut, or something was added to it",
    "malformed": "a part of it is not what a token is made of; perhaps it was changed on its way",
    "signature": "it was signed with another key, or changed after it was signed",
    "no_expiry": "it does not say when it expires, and tokens without an end are not accepted (verify.requireExp)",
    "issuer": "its `iss` is not the one that is asked for (verify.iss)",
    "audience": "its `aud` does not name the one that is asked for (verify.aud)",
}
_OF_TIMES: Final = ("malformed", "no_expiry", "expired", "not_yet")  # reasons that a time which is none can have
_TIMES: Final = ("exp", "nbf", "iat")  # seconds since 1970 (RFC 7519 §2: NumericDate)
_SECONDS_MAX: Final = 100_000_000_000  # the year 5138: what is more was meant in milliseconds, or finer
_NAME_LENGTH_MAX: Final = 64  # of a `kid`
_NAMES_MAX: Final = 8
_MOMENT_MAX: Final = 250_000_000_000  # the year 9892: few later ones can be written as a date


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a token. `header` and `claims` are JSON text, or None where they cannot be read.

    `not_verified_by` names well-known verifiers that cannot use the algorithm of a valid token.
    """

    valid: bool
    error: str | None
    reason: str
    header: bytes | None
    claims: bytes | None
    not_verified_by: tuple[str, ...] = ()


def explain(verifier: TokenVerifier, ring: KeyRing, token: bytes, now: float) -> Explanation:
    """Say why `token` is or is not valid at `now` (Unix time in seconds). The verdict is the verifier's own; `ring` is its."""
    header, claims = _readable(token)
    try:
        verdict = verifier.verify(token, now)
    except TokenError as error:
        return Explanation(False, error.public, _why_not(error, ring, header, claims, now), header, claims)
    without = verifiers_without(verdict.key.algorithm)
    return Explanation(True, None, f"it is valid{_how_valid(verdict, claims, now)}", header, claims, without)


def _how_valid(verdict: Verdict, claims: bytes | None, now: float) -> str:
    key = verdict.key
    if odd := _odd_time(claims):
        return f", but {odd}"
    text = " for another " + duration(verdict.valid_until - now) if verdict.valid_until < inf else ", and never expires"
    if verdict.valid_until == key.until < inf:
        text += f", until its key {_shown(key.kid)} ends"
    if now < key.begins:
        text += f"; its key {_shown(key.kid)} signs from {date_time(key.begins)} on, and verifies already"
    return text


def _why_not(error: TokenError, ring: KeyRing, header: bytes | None, claims: bytes | None, now: float) -> str:
    members = _members(header)
    if error.code == "key":
        return _why_unknown(ring, members.get("kid"), now)
    if error.code == "algorithm":
        return _why_other_algorithm(ring, members, now)
    if error.code == "signature" and (key := ring.find(members.get("kid"), now)) is not None and key.kid:
        return f"it was signed with another key than {key.kid}, which it names, or changed after it was signed"
    if error.code == "audience" and members.get("typ") == BEARER_TYPE:
        return f"it is the token that is shown to the remote (typ {BEARER_TYPE}), and nobody's login"
    if error.code in _OF_TIMES and (odd := _odd_time(claims)):
        return odd
    if error.code == "expired" and (expires := _number(claims, "exp")) is not None:
        if expires <= now:
            return f"it expired {duration(now - expires)} ago"
        return "it is older than is accepted (verify.maxAge)"
    if error.code == "not_yet" and (begins := _number(claims, "nbf")) is not None:
        return f"it becomes valid in {duration(begins - now)}"
    return _ADVICE.get(error.code, error.public)


def _why_other_algorithm(ring: KeyRing, header: Mapping[str, object], now: float) -> str:
    key = ring.find(header.get("kid"), now)
    assert key is not None
    named = f"its key {key.kid}" if key.kid else "this service's key"
    said = _shown(header.get("alg"))
    return f"it was signed by another method than {named} is for: its `alg` is {said}, and not {key.algorithm}"


def _why_unknown(ring: KeyRing, kid: object, now: float) -> str:
    """Say why there is no key for a token: it ended, it never was, or it is not known yet or any more."""
    known = [key.kid for key in ring.keys if key.kid and now < key.until]
    names = ", ".join(known[:_NAMES_MAX]) + (f" and {len(known) - _NAMES_MAX} more" if len(known) > _NAMES_MAX else "")
    known_are = f"known are {names}" if known else "no key is known at this time"
    if kid is None:
        return f"it does not name its key (`kid`), and {known_are}"
    ended = next((key for key in ring.keys if key.kid == kid), None)
    if ended is not None:
        return f"its key {ended.kid} ended {duration(now - ended.until)} ago (until)"
    if ring.schedule is not None and isinstance(kid, str) and (why := _why_no_period(ring.schedule, kid, now)):
        return f"{why}; {known_are}"
    return f"its key is {_shown(kid)}, and {known_are}"


def _why_no_period(schedule: Schedule, kid: str, now: float) -> str:
    """Say why a key that rotates by itself is not known. Empty: this names none."""
    number = kid.partition("-")[0]
    if len(kid) > _NAME_LENGTH_MAX or not (number.isascii() and number.isdigit()):
        return ""
    if int(number) * schedule.every_s > _MOMENT_MAX:
        return ""
    period = int(number)
    begins = schedule.times(period).begins
    if period in schedule.periods(now):
        return f"its key {_shown(kid)} is of a known period, but of another secret, issuer, algorithm or `every`"
    span = f"its key {_shown(kid)} is of the period from {date_time(begins)} to {date_time(begins + schedule.every_s)}"
    if begins > now:
        return f"{span}, which is not known yet: a clock is wrong, or `every` is another one"
    return f"{span}, and was known for {duration(schedule.old * schedule.every_s)} after it"


def _shown(value: object) -> str:
    """Write what a token says of itself, unless a terminal could be misled by it."""
    is_plain = isinstance(value, str) and value.isprintable() and 0 < len(value) <= _NAME_LENGTH_MAX
    return str(value) if is_plain else "none that could be one of ours"


def _odd_time(claims: bytes | None) -> str:
    """Name a time that is not a number of seconds. Empty: all are, as far as can be seen."""
    found = _members(claims)
    for name in _TIMES:
        value = found.get(name, 0)
        if isinstance(value, str):
            return f"its `{name}` is text, and has to be a number of seconds"
        if not isinstance(value, int | float) or isinstance(value, bool):
            return f"its `{name}` is no number, and has to be one, of seconds"
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
    """Read the claims. None are known where orjson does not take them: an integer of 400 digits."""
    try:
        members = orjson.loads(claims or b"{}")
    except orjson.JSONDecodeError:
        return {}
    assert isinstance(members, dict)
    return members
