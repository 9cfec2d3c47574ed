"""Turns tokens into verdicts (contract §3.2). Knows no clock and no sockets: callers pass the time."""

from __future__ import annotations

from math import inf
from typing import Any, Final, NoReturn

from orjson import JSONDecodeError
from orjson import loads as read_json

from txtoken.errors import TokenError
from txtoken.service.keys.key import BEARER_TYPE, Key
from txtoken.service.keys.ring import KeyRing
from txtoken.service.revocations import IDENTITY_CLAIMS, Identity, Revocations
from txtoken.service.tokens.compact import UnusableJson, compact_object, names_by_text, read_members
from txtoken.service.tokens.memory import REMEMBERED_TOKEN_BYTES_MAX, Memory, Verdict
from txtoken.service.tokens.segments import decode_segment
from txtoken.settings import CheckSettings

HEADER_BYTES_MAX: Final = 8 * 1024  # contract §3.2
CLAIMS_NESTING_MAX: Final = 250  # of a token's header and claims: a reply and the levels around it; orjson writes 254
KNOWN_HEADERS_MAX: Final = 64
# The claims that are parsed, without and with revocations. The remote's reply in a token is not.
_JUDGED: Final = names_by_text(("exp", "nbf", "iat", "iss", "aud"))
_IDENTIFYING: Final = _JUDGED | names_by_text(IDENTITY_CLAIMS)

NO_TOKEN: Final = ("no_token", "no token present in request")
_SEGMENTS: Final = ("segments", "token contains an invalid number of segments")
MALFORMED: Final = ("malformed", "token is malformed")
_KEY: Final = ("key", "signing key is unknown")
_ALGORITHM: Final = ("algorithm", "signing method (alg) is unavailable.")
_SIGNATURE: Final = ("signature", "signature is invalid")
_NO_EXPIRY: Final = ("no_expiry", "token has no expiry")
_EXPIRED: Final = ("expired", "Token is expired")
NOT_YET: Final = ("not_yet", "Token is not valid yet")
_ISSUER: Final = ("issuer", "token issuer is invalid")
_AUDIENCE: Final = ("audience", "token audience is invalid")
_REVOKED: Final = ("revoked", "token is revoked")


class KnownHeader:
    """A token's header: the key that it names, and its text once a valid token had it."""

    __slots__ = ("is_bearer", "key", "text")

    def __init__(self, key: Key, *, is_bearer: bool) -> None:
        self.key = key
        self.is_bearer = is_bearer  # of the token that txtoken sends to the remote, which is not a user's token
        self.text = b""


class TokenVerifier:
    """Judges tokens by the keys of a ring and one set of rules, and remembers those that it found valid."""

    __slots__ = ("_known_headers", "_rules", "_token_bytes_max", "memory", "refused", "revocations", "ring")

    def __init__(
        self, ring: KeyRing, settings: CheckSettings, memory: Memory, revocations: Revocations | None = None
    ) -> None:
        self.ring = ring
        self._rules = settings.rules
        self._token_bytes_max = settings.token_bytes_max
        self.memory = memory
        self.revocations = revocations  # the current list; None: none is configured
        self._known_headers: dict[bytes, KnownHeader] = {}  # header segments of valid tokens
        # Rejected tokens that named one of our keys, by reason and by the use of that key (`USES`). Reporting clears them.
        self.refused: dict[tuple[str, str], int] = {}

    def verify(self, token: bytes, now: float) -> Verdict:
        """Judge a token at `now` (Unix time in seconds).

        Raises:
            TokenError: it is not valid. Of several reasons, the first in the contract's table is raised.
        """
        memory = self.memory
        verdict = memory.find(token)
        if verdict is None:
            verdict = self._judge(token, now)
            memory.add(token, verdict)
        elif not verdict.valid_from <= now < verdict.valid_until:
            return self._judge(token, now)  # which reports the reason
        else:
            memory.hits += 1
            if self.revocations is not None:
                self._check_revoked(verdict, now)
        return verdict

    def verify_late(self, token: bytes, now: float, grace_s: float) -> Verdict:
        """Judge a token that may have expired up to `grace_s` ago. Otherwise as `verify`, without the memory."""
        return self._judge(token, now, grace_s)

    def verify_again(self, verdict: Verdict, now: float) -> None:
        """Check that a token has not been revoked since this verdict.

        Raises:
            TokenError: it has been.
        """
        if self.revocations is not None and verdict.identity is not None:
            self._check_revoked(verdict, now)

    def _judge(self, token: bytes, now: float, grace_s: float = 0.0) -> Verdict:
        """Judge a token that is not remembered.

        The payload is parsed only after the signature was verified. An unknown header is parsed only as far as the reason needs:
        a token that is not ours costs at most 0.3 ms, whatever it contains (contract §4.1).
        """
        # `split` looks at each byte on its own: 60 µs of 64 KiB.
        signing_input, _, signature = token.rpartition(b".")
        header_segment, dot, payload = signing_input.partition(b".")
        if not dot or payload.find(b".") >= 0:
            _refuse(_SEGMENTS)
        if len(token) > self._token_bytes_max or not signature:
            _refuse(MALFORMED)
        header = self._known_headers.get(header_segment)
        if header is None or now >= header.key.until:
            header = self._read_header(header_segment, payload, signature, now)
        is_signed = header.key.verify(signing_input, signature)
        claims_text = decode_segment(payload)
        if claims_text is None:
            _refuse(MALFORMED)
        if not is_signed:
            if decode_segment(signature) is None:
                _refuse(MALFORMED)
            self._refuse_of(header.key, _SIGNATURE, now)
        if not header.text:
            self._remember(header_segment, header)
        names = _JUDGED if self.revocations is None else _IDENTIFYING
        try:
            claims, claims_text = read_members(claims_text, CLAIMS_NESTING_MAX, names)
        except UnusableJson:
            _refuse(MALFORMED)
        valid_from, valid_until = self._check_claims(claims, header.key, now, grace_s)
        if header.is_bearer:
            _refuse(_AUDIENCE)
        verdict = Verdict(token, header.text, claims_text, header.key, valid_from, min(valid_until, header.key.until))
        if self.revocations is not None:
            verdict.identity = Identity(claims)
            self._check_revoked(verdict, now)
        return verdict

    def _check_revoked(self, verdict: Verdict, now: float) -> None:
        assert self.revocations is not None
        assert verdict.identity is not None
        if self.revocations.revokes(verdict.identity, verdict.key.kid, now):
            _refuse(_REVOKED)

    def _read_header(self, segment: bytes, payload: bytes, signature: bytes, now: float) -> KnownHeader:
        """Read a header that no valid token had so far, as far as needed to find the key."""
        if len(segment) > HEADER_BYTES_MAX:
            _refuse(MALFORMED)
        text = decode_segment(segment)
        if text is None or decode_segment(payload) is None or decode_segment(signature) is None:
            _refuse(MALFORMED)
        try:
            members = read_json(text)
        except JSONDecodeError:
            members = None  # or it contains an integer above 10^308, which no header needs
        # RFC 7515 §4.1.11: extensions are not supported. RFC 7797: nor are unencoded payloads.
        if not isinstance(members, dict) or "crit" in members or "b64" in members:
            _refuse(MALFORMED)
        key = self.ring.find(members.get("kid"), now)
        if key is None:
            _refuse(_KEY)
        if members.get("alg") != key.algorithm:
            self._refuse_of(key, _ALGORITHM, now)
        return KnownHeader(key, is_bearer=members.get("typ") == BEARER_TYPE)

    def _remember(self, segment: bytes, header: KnownHeader) -> None:
        """Write the header of a valid token for answers, and remember it."""
        try:
            header.text = compact_object(decode_segment(segment) or b"", CLAIMS_NESTING_MAX)
        except UnusableJson:
            _refuse(MALFORMED)
        if len(segment) <= REMEMBERED_TOKEN_BYTES_MAX:
            if len(self._known_headers) >= KNOWN_HEADERS_MAX:
                self._known_headers.clear()
            self._known_headers[segment] = header

    def _check_claims(self, claims: dict[str, Any], key: Key, now: float, grace_s: float) -> tuple[float, float]:
        """Check the registered claims (RFC 7519 §4.1). Returns the beginning and the end of their validity."""
        rules = self._rules
        leeway_s = rules.leeway_s
        issued_at = _number(claims["iat"]) if "iat" in claims else -inf  # a token without an age is too old
        valid_from = _number(claims["nbf"]) - leeway_s if "nbf" in claims else -inf
        valid_until = inf
        expires: Any = claims.get("exp")
        if _is_number(expires):
            valid_until = float(expires) + leeway_s + grace_s
        elif rules.require_exp:
            _refuse(_NO_EXPIRY)
        elif "exp" in claims:
            _refuse(MALFORMED)
        if rules.max_age_s is not None:
            valid_until = min(valid_until, issued_at + rules.max_age_s + leeway_s)
        if valid_until <= now:
            self._refuse_of(key, _EXPIRED, now)
        if valid_from > now:
            _refuse(NOT_YET)
        if rules.issuer is not None and claims.get("iss") != rules.issuer:
            _refuse(_ISSUER)
        if rules.audience:
            audience = claims.get("aud")
            named = audience if isinstance(audience, list) else [audience]
            if not any(name in rules.audience for name in named):
                _refuse(_AUDIENCE)
        return valid_from, valid_until

    def _refuse_of(self, key: Key, reason: tuple[str, str], now: float) -> NoReturn:
        """Reject a token that names this key, and count it."""
        place = reason[0], self.ring.use_of(key, now)
        self.refused[place] = self.refused.get(place, 0) + 1
        _refuse(reason)


def _is_number(value: object) -> bool:
    """Whether this is a NumericDate (RFC 7519 §2). `true` is not a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any) -> float:
    if not _is_number(value):
        _refuse(MALFORMED)
    return float(value)


def _refuse(reason: tuple[str, str]) -> NoReturn:
    raise TokenError(*reason)
