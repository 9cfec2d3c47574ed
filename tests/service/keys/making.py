"""Keys for tests: made once, each by an algorithm and a number."""

from __future__ import annotations

import functools
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
ASYMMETRIC: Final = ("ES256", "RS256", "PS256", "EdDSA")


def private_key(algorithm: str, number: int = 1) -> PrivateKey:
    """Return the key of this number for an algorithm."""
    return _made(algorithm, number)


@functools.cache
def _made(algorithm: str, number: int) -> PrivateKey:
    if algorithm == "ES256":
        return ec.derive_private_key(0x1234567890ABCDEF << 128 | number, ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32))
    return rsa.generate_private_key(65537, 2048)


def private_pem(algorithm: str, number: int = 1) -> bytes:
    """Write a private key as PEM."""
    return private_key(algorithm, number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(algorithm: str, number: int = 1) -> bytes:
    """Write a public key as PEM."""
    return private_key(algorithm, number).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
