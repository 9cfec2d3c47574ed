"""Tokens of a service that has one secret and no keyset, right and wrong ones."""

from __future__ import annotations

from typing import Final

from tests.service.tokens.signing import NOW, segment
from txtoken.errors import TokenError
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, VerifyRules

KEY: Final = b"a-key-for-tests-only-0123456789-abcdefgh"


def ring(key: bytes) -> KeyRing:
    """Make a ring of one key."""
    return KeyRing([HmacKey(key)])


def verifier(rules: VerifyRules | None = None, *, key: bytes = KEY, cache: int = 0) -> TokenVerifier:
    """Make a verifier."""
    settings = CheckSettings("/checkToken", rules=rules or VerifyRules())
    return TokenVerifier(ring(key), settings, Memory(cache))


def sealed(claims: object, header: object = None, key: bytes = KEY) -> bytes:
    """Sign a token of any content, right or wrong."""
    text = segment({"alg": "HS256", "typ": "JWT"} if header is None else header) + b"." + segment(claims)
    return text + b"." + HmacKey(key).sign(text)


def verdict(token: bytes, now: float = NOW, rules: VerifyRules | None = None) -> str:
    """Return the contract's text for why a token is not valid, or "valid"."""
    try:
        verifier(rules).verify(token, now)
    except TokenError as error:
        return error.public
    return "valid"


GOOD: Final = sealed({"data": {}, "exp": NOW + 60})
