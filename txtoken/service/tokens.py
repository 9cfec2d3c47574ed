"""Claims into tokens, tokens into verdicts (contract §3.1, §3.2). Knows no clock and no sockets: callers say what time it is."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from math import inf
from typing import Final, NoReturn

from orjson import JSONDecodeError
from orjson import loads as read_json

from txtoken.errors import TokenError
from txtoken.service.json_text import UnusableJson, compact_object, read_object
from txtoken.service.keys import HmacKey
from txtoken.service.segments import decode_segment, encode_segment, encode_signature
from txtoken.settings import VerifyRules

HEADER_BYTES_MAX: Final = 8 * 1024  # contract §3.2
CLAIMS_NESTING_MAX: Final = 250  # of a token's header and claims: a reply and what is around it; orjson writes 254
REMEMBERED_TOKEN_BYTES_MAX: Final = 2 * 1024
REMEMBERED_BYTES_MAX: Final = 8 * 1024 * 1024  # of tokens and verdicts, in each of the two generations
KNOWN_HEADERS_MAX: Final = 64


class TokenIssuer:
    """Signs tokens that carry `data` and live `ttl_s` seconds."""

    __slots__ = ("_end", "_key", "_second", "_start", "_ttl_s")

    def __init__(self, key: HmacKey, ttl_s: int) -> None:
        self._key = key
        self._ttl_s = ttl_s
        self._second = -1  # the one that `_end` was written for
        self._end = b""
        self._start = encode_segment(b'{"alg":"%b","typ":"JWT"}' % key.algorithm.encode("ascii")) + b"."

    def issue(self, data: bytes, now: int) -> bytes:
        """Return the token for `data`, which is compact JSON. `now` is Unix time in seconds."""
        if now != self._second:
            self._second = now
            self._end = b',"exp":%d}' % (now + self._ttl_s)
        claims = b"".join((b'{"data":', data, self._end))
        signing_input = self._start + encode_segment(claims)
        return b"".join((signing_input, b".", encode_signature(self._key.sign(signing_input))))


class Verdict:
    """A valid token: the body of the answer that says so, and from when until before when it stays true (Unix time)."""

    __slots__ = ("body", "valid_from", "valid_until")

    def __init__(self, body: bytes, valid_from: float, valid_until: float) -> None:
        self.body = body
        self.valid_from = valid_from
        self.valid_until = valid_until


NO_TOKEN: Final = ("no_token", "no token present in request")
_SEGMENTS: Final = ("segments", "token contains an invalid number of segments")
_MALFORMED: Final = ("malformed", "token is malformed")
_ALGORITHM: Final = ("algorithm", "signing method (alg) is unavailable.")
_SIGNATURE: Final = ("signature", "signature is invalid")
_NO_EXPIRY: Final = ("no_expiry", "token has no expiry")
_EXPIRED: Final = ("expired", "Token is expired")
_NOT_YET: Final = ("not_yet", "Token is not valid yet")
_ISSUER: Final = ("issuer", "token issuer is invalid")
_AUDIENCE: Final = ("audience", "token audience is invalid")


class TokenVerifier:
    """Judges tokens by one key and one set of rules, and remembers those that it found valid.

    The memory maps a token, byte for byte, to its verdict. A token comes into it when it is seen for the second time,
    so that tokens which are checked but once cost neither time nor place. It has two generations: when the young one
    holds `cache_entries` verdicts, or 8 MiB, it becomes the old one, so that nothing is ever evicted one by one. A wrong token is
    never remembered, and each verdict is asked again whether its time has come or gone. Finding a token is a look-up by
    a hash with a secret seed, which tells an attacker nothing about tokens that are remembered.
    """

    __slots__ = (
        "_as_original",
        "_cache_entries",
        "_key",
        "_known_headers",
        "_old",
        "_rules",
        "_seen_once",
        "_token_bytes_max",
        "_told",
        "_young",
        "_young_bytes",
        "hits",
    )

    def __init__(
        self, key: HmacKey, rules: VerifyRules, *, check_response: str, cache_entries: int, token_bytes_max: int
    ) -> None:
        self._key = key
        self._token_bytes_max = token_bytes_max
        self._told = b'","Method":{"Name":"%b","Hash":%d},"Header":' % (key.algorithm.encode("ascii"), key.jwa_hash)
        self._rules = rules
        self._as_original = check_response == "original"
        self._cache_entries = cache_entries
        self._young: dict[bytes, Verdict] = {}
        self._young_bytes = 0
        self._old: dict[bytes, Verdict] = {}
        self.hits = 0  # tokens that were found in memory; whoever tells of them sets it back
        self._seen_once: set[int] = set()  # hashes of valid tokens; two with the same one do no harm
        self._known_headers: dict[bytes, bytes] = {}  # header segments that were found good, and what they say

    def verify(self, token: bytes, now: float) -> Verdict:
        """Judge a token at `now` (Unix time in seconds).

        Raises:
            TokenError: it is not valid. Of several reasons the first in the contract's table is told.
        """
        verdict = self._young.get(token) or self._old.get(token)
        if verdict is None:
            verdict = self._judge(token, now)
            if self._cache_entries and len(token) <= REMEMBERED_TOKEN_BYTES_MAX:
                self._remember(token, verdict)
        elif not verdict.valid_from <= now < verdict.valid_until:
            return self._judge(token, now)  # which says what has become of it
        else:
            self.hits += 1
        return verdict

    def _remember(self, token: bytes, verdict: Verdict) -> None:
        mark = hash(token)
        if mark not in self._seen_once:
            if len(self._seen_once) >= 2 * self._cache_entries:
                self._seen_once.clear()
            self._seen_once.add(mark)
            return
        if len(self._young) >= self._cache_entries or self._young_bytes >= REMEMBERED_BYTES_MAX:
            self._old, self._young = self._young, {}
            self._young_bytes = 0
        self._young[token] = verdict
        self._young_bytes += len(token) + len(verdict.body)

    def _judge(self, token: bytes, now: float) -> Verdict:
        header_text, claims_text, signature = self._open(token)
        try:
            claims, claims_text = read_object(claims_text, CLAIMS_NESTING_MAX)
        except UnusableJson:
            _refuse(_MALFORMED)
        valid_from, valid_until = self._check_claims(claims, now)
        if not self._as_original:
            return Verdict(claims_text, valid_from, valid_until)
        parts = (b'{"Raw":"', token, self._told, header_text, b',"Claims":', claims_text, b',"Signature":"', signature)
        return Verdict(b"".join((*parts, b'","Valid":true}')), valid_from, valid_until)

    def _open(self, token: bytes) -> tuple[bytes, bytes, bytes]:
        """Check form and signature. Returns header (compact), claims (as sent) and the signature's segment.

        Nothing of the payload is parsed before the signature was found good, and of a header that is not known no more than
        what names the reason: a token that is not ours costs 0.3 ms at most, whatever it holds (contract §4.1).
        """
        segments = token.split(b".", 3)
        if len(segments) != 3:
            _refuse(_SEGMENTS)
        if len(token) > self._token_bytes_max:
            _refuse(_MALFORMED)
        header, payload, signature = segments
        header_text = self._known_headers.get(header)
        if header_text is None:
            return self._open_unknown(header, payload, signature)
        expected = encode_signature(self._key.sign(token[: -len(signature) - 1])) if signature else b""
        claims_text = decode_segment(payload)
        if claims_text is None:
            _refuse(_MALFORMED)
        if not signature or not compare_digest(expected, signature):
            _refuse(_MALFORMED if not signature or decode_segment(signature) is None else _SIGNATURE)
        return header_text, claims_text, signature

    def _open_unknown(self, header: bytes, payload: bytes, signature: bytes) -> tuple[bytes, bytes, bytes]:
        """The same for a header that was not seen before in a good token."""
        if len(header) > HEADER_BYTES_MAX or not signature:
            _refuse(_MALFORMED)
        header_text, claims_text = decode_segment(header), decode_segment(payload)
        if header_text is None or claims_text is None or decode_segment(signature) is None:
            _refuse(_MALFORMED)
        try:
            members = read_json(header_text)
        except JSONDecodeError:
            members = None  # or it holds an integer past 10^308, which no header needs
        # RFC 7515 §4.1.11: no extension is understood here. RFC 7797: nor is a payload that is not encoded.
        if not isinstance(members, dict) or "crit" in members or "b64" in members:
            _refuse(_MALFORMED)
        if members.get("alg") != self._key.algorithm:
            _refuse(_ALGORITHM)
        if not compare_digest(encode_signature(self._key.sign(header + b"." + payload)), signature):
            _refuse(_SIGNATURE)
        try:
            header_text = compact_object(header_text, CLAIMS_NESTING_MAX)
        except UnusableJson:
            _refuse(_MALFORMED)
        if len(self._known_headers) < KNOWN_HEADERS_MAX and len(header) <= REMEMBERED_TOKEN_BYTES_MAX:
            self._known_headers[header] = header_text
        return header_text, claims_text, signature

    def _check_claims(self, claims: Mapping[str, object], now: float) -> tuple[float, float]:
        """Check the registered claims (RFC 7519 §4.1). Returns from when and until before when they hold."""
        rules = self._rules
        leeway_s = rules.leeway_s
        issued_at = _number(claims["iat"]) if "iat" in claims else None
        not_before = _number(claims["nbf"]) if "nbf" in claims else None
        expires = claims.get("exp")
        if type(expires) not in (int, float):
            if "exp" in claims and not rules.require_exp:
                _refuse(_MALFORMED)
            if rules.require_exp:
                _refuse(_NO_EXPIRY)
            expires = inf
        assert isinstance(expires, int | float)
        valid_from = -inf if not_before is None else not_before - leeway_s
        valid_until = expires + leeway_s
        if rules.max_age_s is not None:
            # A token that does not say how old it is counts as too old.
            valid_until = min(valid_until, -inf if issued_at is None else issued_at + rules.max_age_s + leeway_s)
        if valid_until <= now:
            _refuse(_EXPIRED)
        if valid_from > now:
            _refuse(_NOT_YET)
        if rules.issuer is not None and claims.get("iss") != rules.issuer:
            _refuse(_ISSUER)
        if rules.audience:
            audience = claims.get("aud")
            named = audience if isinstance(audience, list) else [audience]
            if not any(name in rules.audience for name in named):
                _refuse(_AUDIENCE)
        return valid_from, valid_until


def _number(value: object) -> float:
    """Return a NumericDate (RFC 7519 §2). `true` is not a number."""
    if type(value) is not int and type(value) is not float:
        _refuse(_MALFORMED)
    assert isinstance(value, int | float)
    return value


def _refuse(reason: tuple[str, str]) -> NoReturn:
    raise TokenError(*reason)
