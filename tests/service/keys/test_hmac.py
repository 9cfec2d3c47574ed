"""HMAC keys with their two halves hashed beforehand. The judge is the standard library's hmac."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtoken.errors import KeyMaterialError
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.tokens.segments import decode_segment


@given(secret=st.binary(min_size=1, max_size=200), text=st.binary(max_size=2000))
def test_sign_agrees_with_hmac(secret: bytes, text: bytes) -> None:
    """A signature is the HMAC of RFC 2104, for secrets shorter and longer than a block."""
    signature = HmacKey(secret).sign(text)
    assert decode_segment(signature) == hmac.digest(secret, text, "sha256")
    assert HmacKey(secret).verify(text, signature)
    assert not HmacKey(secret).verify(text + b".", signature)


def test_signing_changes_nothing() -> None:
    """A key signs the same text the same way however often it has signed others."""
    key = HmacKey(b"k" * 40)
    first = key.sign(b"text")
    key.sign(b"another text")
    assert key.sign(b"text") == first


@pytest.mark.parametrize(
    "secret",
    [
        b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
        b"-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----",
        b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ",
    ],
    ids=["public PEM", "private PEM", "ssh"],
)
def test_keys_of_another_kind_are_refused(secret: bytes) -> None:
    """A public key is never used as a secret: whoever knows it could sign (RFC 8725 §2.1)."""
    with pytest.raises(KeyMaterialError) as caught:
        HmacKey(secret)
    assert "AAAA" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "MII" not in str(caught.value)


def test_a_key_does_not_show_its_secret() -> None:
    """What prints a key, a traceback with locals say, does not print the secret."""
    assert "sesame" not in repr(HmacKey(b"open-sesame-open-sesame-open-sesame"))
