"""HMAC keys with their two halves hashed beforehand, and what must not be one. The judge is the standard library's hmac."""

from __future__ import annotations

import base64
import hmac
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs import cost_s
from tests.service.keys.material import other_keys
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.hmac import SECRET_BYTES_MIN, HmacKey, is_other_key
from txtoken.service.tokens.segments import decode_segment, encode_segment

HASHES: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


@given(secret=st.binary(min_size=1, max_size=300), text=st.binary(max_size=2000), algorithm=st.sampled_from([*HASHES]))
def test_sign_agrees_with_hmac(secret: bytes, text: bytes, algorithm: str) -> None:
    """A signature is the HMAC of RFC 2104 by the algorithm's hash, for secrets shorter and longer than a block."""
    if is_other_key(secret):
        return
    key = HmacKey(secret, algorithm)
    signature = key.sign(text)
    assert decode_segment(signature) == hmac.digest(secret, text, HASHES[algorithm])
    assert key.verify(text, signature)
    assert not key.verify(text + b".", signature)
    assert not key.verify(text, signature[:-1])
    assert not key.verify(text, signature + b"=")


def test_no_algorithm_takes_the_signature_of_another() -> None:
    """One secret with three algorithms is three keys."""
    secret = bytes(range(64))
    keys = [HmacKey(secret, algorithm) for algorithm in HASHES]
    for signer in keys:
        assert [key.verify(b"text", signer.sign(b"text")) for key in keys] == [key is signer for key in keys]


def test_secrets_are_as_long_as_the_hash() -> None:
    """The least lengths are those of RFC 7518 §3.2."""
    assert {name: hmac.new(b"k", b"", hashed).digest_size for name, hashed in HASHES.items()} == SECRET_BYTES_MIN


@pytest.mark.parametrize("raw", [b"", b"\0", bytes(32), bytes(64)], ids=len)
def test_a_signature_that_is_nothing(raw: bytes) -> None:
    """No key takes an empty signature, or zeros."""
    for algorithm in HASHES:
        assert not HmacKey(b"k" * 64, algorithm).verify(b"text", encode_segment(raw))


def test_signing_changes_nothing() -> None:
    """A key signs the same text the same way however often it has signed others."""
    key = HmacKey(b"k" * 40)
    first = key.sign(b"text")
    key.sign(b"another text")
    assert key.sign(b"text") == first


BEFORE: Final = {
    "": b"",
    "blanks": b" \n\t",
    "mark": b"\xef\xbb\xbf",
    "both": b"\n \xef\xbb\xbf ",
    "wide": "\u00a0\u2003".encode(),
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_keys_of_another_kind_are_refused(algorithm: str, before: bytes) -> None:
    """A public key in any form is never used as a secret: anyone who knows it could sign (RFC 8725 §2.1)."""
    for form, secret in other_keys(algorithm).items():
        is_text = not form.endswith("DER") and form != "PKCS #1"  # before bytes nothing stands
        for name in HASHES:
            with pytest.raises(KeyMaterialError) as caught:
                HmacKey(before + secret if is_text else secret, name)
            assert str(caught.value) == f"is a PEM, SSH or JWK key, which {name} must not use", form
            assert caught.value.__cause__ is None


def test_secrets_are_taken() -> None:
    """Random bytes, and the same as hexadecimal and base64, are no key of another kind; nor are odd passphrases."""
    random = Random(8725)
    for _ in range(5000):
        raw = random.randbytes(random.choice((32, 48, 64, 200)))
        for secret in (raw, b"0" + raw, b"0\x82" + raw, b"M" + base64.b64encode(raw), base64.b64encode(raw)):
            assert not is_other_key(secret)
        assert not is_other_key(raw.hex().encode())
        assert not is_other_key(base64.urlsafe_b64encode(raw).rstrip(b"="))
    for text in (
        '{"a":1,"kt":2}'.ljust(40),
        "[kty]".ljust(40),
        "sshh-rsa ".ljust(40),
        '"kty"' * 9,
        "-----BEGIN".ljust(40),
    ):
        assert not is_other_key(text.encode())


@pytest.mark.parametrize(
    "text", [b'{"' + b"\\" * 4094, b'"k' * 1365, b"----BEGIN " * 400, b"{" + b"k" * 4095, b"0" * 4096]
)
def test_to_look_costs_little(text: bytes) -> None:
    """Whatever stands in 4 KiB, to find no key in it takes 10 ms at most."""
    assert cost_s(lambda: is_other_key(text), enough_s=0.01) < 0.025


def test_a_key_does_not_show_its_secret() -> None:
    """What prints a key, a traceback with locals say, does not print the secret."""
    assert "sesame" not in repr(HmacKey(b"open-sesame-open-sesame-open-sesame"))
