"""A ring of keys made of the configuration, and what happens without the package that asymmetric keys need."""

from __future__ import annotations

import sys
from math import inf
from pathlib import Path
from typing import Final

import pytest

from tests.configuring import KEY, REMOTE, failure, load_text, told
from tests.service.keys.material import pair, pem, public_pem
from txtoken.errors import KeyMaterialError
from txtoken.service.keys.build import CRYPTO_MISSING, build_derived, build_key, build_ring
from txtoken.service.keys.hmac import HmacKey
from txtoken.settings import KeyEntry, KeySettings, RotationSettings, Secret

NOW: Final = 1_700_000_000
ENC_KEY: Final = Secret(KEY.encode())
DAY_S: Final = 86_400


def rotation(algorithm: str, *secrets: bytes) -> RotationSettings:
    """Say that keys rotate every day."""
    return RotationSettings(tuple(map(Secret, secrets)), algorithm, "https://login.example", DAY_S, DAY_S)


def test_enc_key_alone() -> None:
    """`encKey` is one HS256 key without a name, which signs and verifies always."""
    (key,) = build_ring(KeySettings(ENC_KEY), 60).keys
    assert (key.kid, key.algorithm, key.begins, key.until, key.can_sign) == ("", "HS256", -inf, inf, True)
    assert key.sign(b"text") == HmacKey(KEY.encode()).sign(b"text")
    assert key.public_members() is None


def test_a_list_and_enc_key() -> None:
    """The keys stand in the order of the configuration, with their names, algorithms and times, and `encKey` is the last."""
    entries = (
        KeyEntry("ES256", Secret(pem(pair("ES256"))), "a", NOW, NOW + 9),
        KeyEntry("EdDSA", Secret(public_pem(pair("EdDSA"))), "b"),
        KeyEntry("HS512", Secret(b"s" * 64), "c", NOW + 5),
    )
    keys = build_ring(KeySettings(ENC_KEY, entries), 60).keys
    assert [(key.kid, key.algorithm, key.begins, key.until, key.can_sign) for key in keys] == [
        ("a", "ES256", NOW, NOW + 9, True),
        ("b", "EdDSA", -inf, inf, False),
        ("c", "HS512", NOW + 5, inf, True),
        ("", "HS256", -inf, inf, True),
    ]


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "HS256"])
def test_keys_that_rotate(algorithm: str) -> None:
    """They are known by the clock, as many as the life of tokens asks for, with `encKey` beside them."""
    ring = build_ring(KeySettings(ENC_KEY, rotation=rotation(algorithm, bytes(range(32)))), 3600)
    ring.refresh(NOW)
    period = NOW // DAY_S
    assert [key.kid.partition("-")[0] for key in ring.keys] == ["", *map(str, range(period - 1, period + 2))]
    assert {key.algorithm for key in ring.keys if key.kid} == {algorithm}
    assert ring.find(None, NOW) is ring.keys[0]
    signing = ring.signer(NOW, 3600)
    assert signing is not None
    assert signing.kid.startswith(f"{period}-")


def test_nothing_shows_what_a_key_is_made_of() -> None:
    """What prints the settings of keys prints none of them."""
    settings = KeySettings(ENC_KEY, (KeyEntry("HS512", Secret(b"s" * 64), "c"),), rotation("HS256", b"r" * 32))
    for secret in (KEY, "ssss", "rrrr"):
        assert secret not in repr(settings)


@pytest.fixture
def without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an installation without the package `cryptography`."""
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.delitem(sys.modules, "txtoken.service.keys.asymmetric")


@pytest.mark.usefixtures("without_cryptography")
def test_without_cryptography() -> None:
    """HMAC keys need nothing; the others say what is missing and how to get it."""
    assert build_ring(KeySettings(ENC_KEY, (KeyEntry("HS384", Secret(b"s" * 48), "a"),)), 60).signer(NOW) is not None
    assert build_derived(rotation("HS256", bytes(range(32))), 60).known(NOW)
    for algorithm in ("ES256", "RS256", "PS256", "EdDSA"):
        with pytest.raises(KeyMaterialError) as caught:
            build_key(KeyEntry(algorithm, Secret(b"-----BEGIN PRIVATE KEY-----"), "a"))
        assert str(caught.value) == CRYPTO_MISSING
    for algorithm in ("ES256", "EdDSA"):
        with pytest.raises(KeyMaterialError, match="which is not installed"):
            build_derived(rotation(algorithm, bytes(range(32))), 60)


def test_a_configuration_without_cryptography(tmp_path: Path, without_cryptography: None) -> None:
    """The configuration's error names the line, the key and the command that helps, and one with HMAC keys is good."""
    (tmp_path / "key.pem").write_bytes(pem(pair("ES256")))
    text = f"remote: {REMOTE}\nkeys:\n- {{alg: HS256, kid: a, secret: {KEY}}}\n"
    assert load_text(tmp_path, text).keys.entries
    (problem,) = told(tmp_path, failure(tmp_path, f"{text}- {{alg: ES256, keyFile: {tmp_path}/key.pem}}"))
    assert problem == f"cfg.yml, line 4: keys.keyFile: {CRYPTO_MISSING}"
