"""Tokens for any reply, and what stands in them by PyJWT's judgement."""

from __future__ import annotations

import json
from typing import Any, Final

import jwt

from tests.service.tokens.signing import NOW, SECRET, key_of
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.compact import read_object
from txtoken.service.tokens.segments import decode_segment
from txtoken.service.tokens.sessions import issuer_for
from txtoken.settings import IssueSettings

TTL: Final = 60


def issued(reply: object, now: int = NOW, **settings: Any) -> bytes:
    """Issue a token for a reply: a value, or JSON text."""
    raw = reply if isinstance(reply, bytes) else json.dumps(reply, ensure_ascii=False).encode()
    parsed, text = read_object(raw, 200)
    issuer = issuer_for(KeyRing([key_of("HS256", "")]), IssueSettings(TTL, **settings))
    return issuer.issue(text, now, parsed)


def text_of(token: bytes) -> bytes:
    """Return the claims as they stand in the token, which PyJWT has verified."""
    jwt.decode(token, SECRET + b"0", ["HS256"], options={"verify_exp": False, "verify_aud": False, "verify_sub": False})
    text = decode_segment(token.split(b".")[1])
    assert text is not None
    return text


def claims_of(reply: object, now: int = NOW, **settings: Any) -> dict[str, Any]:
    """Return a token's claims. No name stands twice in them."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    claims: dict[str, Any] = json.loads(text_of(issued(reply, now, **settings)), object_pairs_hook=once)
    return claims
