"""New key pairs of ES256, RS256, PS256 and EdDSA, and keys as text: PEM and JWK. Knows no file and no configuration."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from txtoken.errors import KeyMaterialError
from txtoken.service.keys.asymmetric import (
    P256_BYTES,
    RSA_EXPONENT,
    AsymmetricKey,
    jwk_members,
    load,
    thumbprint,
)
from txtoken.service.tokens.segments import encode_segment

ALGORITHMS: Final = ("ES256", "EdDSA", "RS256", "PS256")

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def generate(algorithm: str, rsa_bits: int) -> PrivateKey:
    """Make a new random key. With 8192 bits of RSA that takes seconds."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(RSA_EXPONENT, rsa_bits)


def kid_of(private: PrivateKey) -> str:
    """Return the thumbprint of a key, which is its `kid` unless it gets another one (RFC 7638)."""
    return thumbprint(private.public_key())


def private_pem(private: PrivateKey) -> bytes:
    """Write a private key as PEM (PKCS #8, RFC 5958)."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def private_jwk(private: PrivateKey, algorithm: str, kid: str = "") -> dict[str, str]:
    """Return the members of a private key as a JWK (RFC 7518 §6, RFC 8037 §2)."""
    members = jwk_members(private.public_key())
    if isinstance(private, ec.EllipticCurvePrivateKey):
        secret = {"d": _number(private.private_numbers().private_value, P256_BYTES)}
    elif isinstance(private, ed25519.Ed25519PrivateKey):
        secret = {"d": encode_segment(private.private_bytes_raw()).decode("ascii")}
    else:
        numbers = private.private_numbers()
        parts = {"d": numbers.d, "p": numbers.p, "q": numbers.q}
        parts |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
        secret = {name: _number(number) for name, number in parts.items()}
    return _complete(members, algorithm, kid or kid_of(private)) | secret


def public_jwk(key: AsymmetricKey) -> dict[str, str]:
    """Return the members of the public half of a key as a JWK."""
    return _complete(key.public_members(), key.algorithm, key.kid)


def read(data: bytes, algorithm: str = "", kid: str = "") -> AsymmetricKey:
    """Read a key from PEM or JWK. Without an algorithm it is the JWK's own, else the first that such a key is for.

    Raises:
        KeyMaterialError: it is none, or none for this algorithm.
    """
    if algorithm:
        return load(data, algorithm, kid)
    problems: list[KeyMaterialError] = []
    for tried in ALGORITHMS:
        try:
            return load(data, tried, kid)
        except KeyMaterialError as error:
            problems.append(error)
    # What is no key at all is so for each. A key of the wrong size is "not an EC key", too, which says less.
    raise min(problems, key=lambda problem: str(problem).startswith("is not "))


def _complete(members: dict[str, str], algorithm: str, kid: str) -> dict[str, str]:
    return {"kty": members["kty"], "use": "sig", "alg": algorithm, "kid": kid} | members


def _number(number: int, size: int = 0) -> str:
    return encode_segment(number.to_bytes(size or (number.bit_length() + 7) // 8)).decode("ascii")
