"""Tokens verified as other services do it: with a JWK Set, by PyJWT (docs/verify.md). Knows no configuration.

An algorithm is the key's own, never the token's choice, and never HMAC. The texts are those of the check route.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.exceptions import MissingCryptographyError, PyJWKClientConnectionError

from txtoken.cli.terminal import read_file_argument
from txtoken.errors import KeyMaterialError, TokenError
from txtoken.service.keys.build import CRYPTO_MISSING
from txtoken.service.keys.key import ALGORITHMS, BEARER_TYPE, HMAC_ALGORITHMS
from txtoken.service.tokens.compact import UnusableJson, compact_object
from txtoken.service.tokens.segments import decode_segment
from txtoken.settings import MIB

FETCH_S: Final = 10
JWKS_BYTES_MAX: Final = MIB
ASYMMETRIC: Final = tuple(name for name in ALGORITHMS if name not in HMAC_ALGORITHMS)
_REFUSALS: Final = (
    (jwt.InvalidSignatureError, "signature", "signature is invalid"),
    (jwt.ExpiredSignatureError, "expired", "Token is expired"),
    (jwt.ImmatureSignatureError, "not_yet", "Token is not valid yet"),
    (jwt.InvalidIssuerError, "issuer", "token issuer is invalid"),
    (jwt.InvalidAudienceError, "audience", "token audience is invalid"),
    (jwt.InvalidAlgorithmError, "algorithm", "signing method (alg) is unavailable."),
)
_MISSING: Final = {
    "exp": ("no_expiry", "token has no expiry"),
    "iss": ("issuer", "token issuer is invalid"),
    "aud": ("audience", "token audience is invalid"),
}


@dataclass(frozen=True, slots=True)
class Demands:
    """What a token has to fulfil beside its signature. What is empty is not asked for."""

    issuers: Sequence[str] = ()
    audiences: Sequence[str] = ()
    algorithms: Sequence[str] = ()


def verify(place: str, token: bytes, demands: Demands) -> bytes:
    """Verify a token with the JWK Set at a URL or in a file. Returns its claims as JSON text.

    Raises:
        KeyMaterialError: there is no such set.
        TokenError: the token is not valid.
    """
    keys = _usable(_fetch(place) if re.match("https?://", place, re.IGNORECASE) else _read(place))
    if token.count(b".") != 2:
        raise TokenError("segments", "token contains an invalid number of segments")
    try:
        header = jwt.get_unverified_header(token)
        key = next((key for key in keys if key.key_id == header.get("kid")), None)
        if key is None:
            raise TokenError("key", f"signing key is unknown{_known(keys)}")
        claims = _decode(token, key, demands)
        text = compact_object(decode_segment(token.split(b".")[1]) or b"")
    except (jwt.PyJWTError, UnusableJson, RecursionError) as error:
        raise _refusal(error) from None
    if type(claims["exp"]) not in (int, float):
        raise TokenError(*_MISSING["exp"])
    if header.get("typ") == BEARER_TYPE:  # which is nobody's login
        raise TokenError(*_MISSING["aud"])
    return text


def _decode(token: bytes, key: jwt.PyJWK, demands: Demands) -> Mapping[str, Any]:
    if demands.algorithms and key.algorithm_name not in demands.algorithms:
        raise jwt.InvalidAlgorithmError
    claims: Mapping[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        issuer=demands.issuers or None,
        audience=demands.audiences or None,
        # Others compare `iat` with the clock, which RFC 7519 §4.1.6 does not ask for.
        options={"require": ["exp"], "verify_aud": bool(demands.audiences), "verify_iat": False},
    )
    return claims


def _usable(found: jwt.PyJWKSet) -> list[jwt.PyJWK]:
    return [key for key in found.keys if key.algorithm_name in ASYMMETRIC and key.public_key_use in ("sig", None)]


def _known(keys: Sequence[jwt.PyJWK]) -> str:
    names = [key.key_id for key in keys if isinstance(key.key_id, str) and key.key_id.isprintable()]
    return f" (the JWKS holds {', '.join(names)})" if names else " (the JWKS holds no public key with a name)"


def _fetch(url: str) -> jwt.PyJWKSet:
    try:
        return jwt.PyJWKClient(url, timeout=FETCH_S).get_jwk_set()
    except PyJWKClientConnectionError as error:
        cause: Any = error.__cause__
        status = getattr(cause, "code", None)
        reason = f"the answer is {status}" if status else getattr(cause, "reason", None) or cause
        raise KeyMaterialError(f"{url} cannot be fetched: {reason}") from None
    except MissingCryptographyError:
        raise KeyMaterialError(f"a JWKS {CRYPTO_MISSING}") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise KeyMaterialError(f"{url} is no JWK Set with keys that can be used") from None


def _read(path: str) -> jwt.PyJWKSet:
    data = read_file_argument(path, JWKS_BYTES_MAX)
    try:
        members = json.loads(data)
        if isinstance(members, dict):
            return jwt.PyJWKSet.from_dict(members)
    except MissingCryptographyError:
        raise KeyMaterialError(f"a JWKS {CRYPTO_MISSING}") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        pass
    raise KeyMaterialError(f"{path} is no JWK Set with keys that can be used")


def _refusal(error: Exception) -> TokenError:
    """Say why in the check route's words: the library's text may quote the token."""
    if isinstance(error, jwt.MissingRequiredClaimError) and error.claim in _MISSING:
        return TokenError(*_MISSING[error.claim])
    for kind, code, text in _REFUSALS:
        if isinstance(error, kind):
            return TokenError(code, text)
    return TokenError("malformed", "token is malformed")
