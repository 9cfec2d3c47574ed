"""Whether an answer belongs to the honest client: its nonce is in the token's claims exactly once.

Knows HS256 and the shapes of contract §3.1 and §3.2, and nothing of the service's code. Each function returns why an answer
is wrong, or None.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Final

ISSUER: Final = "withstand"
NONCE_PREFIX: Final = "nonce-"  # a nonce of whichever client begins so
LIFE_S: Final = 3600
CAUSE_CHARACTERS: Final = 60


def encode(data: bytes) -> bytes:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signature(key: bytes, signed: bytes) -> bytes:
    """Sign with HS256."""
    return encode(hmac.digest(key, signed, hashlib.sha256))


def token(key: bytes, claims: object, header: object = None) -> str:
    """Make a token of any claims and any header, signed with HS256 whatever the header says."""
    parts = [
        json.dumps(part, separators=(",", ":")).encode() for part in (header or {"alg": "HS256", "typ": "JWT"}, claims)
    ]
    signed = b".".join(encode(part) for part in parts)
    return (signed + b"." + signature(key, signed)).decode()


def good_token(key: bytes, nonce: str) -> str:
    """Make a token that is valid for an hour or two, whatever a row's `verify` asks for. Of the same hour it is the same token:
    a second run must not fill the memory of tokens once more.
    """
    hour = int(time.time()) // LIFE_S * LIFE_S
    claims = {"data": {"nonce": nonce}, "exp": hour + 2 * LIFE_S, "iat": hour, "iss": ISSUER, "aud": ISSUER}
    return token(key, claims)


def wrong_login(status: int, body: bytes, nonce: str, key: bytes) -> str | None:
    """Judge the answer to a login."""
    if status != 200:
        return f"login: status {status}{_cause(body)}"
    try:
        made = json.loads(body)["token"].encode("ascii")
        signed, _, signed_by = made.rpartition(b".")
        payload = signed.partition(b".")[2]
        claims = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "login: not a token"
    if not hmac.compare_digest(signed_by, signature(key, signed)):
        return "login: wrong signature"
    return _wrong_count("login", claims.decode("utf-8", "replace"), nonce)


def wrong_check(status: int, body: bytes, nonce: str) -> str | None:
    """Judge the answer to a check of a good token."""
    if status != 200:
        return f"check: status {status}{_cause(body)}"
    try:
        verdict = json.loads(body)
        if verdict["Valid"] is not True:
            return "check: not valid"
        claims = json.dumps(verdict["Claims"])
    except (ValueError, KeyError, TypeError):
        return "check: not a verdict"
    return _wrong_count("check", claims, nonce)


def _cause(body: bytes) -> str:
    """Read why the service refused, which is a short public text (contract §3.3), or nothing."""
    try:
        text = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({str(text)[:CAUSE_CHARACTERS]})"


def _wrong_count(what: str, claims: str, nonce: str) -> str | None:
    found = claims.count(NONCE_PREFIX)
    own = claims.count(nonce)
    if (found, own) == (1, 1):
        return None
    if not found:
        return f"{what}: lost nonce"
    return f"{what}: swapped nonce" if not own else f"{what}: doubled nonce"
