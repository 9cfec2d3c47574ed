"""Asymmetric keys: ES256, RS256, PS256, EdDSA (RFC 7518 §3, RFC 8037), from PEM or JWK. Only this module uses `cryptography`, and
it is imported only if there is such a key.

An RSA key is loaded without the library's own check, which blocks the whole process for 43 to 290 ms. A signature proves that it
works, and `check_closely` makes the full check.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from txtoken.errors import KeyMaterialError
from txtoken.service.keys.key import ALWAYS, RSA_BITS_MAX, RSA_BITS_MIN, Key, KeyTimes
from txtoken.service.tokens.segments import decode_segment, encode_segment

RSA_BITS_QUICK: Final = 2048  # a signature by a longer key takes longer than the loop may be blocked
RSA_EXPONENT: Final = 65537
P256_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64  # of ES256 (RFC 7518 §3.4) and EdDSA (RFC 8032 §5.1.6)
P256_ORDER: Final = 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551  # SEC 2 §2.4.2
_KINDS: Final = {
    "ES256": "an EC key of curve P-256",
    "EdDSA": "an Ed25519 key",
    "RS256": "an RSA key",
    "PS256": "an RSA key",
}
_SHA256: Final = hashes.SHA256()
_ECDSA: Final = ec.ECDSA(_SHA256, deterministic_signing=True)  # RFC 6979: no signature depends on a random number
_PSS: Final = padding.PSS(padding.MGF1(_SHA256), _SHA256.digest_size)  # RFC 7518 §3.5
_PKCS1: Final = padding.PKCS1v15()
_PROBE: Final = b"txtoken"

_PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


class AsymmetricKey(Key):
    """One asymmetric key: a pair, or a public key, which only verifies."""

    __slots__ = ("_private", "_public", "_signature_bytes")

    def __init__(
        self, private: _PrivateKey | None, public: _PublicKey, algorithm: str, kid: str = "", times: KeyTimes = ALWAYS
    ) -> None:
        super().__init__(kid or thumbprint(public), algorithm, times, can_sign=private is not None)
        self._private = private
        self._public = public
        self._signature_bytes = SIGNATURE_BYTES
        if isinstance(public, rsa.RSAPublicKey):
            self.is_slow = public.key_size > RSA_BITS_QUICK
            self._signature_bytes = (
                public.key_size + 7
            ) // 8  # RFC 8017 §8: as long as the modulus, with leading zeros

    def sign(self, signing_input: bytes) -> bytes:
        private: Any = self._private  # whose methods differ by its kind
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(private.sign(signing_input, _ECDSA))
            return encode_segment(r.to_bytes(P256_BYTES) + s.to_bytes(P256_BYTES))  # RFC 7518 §3.4
        if self.algorithm == "EdDSA":
            return encode_segment(private.sign(signing_input))
        return encode_segment(private.sign(signing_input, _PSS if self.algorithm == "PS256" else _PKCS1, _SHA256))

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        raw = decode_segment(signature)
        if raw is None or len(raw) != self._signature_bytes:
            return False
        public: Any = self._public
        try:
            if self.algorithm == "ES256":
                pair = int.from_bytes(raw[:P256_BYTES]), int.from_bytes(raw[P256_BYTES:])
                public.verify(encode_dss_signature(*pair), signing_input, _ECDSA)
            elif self.algorithm == "EdDSA":
                public.verify(raw, signing_input)
            else:
                public.verify(raw, signing_input, _PSS if self.algorithm == "PS256" else _PKCS1, _SHA256)
        except InvalidSignature:
            return False
        return True

    def public_members(self) -> Mapping[str, str]:
        return jwk_members(self._public)


def load(
    data: bytes, algorithm: str, kid: str = "", times: KeyTimes = ALWAYS, *, is_proved: bool = False
) -> AsymmetricKey:
    """Read a key from PEM or JWK. Without `kid` it is the JWK's own, else the key's thumbprint (RFC 7638).

    A signature proves that a private key works, unless this was done before.

    Raises:
        KeyMaterialError: it is not a key, or not for this algorithm. The text quotes nothing of it.
    """
    private, public, own_kid = _parse(data, algorithm)
    _check_kind(public, algorithm)
    key = AsymmetricKey(private, public, algorithm, kid or own_kid, times)
    if private is not None and not is_proved and not key.verify(_PROBE, key.sign(_PROBE)):
        raise KeyMaterialError("is a private key whose public half belongs to another one")
    return key


def check_closely(data: bytes, algorithm: str) -> None:
    """Check an RSA key as the library does, which takes up to 0.3 s. Others were checked when they were loaded.

    Raises:
        KeyMaterialError: its numbers do not belong together.
    """
    private, _, _ = _parse(data, algorithm)
    if isinstance(private, rsa.RSAPrivateKey):
        try:
            private.private_numbers().private_key()
        except ValueError:
            raise KeyMaterialError("is an RSA key whose numbers do not belong together") from None


def pair_of(material: bytes, algorithm: str) -> tuple[_PrivateKey, _PublicKey]:
    """Make a key pair of uniform bytes: 32 for EdDSA, 48 for ES256."""
    private: _PrivateKey
    if algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.from_private_bytes(material)
    else:
        private = ec.derive_private_key(int.from_bytes(material) % (P256_ORDER - 1) + 1, ec.SECP256R1())
    return private, private.public_key()


def generate(algorithm: str, rsa_bits: int) -> _PrivateKey:
    """Make a new random key for an algorithm. `rsa_bits` applies to RSA only."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(RSA_EXPONENT, rsa_bits)


def private_pem(private: _PrivateKey) -> bytes:
    """Write a private key as PEM: PKCS #8, not encrypted (RFC 5958)."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def private_jwk(private: _PrivateKey, algorithm: str, kid: str = "") -> dict[str, str]:
    """Write a private key as a JWK (RFC 7518 §6, RFC 8037 §2). Without `kid`, its name is its thumbprint."""
    public = private.public_key()
    names = {"use": "sig", "alg": algorithm, "kid": kid or thumbprint(public)}
    return {**names, **jwk_members(public), **_private_members(private)}


def _private_members(private: _PrivateKey) -> dict[str, str]:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return {"d": encode_segment(private.private_bytes_raw()).decode("ascii")}
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return {"d": _octets(private.private_numbers().private_value, P256_BYTES)}
    numbers = private.private_numbers()
    crt = {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    members = {"d": numbers.d, "p": numbers.p, "q": numbers.q, **crt}
    return {name: _octets(number) for name, number in members.items()}


def digest(public: _PublicKey) -> bytes:
    """Return the 32 bytes of a public key's thumbprint (RFC 7638 §3; RFC 8037 §2)."""
    return hashlib.sha256(orjson.dumps(jwk_members(public), option=orjson.OPT_SORT_KEYS)).digest()


def thumbprint(public: _PublicKey) -> str:
    """Return the thumbprint of a public key as text."""
    return encode_segment(digest(public)).decode("ascii")


def jwk_members(public: _PublicKey) -> dict[str, str]:
    """Return the members that make up a public key as a JWK (RFC 7518 §6, RFC 8037 §2), sorted by name."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        x, y = _octets(point.x, P256_BYTES), _octets(point.y, P256_BYTES)
        return {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": encode_segment(public.public_bytes_raw()).decode("ascii")}
    numbers = public.public_numbers()
    return {"e": _octets(numbers.e), "kty": "RSA", "n": _octets(numbers.n)}


def _octets(number: int, size: int = 0) -> str:
    """Write a number as base64url: at full length, or without leading zero bytes (RFC 7518 §2, §6.2.1.2)."""
    return encode_segment(number.to_bytes(size or (number.bit_length() + 7) // 8)).decode("ascii")


def _check_kind(public: object, algorithm: str) -> None:
    wanted = f"is not {_KINDS[algorithm]}, which {algorithm} needs"
    if algorithm == "ES256":
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise KeyMaterialError(wanted)
        if not isinstance(public.curve, ec.SECP256R1):
            raise KeyMaterialError(f"is an EC key with another curve: {algorithm} needs P-256")
    elif algorithm == "EdDSA":
        if not isinstance(public, ed25519.Ed25519PublicKey):
            raise KeyMaterialError(wanted)
    else:
        if not isinstance(public, rsa.RSAPublicKey):
            raise KeyMaterialError(wanted)
        if not RSA_BITS_MIN <= public.key_size <= RSA_BITS_MAX:
            bounds = f"has to have {RSA_BITS_MIN} to {RSA_BITS_MAX}"
            raise KeyMaterialError(f"is an RSA key of {public.key_size} bits: it {bounds}")
        if public.public_numbers().e != RSA_EXPONENT:
            raise KeyMaterialError(f"is an RSA key with an exponent other than {RSA_EXPONENT}")


def _parse(data: bytes, algorithm: str) -> tuple[_PrivateKey | None, _PublicKey, str]:
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    if text.startswith(b"{"):
        return _parse_jwk(text, algorithm)
    private, public = _parse_pem(text)
    return private, public, ""


def _parse_pem(text: bytes) -> tuple[_PrivateKey | None, _PublicKey]:
    # `openssl ecparam -genkey` writes a separate block with the curve's name before the key, which contains the name again.
    label = re.search(rb"-----BEGIN (?!EC PARAMETERS-)([A-Z0-9 ]+)-----", text)
    if label is None:
        raise KeyMaterialError("is not a key in PEM (-----BEGIN PRIVATE KEY-----) or JWK form")
    if label[1] == b"CERTIFICATE":
        raise KeyMaterialError("is a certificate, not a key (openssl x509 -pubkey -noout prints its key)")
    if label[1] == b"OPENSSH PRIVATE KEY":
        how = "`txtoken keys generate` makes a new key, and `ssh-keygen -p -m pkcs8 -f FILE` converts an RSA or ECDSA key to PEM"
        raise KeyMaterialError(f"is in OpenSSH form: {how}")
    if label[1] == b"ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in text:
        raise KeyMaterialError("is encrypted, and the service cannot ask for its password: decrypt it")
    text = text[label.start() :]
    try:
        if label[1].endswith(b"PRIVATE KEY"):
            private: Any = load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=True)
            return private, private.public_key()
        public: Any = load_pem_public_key(text)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyMaterialError("is damaged, or of a kind that is not supported") from None
    return None, public


def _parse_jwk(text: bytes, algorithm: str) -> tuple[_PrivateKey | None, _PublicKey, str]:
    try:
        members = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise KeyMaterialError("is not a JWK: it is not JSON") from None
    if "keys" in members:
        raise KeyMaterialError("is a set of keys (JWKS): list each key as a separate entry")
    if members.get("use", "sig") != "sig":
        raise KeyMaterialError("is a JWK that is not for signing (use)")
    if members.get("alg", algorithm) != algorithm:
        raise KeyMaterialError(f"is a JWK for another algorithm than {algorithm} (alg)")
    kid = members.get("kid", "")
    try:
        private, public = _from_jwk(members)
    except (KeyError, TypeError, ValueError):
        raise KeyMaterialError("is a JWK that is damaged, or of a kind that is not supported") from None
    expected = jwk_members(public)
    if any(members.get(name) != value for name, value in expected.items() if name in ("x", "y")):
        raise KeyMaterialError("is a private key whose public half belongs to another one")
    return private, public, kid if isinstance(kid, str) else ""


def _from_jwk(members: Mapping[str, Any]) -> tuple[_PrivateKey | None, _PublicKey]:
    def octets(name: str) -> bytes:
        member = members[name]
        found = decode_segment(member.encode("ascii")) if isinstance(member, str) else None
        if not found:
            raise ValueError
        return found

    def number(name: str) -> int:
        return int.from_bytes(octets(name))

    private: _PrivateKey
    if members["kty"] == "OKP" and members["crv"] == "Ed25519":
        if "d" not in members:
            return None, ed25519.Ed25519PublicKey.from_public_bytes(octets("x"))
        private = ed25519.Ed25519PrivateKey.from_private_bytes(octets("d"))
    elif members["kty"] == "EC" and members["crv"] == "P-256":
        if "d" not in members:
            return None, ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP256R1()).public_key()
        private = ec.derive_private_key(number("d"), ec.SECP256R1())
    elif members["kty"] == "RSA":
        public = rsa.RSAPublicNumbers(number("e"), number("n"))
        if "d" not in members:
            return None, public.public_key()
        p, q, d = number("p"), number("q"), number("d")
        numbers = rsa.RSAPrivateNumbers(p, q, d, number("dp"), number("dq"), number("qi"), public)
        private = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    else:
        raise ValueError
    return private, private.public_key()
