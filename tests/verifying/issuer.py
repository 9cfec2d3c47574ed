"""Tokens, good and bad, and the JWKS to verify them with. Knows no verifier and no HTTP.

`Issuer` is the seam. `LocalIssuer` makes keys and tokens by itself; `tests/verifying/service` has the running service do it.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER: Final = "https://login.example"
AUDIENCE: Final = "api"
SUBJECT: Final = "42"
ALGORITHMS: Final = ("ES256", "RS256", "PS256", "EdDSA")
HOUR_S: Final = 3600
JWK_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Kind(enum.Enum):
    """What a token is. All but `NEXT` are signed by the first key, or by none."""

    GOOD = "good"
    AUDIENCES = "ours is one of several audiences"
    EXPIRED = "expired"
    NO_EXP = "no exp"
    EXP_TEXT = "exp is no number"
    NOT_YET = "nbf in the future"
    OTHER_ISSUER = "another issuer"
    LONGER_ISSUER = "our issuer and a slash"
    ISSUERS = "iss is a list that has ours"
    NO_ISSUER = "no iss"
    OTHER_AUDIENCE = "another audience"
    NO_AUDIENCE = "no aud"
    NO_SUBJECT = "no sub"
    BEARER = "the token that the login API is shown"
    BROKEN_SIGNATURE = "a byte of the signature changed"
    OTHER_KEY = "signed by another key, with our kid"
    SWAPPED_ALGORITHM = "the header names another algorithm"
    HS256_PEM = "HS256, the public key as PEM is the secret"
    HS256_JWK = "HS256, the JWK is the secret"
    HS256_EMPTY = "HS256, the secret is empty"
    NONE = "alg none, no signature"
    CRITICAL = "an unknown critical extension"
    NOT_A_TOKEN = "not a token"
    EMPTY = "an empty line"
    NEXT = "signed by the next key"
    UNKNOWN_KID = "an unknown kid"
    LINE_BREAK = "an unknown kid with a line break"


class Issuer(Protocol):
    """What the verifiers are tested against."""

    def issue(self, kind: Kind) -> str:
        """Return a token. `Kind.NEXT` is for after `rotate`."""

    def jwks(self) -> bytes:
        """Return the JWKS as it is published now."""

    def rotate(self) -> None:
        """Publish the next key beside the first."""


def encode(data: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Put a token together, whatever its parts say."""
    signed = ".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return f"{signed}.{encode(sign(signed.encode()))}"


def generate(algorithm: str) -> PrivateKey:
    """Make a key. A P-256 key has a coordinate with a leading zero: one in 128 has, and some verifiers stumble over it."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm != "ES256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    while True:
        key = ec.generate_private_key(ec.SECP256R1())
        if key.public_key().public_numbers().x >> 248 == 0:
            return key


def thumbprint(jwk: dict[str, str]) -> str:
    """Name a key by its required members (RFC 7638)."""
    return encode(hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest())


class SigningKey:
    """A private key with one algorithm, and its public half as a JWK."""

    def __init__(self, algorithm: str) -> None:
        self.private: Final = generate(algorithm)
        self.algorithm: Final = algorithm
        public = cast("Any", jwt.get_algorithm_by_name(algorithm)).to_jwk(self.private.public_key(), as_dict=True)
        own = {name: public[name] for name in JWK_MEMBERS[public["kty"]]}
        self.kid: Final = thumbprint({"kty": public["kty"], **own})
        self.jwk: Final = {"kty": public["kty"], "use": "sig", "alg": algorithm, "kid": self.kid, **own}

    def sign(self, data: bytes, algorithm: str = "") -> bytes:
        """Sign with the key's own algorithm, or another that fits its type."""
        return jwt.get_algorithm_by_name(algorithm or self.algorithm).sign(data, self.private)

    def pem(self) -> bytes:
        """Return the public half as PEM."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class LocalIssuer:
    """Signs with one algorithm, by keys of its own."""

    def __init__(self, algorithm: str) -> None:
        self.keys: Final = [SigningKey(algorithm)]
        self.foreign: Final = SigningKey(algorithm)  # never published

    def jwks(self) -> bytes:
        """Return the JWKS as it is published now."""
        return json.dumps({"keys": [key.jwk for key in self.keys]}).encode()

    def rotate(self) -> None:
        """Publish the next key beside the first."""
        self.keys.append(SigningKey(self.keys[0].algorithm))

    def issue(self, kind: Kind) -> str:
        """Return a token of that kind."""
        key = self.keys[1] if kind is Kind.NEXT else self.keys[0]
        header = {"alg": key.algorithm, "typ": "JWT", "kid": key.kid}
        return forged(kind, key, self.foreign, header, good_claims())


def forged(kind: Kind, key: SigningKey, foreign: SigningKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a token of that kind: of the header and claims of a good one, but for the one thing that the kind names. `key` is
    the issuer's, `foreign` nobody's.
    """
    header, claims = header | changed_header(kind), changed_claims(kind, claims)
    match kind:
        case Kind.NOT_A_TOKEN:
            return "not.a.token"
        case Kind.EMPTY:
            return ""
        case Kind.NONE:
            return compact(header, claims, lambda signed: b"")
        case Kind.HS256_PEM | Kind.HS256_JWK | Kind.HS256_EMPTY:
            secret = {Kind.HS256_PEM: key.pem(), Kind.HS256_JWK: json.dumps(key.jwk).encode()}.get(kind, b"")
            return compact(header, claims, lambda signed: hmac.digest(secret, signed, "sha256"))
        case Kind.SWAPPED_ALGORITHM:
            # The same RSA key can sign in both ways. For the others, a true signature stands under a false name.
            other = {"RS256": "PS256", "PS256": "RS256", "ES256": "EdDSA", "EdDSA": "ES256"}[key.algorithm]
            own = other if isinstance(key.private, rsa.RSAPrivateKey) else key.algorithm
            return compact(header | {"alg": other}, claims, lambda signed: key.sign(signed, own))
        case Kind.BROKEN_SIGNATURE:
            return compact(header, claims, lambda signed: flipped(key.sign(signed)))
        case Kind.OTHER_KEY | Kind.UNKNOWN_KID | Kind.LINE_BREAK:
            return compact(header, claims, foreign.sign)
    return compact(header, claims, key.sign)


def flipped(signature: bytes) -> bytes:
    """Change one bit in the middle."""
    middle = len(signature) // 2
    return signature[:middle] + bytes([signature[middle] ^ 1]) + signature[middle + 1 :]


def changed_header(kind: Kind) -> dict[str, Any]:
    """Return what the kind has in its header that a good token has not."""
    match kind:
        case Kind.HS256_PEM | Kind.HS256_JWK | Kind.HS256_EMPTY:
            return {"alg": "HS256"}
        case Kind.NONE:
            return {"alg": "none"}
        case Kind.BEARER:
            return {"typ": "remote+jwt"}
        case Kind.CRITICAL:
            return {"crit": ["unheard-of"], "unheard-of": True}
        case Kind.UNKNOWN_KID:
            return {"kid": uuid.uuid4().hex}
        case Kind.LINE_BREAK:
            return {"kid": f"{uuid.uuid4().hex}\nvalid {SUBJECT}"}
    return {}


def good_claims() -> dict[str, Any]:
    """Return the claims of a good token."""
    now = int(time.time())
    claims: dict[str, Any] = {"data": {"user": "ada"}, "iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT}
    return claims | {"iat": now, "exp": now + HOUR_S}


def changed_claims(kind: Kind, good: dict[str, Any]) -> dict[str, Any]:
    """Return the claims of a good token but for the one that the kind names."""
    claims, now = dict(good), int(time.time())
    match kind:
        case Kind.AUDIENCES:
            claims["aud"] = ["other", AUDIENCE]
        case Kind.EXPIRED:
            claims |= {"iat": now - 2 * HOUR_S, "exp": now - HOUR_S}
        case Kind.NO_EXP:
            del claims["exp"]
        case Kind.EXP_TEXT:
            claims["exp"] = "never"
        case Kind.NOT_YET:
            claims["nbf"] = now + HOUR_S // 2
        case Kind.OTHER_ISSUER:
            claims["iss"] = "https://login.other.example"
        case Kind.LONGER_ISSUER:
            claims["iss"] = ISSUER + "/"
        case Kind.ISSUERS:
            claims["iss"] = [ISSUER, "https://login.other.example"]
        case Kind.NO_ISSUER:
            del claims["iss"]
        case Kind.OTHER_AUDIENCE:
            claims["aud"] = "other"
        case Kind.NO_AUDIENCE:
            del claims["aud"]
        case Kind.NO_SUBJECT:
            del claims["sub"]
        case Kind.BEARER:
            claims = {"data": {}, "aud": "http://login.internal", "exp": now + HOUR_S}
    return claims
