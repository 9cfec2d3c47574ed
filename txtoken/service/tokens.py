"""Claims into tokens, tokens into verdicts (contract §3.1, §3.2). Knows no clock and no sockets: callers say what time it is."""

from __future__ import annotations

import json
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from hmac import compare_digest
from itertools import accumulate
from math import inf, isfinite
from typing import Any, Final, NoReturn

from orjson import Fragment, JSONDecodeError
from orjson import dumps as write_json
from orjson import loads as read_json

from txtoken.errors import TokenError
from txtoken.service.keys import HmacKey
from txtoken.settings import VerifyRules

TOKEN_BYTES_MAX: Final = 32 * 1024  # contract §3.2
NESTING_MAX: Final = 200  # levels of a reply (contract §3.1)
CLAIMS_NESTING_MAX: Final = 250  # of a token's header and claims: a reply and what is around it; orjson writes 254
REMEMBERED_TOKEN_BYTES_MAX: Final = 2 * 1024  # bounds what the cache can hold in bytes, together with its entries
KNOWN_HEADERS_MAX: Final = 64

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/!!!")  # what a segment may not hold becomes what base64 does not have
# By a segment's length modulo 4: its padding, and the last characters that leave no unused bit set (RFC 4648 §3.5).
_PADDING: Final = (b"", b"", b"==", b"=")
_LAST_OF_TWO: Final = frozenset(b"AQgw")
_LAST_OF_THREE: Final = frozenset(b"AEIMQUYcgkosw048")
_SIGNATURE_CHARACTERS: Final = 43  # of 32 bytes

# What a binary64 may not hold exactly, or orjson not write as it stood: long numbers, and exponents of three digits.
_LONG_NUMBER: Final = re.compile(rb"[0-9.]{16}|[0-9][eE][+-]?[0-9]{3}")
_HUGE_INTEGER: Final = re.compile(
    rb"[0-9]{300}"
)  # orjson takes integers up to 10^308 or so, and calls larger ones malformed
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{[]}"))
_STEPS: Final = {ord("{"): 1, ord("["): 1, ord("]"): -1, ord("}"): -1}
# Possessive, so that text which was made to be slow to search is not: an unclosed string lasts to the end of the text.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


class UnusableJson(ValueError):
    """Text that is not a JSON object which a token can carry. The message says why and quotes nothing."""


def compact_object(text: bytes, nesting_max: int = NESTING_MAX) -> bytes:
    """Check that `text` is a JSON object, and write it without white space.

    Members keep their order, of duplicate ones the last wins, and every number keeps its value, integers of any size
    included.

    Raises:
        UnusableJson: it is not, or is nested deeper than `nesting_max` levels.
    """
    return read_object(text, nesting_max)[1]


def read_object(text: bytes, nesting_max: int) -> tuple[dict[str, Any], bytes]:
    """Read a JSON object, and write it as `compact_object` says. Numbers past 64 bits are rounded in the first alone."""
    try:
        value = read_json(text)
    except JSONDecodeError:
        if _HUGE_INTEGER.search(text) is None:
            raise UnusableJson("not JSON") from None
        return _read_huge_integers(text, nesting_max)
    if not isinstance(value, dict):
        raise UnusableJson("not a JSON object")
    # Each level takes two bytes at least.
    if len(text) > 2 * nesting_max and _nesting_at_most(text) > nesting_max and _nesting(text) > nesting_max:
        raise UnusableJson(f"nested deeper than {nesting_max} levels")
    written = write_json(value)
    # Text that comes out as it went in is compact, and has lost nothing. Most services write their JSON that way.
    if written != text and _LONG_NUMBER.search(text) is not None:
        written = write_json(json.loads(text, parse_int=_verbatim, parse_float=_verbatim))
    return value, written


def _read_huge_integers(text: bytes, nesting_max: int) -> tuple[dict[str, Any], bytes]:
    """The same for text that orjson refuses, perhaps for its integers alone."""
    if _nesting(text) > nesting_max:
        raise UnusableJson(f"nested deeper than {nesting_max} levels")
    try:
        value = json.loads(text.decode(), parse_int=float, parse_float=_finite, parse_constant=_finite)
        if not isinstance(value, dict):
            raise UnusableJson("not a JSON object")
        # orjson refuses what json lets through: halves of surrogate pairs.
        return value, write_json(json.loads(text, parse_int=_verbatim, parse_float=_verbatim))
    except (ValueError, TypeError):
        raise UnusableJson("not JSON") from None


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise ValueError("JSON has no such number")
    return value


def _nesting_at_most(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def _verbatim(number: str) -> Any:
    return Fragment(number.encode("ascii"))


def _nesting(text: bytes) -> int:
    """Count the levels of well-formed JSON text. Of any other text it is some number."""
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def encode_segment(data: bytes) -> bytes:
    """Write bytes as base64url without padding (RFC 7515 §2)."""
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def decode_segment(segment: bytes) -> bytes | None:
    """Read base64url without padding; None for any other way to write it, unused bits that are set included."""
    surplus = len(segment) % 4
    if surplus:
        last = segment[-1]
        if surplus == 1 or last not in (_LAST_OF_TWO if surplus == 2 else _LAST_OF_THREE):
            return None
    try:
        return a2b_base64(segment.translate(_FROM_URL) + _PADDING[surplus], strict_mode=True)
    except Base64Error:
        return None


def _signature_segment(signature: bytes) -> bytes:
    return b2a_base64(signature)[:_SIGNATURE_CHARACTERS].translate(_TO_URL)


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
        signing_input = self._start + b2a_base64(claims, newline=False).translate(_TO_URL).rstrip(b"=")
        return b"".join((signing_input, b".", _signature_segment(self._key.sign(signing_input))))


class Verdict:
    """A valid token: the body of the answer that says so, and from when until before when it stays true (Unix time)."""

    __slots__ = ("body", "valid_from", "valid_until")

    def __init__(self, body: bytes, valid_from: float, valid_until: float) -> None:
        self.body = body
        self.valid_from = valid_from
        self.valid_until = valid_until


NO_TOKEN: Final = TokenError("no_token", "no token present in request")
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
    holds `cache_entries` verdicts it becomes the old one, so that nothing is ever evicted one by one. A wrong token is
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
        "_told",
        "_young",
        "hits",
    )

    def __init__(self, key: HmacKey, rules: VerifyRules, *, check_response: str, cache_entries: int) -> None:
        self._key = key
        self._told = b'","Method":{"Name":"%b","Hash":%d},"Header":' % (key.algorithm.encode("ascii"), key.jwa_hash)
        self._rules = rules
        self._as_original = check_response == "original"
        self._cache_entries = cache_entries
        self._young: dict[bytes, Verdict] = {}
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
        if len(self._young) >= self._cache_entries:
            self._old, self._young = self._young, {}
        self._young[token] = verdict

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

        Nothing of the payload is parsed before the signature was found good, except to tell the right reason when it
        is not.
        """
        if len(token) > TOKEN_BYTES_MAX:
            _refuse(_MALFORMED)
        segments = token.split(b".", 3)
        if len(segments) != 3:
            _refuse(_SEGMENTS)
        header, payload, signature = segments
        header_text = self._known_headers.get(header)
        if header_text is not None and len(signature) == _SIGNATURE_CHARACTERS:
            signing_input = token[: -_SIGNATURE_CHARACTERS - 1]
            if compare_digest(_signature_segment(self._key.sign(signing_input)), signature):
                claims_text = decode_segment(payload)
                if claims_text is None:
                    _refuse(_MALFORMED)
                return header_text, claims_text, signature
        return self._open_carefully(header, payload, signature)

    def _open_carefully(self, header: bytes, payload: bytes, signature: bytes) -> tuple[bytes, bytes, bytes]:
        """The same in the order of the contract's table."""
        header_text, claims_text = decode_segment(header), decode_segment(payload)
        if not header_text or not claims_text or not signature or decode_segment(signature) is None:
            _refuse(_MALFORMED)
        try:
            header_text = compact_object(header_text, CLAIMS_NESTING_MAX)
            compact_object(claims_text, CLAIMS_NESTING_MAX)
        except UnusableJson:
            _refuse(_MALFORMED)
        members = read_json(header_text)
        if "crit" in members:
            _refuse(_MALFORMED)  # RFC 7515 §4.1.11: no extension is understood here
        if members.get("alg") != self._key.algorithm:
            _refuse(_ALGORITHM)
        if not compare_digest(encode_segment(self._key.sign(header + b"." + payload)), signature):
            _refuse(_SIGNATURE)
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
