"""HMAC keys (RFC 7518 §3.2), and checks for unsuitable secrets. Knows secrets; knows no claims and no files."""

from __future__ import annotations

import hashlib
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from hmac import compare_digest
from typing import Any, Final

from txtoken.errors import KeyMaterialError
from txtoken.service.keys.key import ALWAYS, Key, KeyTimes
from txtoken.service.tokens.segments import encode_segment, encode_signature

SECRET_BYTES_MIN: Final = {"HS256": 32, "HS384": 48, "HS512": 64}  # as long as the hash (RFC 7518 §3.2)
_HASHES: Final[dict[str, Any]] = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")
# HMAC must not use a key of another kind, as text or as DER (RFC 8725 §2.1): anyone who knows the public key could sign. Blanks
# and a byte order mark may precede it. A JWK may be inside other JSON, and escaped there.
_TEXT_KEY: Final = re.compile(
    r"[\s\ufeff]*(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh|ecdsa)-)"
    r"|(?s:.*)----[- ]BEGIN [A-Z0-9 ]+[- ]----"
    r'|[\s\ufeff]*["\[{](?s:.*)(?:k|\\{1,9}u006[Bb])(?:t|\\{1,9}u0074)(?:y|\\{1,9}u0079)\\{0,9}"\s*:'
)
# A sequence that names an RSA, an EC or an RFC 8410 key within its first bytes, or begins with an RSA modulus.
_DER_KEY: Final = re.compile(
    rb"0(?s:.){1,24}?\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01[\x01\x0a]|\x07\x2a\x86\x48\xce\x3d\x02\x01|\x03\x2b\x65[\x6e-\x71])"
    rb"|0\x82(?s:.){2}\x02\x82"
)
_DER_TEXT_CHARACTERS: Final = 48  # of base64, which contain the kind of a DER key


def is_other_key(secret: bytes) -> bool:
    """Whether this is a key of another kind, in one of the usual forms."""
    text = secret.decode("utf-8", "ignore")
    if _TEXT_KEY.match(text) or _DER_KEY.match(secret):
        return True
    start = text.replace("\ufeff", " ").strip()[:_DER_TEXT_CHARACTERS].encode().translate(_FROM_URL)
    try:
        return _DER_KEY.match(a2b_base64(start)) is not None
    except Base64Error:
        return False


class HmacKey(Key):
    """An HMAC key. The two halves of the HMAC are hashed once and copied for each signature.

    In bench/micro: `test_hmac_ours` against `test_hmac_digest`.

    Raises:
        KeyMaterialError: the secret is a PEM, SSH or JWK key. Anyone who knows its public key could sign.
    """

    __slots__ = ("_inner", "_is_short", "_outer")

    def __init__(self, secret: bytes, algorithm: str = "HS256", kid: str = "", times: KeyTimes = ALWAYS) -> None:
        super().__init__(kid, algorithm, times)
        if is_other_key(secret):
            raise KeyMaterialError(f"is a PEM, SSH or JWK key, which {algorithm} must not use")
        new = _HASHES[algorithm]
        block_bytes: int = new().block_size
        if len(secret) > block_bytes:
            secret = new(secret).digest()  # RFC 2104 §2
        block = secret.ljust(block_bytes, b"\0")
        self._inner = new(block.translate(_INNER_PAD))
        self._outer = new(block.translate(_OUTER_PAD))
        self._is_short = algorithm == "HS256"

    def sign(self, signing_input: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(signing_input)
        outer = self._outer.copy()
        outer.update(inner.digest())
        digest: bytes = outer.digest()
        return encode_signature(digest) if self._is_short else encode_segment(digest)

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        return compare_digest(self.sign(signing_input), signature)
