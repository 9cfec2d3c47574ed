"""A key of each algorithm, and tokens of any content that it signs."""

from __future__ import annotations

import json
from functools import cache
from math import inf
from typing import Final

from tests.service.keys.material import pair, pem
from txtoken.errors import TokenError
from txtoken.service.keys.asymmetric import load
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key, KeyTimes
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.segments import encode_segment
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, VerifyRules

NOW: Final = 1_700_000_000
ALGORITHMS: Final = ("HS256", "HS384", "HS512", "ES256", "RS256", "PS256", "EdDSA")
SECRET: Final = b"a-secret-for-tests-only-of-sixty-four-bytes-0123456789-abcdefghi"


@cache
def key_of(algorithm: str, kid: str = "k1", number: int = 0, begins: float = -inf, until: float = inf) -> Key:
    """Make a key. With the name "" it is the one for tokens without a `kid`. Another number is another key."""
    times = KeyTimes(begins, until)
    if algorithm[:2] == "HS":
        return HmacKey(SECRET + b"%d" % number, algorithm, kid, times)
    key = load(pem(pair(algorithm, number)), algorithm, kid or "nameless", times)
    key.kid = kid
    return key


def segment(value: object) -> bytes:
    """Write a JSON value as a segment."""
    return encode_segment(value if isinstance(value, bytes) else json.dumps(value).encode())


def sealed(key: Key, claims: object, header: object = None) -> bytes:
    """Sign a token of any content, right or wrong."""
    if header is None:
        header = {"alg": key.algorithm, "typ": "JWT", **({"kid": key.kid} if key.kid else {})}
    text = segment(header) + b"." + segment(claims)
    return text + b"." + key.sign(text)


def verifier(*keys: Key, rules: VerifyRules | None = None, cache: int = 0) -> TokenVerifier:
    """Make a verifier."""
    return TokenVerifier(KeyRing(keys), CheckSettings("/checkToken", rules=rules or VerifyRules()), Memory(cache))


def verdict(judge: TokenVerifier, token: bytes, now: float = NOW) -> str:
    """Return the contract's text for why a token is not valid, or "valid"."""
    try:
        judge.verify(token, now)
    except TokenError as error:
        return error.public
    return "valid"
