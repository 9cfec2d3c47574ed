"""Key pairs for tests, in the forms that people keep keys in. The forms are written by `cryptography` and PyJWT, not by us."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ASYMMETRIC: Final = ("ES256", "RS256", "PS256", "EdDSA")
PASSWORD: Final = BestAvailableEncryption(b"a password")

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@cache
def pair(algorithm: str, number: int = 0) -> PrivateKey:
    """Return a private key for an algorithm, the same one each time. `number` names another one."""
    if algorithm == "ES256":
        return ec.derive_private_key(0x1234567 + number, ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes((number + 1,)) * 32)
    return rsa_pair(number)


@cache
def rsa_pair(number: int) -> rsa.RSAPrivateKey:
    """Return one of several RSA keys of 2048 bits."""
    return rsa.generate_private_key(65537, 2048)


def pem(
    private: Any, form: PrivateFormat = PrivateFormat.PKCS8, encryption: KeySerializationEncryption | None = None
) -> bytes:
    """Write a private key as PEM."""
    written: bytes = private.private_bytes(Encoding.PEM, form, encryption or NoEncryption())
    return written


def public_pem(private: Any) -> bytes:
    """Write the public half of a key as PEM."""
    written: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return written


def jwk(key: PrivateKey | PublicKey) -> dict[str, Any]:
    """Write a key as PyJWT writes it, private where it is."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return dict(ECAlgorithm.to_jwk(key, as_dict=True))
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return dict(OKPAlgorithm.to_jwk(key, as_dict=True))
    return dict(RSAAlgorithm.to_jwk(key, as_dict=True))


def jwk_text(key: PrivateKey | PublicKey, **more: object) -> bytes:
    """Write a key as JWK text, with some members changed or added; None takes one out."""
    members = {name: value for name, value in (jwk(key) | more).items() if value is not None}
    return json.dumps(members).encode()


def other_keys(algorithm: str) -> dict[str, bytes]:
    """Write a key that is no secret in the forms that people keep keys in."""
    private = pair(algorithm)
    public: Any = private.public_key()
    one, ssh = jwk_text(public), public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = {
        "public PEM": public_pem(private),
        "private PEM": pem(private),
        "PEM in one line": public_pem(private).replace(b"\n", b"\\n"),
        "PEM after text": b"Bag Attributes\n" + public_pem(private),
        "JWK": one,
        "private JWK": jwk_text(private),
        "JWK with blanks": one.replace(b'":', b'"\n :'),
        "JWK with escapes": one.replace(b'"kty"', b'"\\u006bt\\u0079"'),
        "JWKS": b'{"keys":[%b]}' % one,
        "list of JWKs": b"[%b]" % one,
        "JWK within JSON": json.dumps({"a": [{"key": json.loads(one)}]}).encode(),
        "JWK as text within JSON": json.dumps({"key": one.decode()}).encode(),
        "JWK as text as text": json.dumps(json.dumps(one.decode())).encode(),
        "SSH": ssh,
        "DER": der,
        "private DER": private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "DER as base64": base64.b64encode(der),
        "DER as base64url": base64.urlsafe_b64encode(der),
    }
    if algorithm == "RS256":
        found["PKCS #1"] = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return found
