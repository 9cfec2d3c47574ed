"""Keys that rotate by themselves: the derivation to the letter, and which are known when."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from math import ceil
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from txtoken.service.keys.derived import YEAR_2020, DerivedKeys, Schedule
from txtoken.service.keys.key import Key
from txtoken.service.keys.ring import KeyRing

ROOT: Final = bytes(range(32))
ISSUER: Final = "https://login.example"
DAY: Final = 86_400
DOCUMENT: Final = (Path(__file__).parents[3] / "docs" / "keys.md").read_text()


def encode(data: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def independent(secret: bytes, issuer: str, alg: str, every: int, period: int) -> tuple[str, str]:
    """Derive a period's key as docs/keys.md says, by `cryptography` alone. Returns `kid`, and what tells the key from others."""

    def output(use: str, length: int) -> bytes:
        fields = (use.encode(), issuer.encode(), alg.encode(), every.to_bytes(8, "big"), period.to_bytes(8, "big"))
        info = b"".join(len(field).to_bytes(2, "big") + field for field in fields)
        return HKDF(hashes.SHA256(), length, b"txtoken key v1", info).derive(secret)

    if alg == "HS256":
        return f"{period}-{encode(output('kid', 8))}", output("sign", 32).hex()
    if alg == "EdDSA":
        x = encode(ed25519.Ed25519PrivateKey.from_private_bytes(output("sign", 32)).public_key().public_bytes_raw())
        jwk = {"crv": "Ed25519", "kty": "OKP", "x": x}
    else:
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        d = int.from_bytes(output("sign", 48), "big") % (order - 1) + 1
        point = ec.derive_private_key(d, ec.SECP256R1()).public_key().public_numbers()
        jwk = {
            "crv": "P-256",
            "kty": "EC",
            "x": encode(point.x.to_bytes(32, "big")),
            "y": encode(point.y.to_bytes(32, "big")),
        }
    thumbprint = hashlib.sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest()
    return f"{period}-{encode(thumbprint[:8])}", jwk["x"]


def derived(
    alg: str = "EdDSA", *, secrets: tuple[bytes, ...] = (ROOT,), every: int = DAY, lead: int = DAY, life: int = DAY
) -> DerivedKeys:
    """Make keys that rotate by themselves."""
    return DerivedKeys(secrets, alg, ISSUER, Schedule(every, lead, life))


def key_of(keys: DerivedKeys, period: int) -> Key:
    """Return a period's key."""
    every = keys.schedule.every_s
    return next(key for key in keys.known(period * every) if key.begins == period * every and key.can_sign)


def test_the_vectors() -> None:
    """The derivation gives the vectors of docs/keys.md, and those are what they have always been."""
    for alg, kid, members in (
        ("EdDSA", "20000-IS2_-6ODWWA", {"x": "8iBDo-pdC4iRXqlSBLP72gGp9-9Ki5joi3g5bieSu0g"}),
        ("ES256", "20000-nLgZGBKYz74", {"x": "LFE3ngxaofSmKsHg8_qRw_ITYSjfHmdOs4DnV2AQry8",
                                        "y": "KClHbFjIcdhC7dKjNwMrVkN1gK_yk7gw-hkIhOMSpgY"}),
        ("HS256", "20000-vrELq0oh4Co", {}),
    ):  # fmt: skip
        key = key_of(derived(alg), 20_000)
        assert key.kid == kid
        assert (key.public_members() or {}).items() >= members.items()
        assert independent(ROOT, ISSUER, alg, DAY, 20_000)[0] == kid
        for text in (kid, *members.values()):
            assert f"`{text}`" in DOCUMENT
    assert independent(ROOT, ISSUER, "HS256", DAY, 20_000)[1] in DOCUMENT
    assert len(re.findall(r"`[0-9a-f]{64}`", DOCUMENT)) == 3


@settings(max_examples=60)
@given(
    secret=st.binary(min_size=32, max_size=80),
    issuer=st.text(min_size=1, max_size=40),
    alg=st.sampled_from(["EdDSA", "ES256", "HS256"]),
    every=st.integers(10, 366 * DAY),
    ago=st.integers(0, 10),
)
def test_another_implementation_agrees(secret: bytes, issuer: str, alg: str, every: int, ago: int) -> None:
    """An implementation by the document alone derives the same keys."""
    period = 2_000_000_000 // every - ago
    keys = DerivedKeys([secret], alg, issuer, Schedule(every, 0, 1))
    key = next(key for key in keys.known(period * every) if key.begins == period * every)
    kid, sign = independent(secret, issuer, alg, every, period)
    assert key.kid == kid
    assert (key.public_members() or {}).get("x", sign) == sign
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", kid)
    assert key.verify(b"text", key.sign(b"text"))


@pytest.mark.parametrize(
    ("every", "lead", "life", "old", "coming"),
    [
        (DAY, DAY, DAY, 2, 1),
        (DAY, 0, DAY, 2, 0),
        (DAY, DAY + 1, 3600, 1, 2),
        (10, 10, 30, 4, 1),
        (3600, 3 * 3600, 1, 1, 3),
    ],
)
def test_which_are_known(every: int, lead: int, life: int, old: int, coming: int) -> None:
    """Known are this period's key, as many coming ones as `lead` spans, and as many old ones as tokens live and 15 minutes."""
    keys = derived(every=every, lead=lead, life=life)
    period = 1_800_000_000 // every
    for now in (period * every, period * every + every - 1):
        begins = [int(key.begins) // every - period for key in keys.known(now)]
        assert begins == list(range(-old, coming + 1))
        assert old == ceil((life + min(900, every)) / every)
    ring = KeyRing([], keys)
    for now in (period * every, (period + 1) * every - 1, (period + 1) * every):
        ring.refresh(now)
        signer = ring.signer(now, life)
        assert signer is not None
        assert signer.begins == now // every * every
        assert signer.until >= now + life  # no token is cut


def test_a_token_is_known_until_it_ends() -> None:
    """Every key is published `lead` before it signs, and known until the last of its tokens has expired."""
    every, lead, life = 60, 100, 200
    keys, ring = derived(every=every, lead=lead, life=life), KeyRing([], derived(every=every, lead=lead, life=life))
    signed: list[tuple[float, str]] = []
    seen: dict[str, float] = {}
    for now in range(1_800_000_000, 1_800_002_000, 5):
        ring.refresh(now)
        known = {key.kid for key in keys.known(now)}
        assert known == {key.kid for key in ring.keys}
        for kid in known:
            seen.setdefault(kid, now)
        key = ring.signer(now, life)
        assert key is not None
        assert now - seen[key.kid] >= lead or now < 1_800_000_000 + lead + every
        signed.append((now + life, key.kid))
        for exp, kid in signed:
            if now < exp:
                assert ring.find(kid, now) is not None


def test_no_name_is_of_two_keys() -> None:
    """Over a thousand periods and two secrets no `kid` comes twice."""
    every = 3600
    keys = derived("HS256", every=every, life=1, lead=0, secrets=(ROOT, bytes(32)))
    names = set()
    for period in range(500_000, 501_000):
        names |= {key.kid for key in keys.known(period * every) if key.begins == period * every}
    assert len(names) == 2000


def test_a_clock_that_is_set() -> None:
    """The keys are those of the time that it is, forward or back; a ring that was asked at another time changes nothing."""
    ring, keys = KeyRing([], derived()), derived()
    for now in (1_800_000_000, 1_900_000_000, 1_700_000_000, 1_800_000_000):
        ring.refresh(now)
        assert [key.kid for key in ring.keys] == [key.kid for key in keys.known(now)]


def test_before_2020() -> None:
    """A clock that was never set signs nothing, and is followed as soon as it is set."""
    ring = KeyRing([], derived())
    for now in (0, 1, YEAR_2020 - 1):
        ring.refresh(now)
        assert (ring.keys, ring.signer(now), ring.jwks) == ((), None, b"")
    ring.refresh(YEAR_2020)
    assert ring.signer(YEAR_2020) is not None
    ring.refresh(100)
    assert ring.keys == ()


def test_several_secrets() -> None:
    """Of several secrets the first signs, and the keys of all verify."""
    one, other = derived(secrets=(ROOT,)), derived(secrets=(bytes(32), ROOT))
    now = 1_800_000_000
    ring = KeyRing([], other)
    ring.refresh(now)
    signer = ring.signer(now)
    assert signer is not None
    assert signer.kid not in {key.kid for key in one.known(now)}
    for key in one.known(now):
        found = ring.find(key.kid, now)
        assert found is not None
        assert found.verify(b"text", key.sign(b"text"))
        assert not found.can_sign


def test_fields_do_not_run_into_each_other() -> None:
    """Issuer and algorithm, period and length of a period are told apart: none of them can stand for a part of another."""
    kids = {
        independent(ROOT, issuer, alg, every, period)[0].partition("-")[2]
        for issuer, alg, every, period in (
            *(("a", "EdDSA", DAY, 1), ("aE", "EdDSA", DAY, 1), ("a", "ES256", DAY, 1), ("a", "EdDSA", DAY // 2, 1)),
            *(("a", "EdDSA", DAY, 2), ("", "EdDSA", DAY, 1)),
        )
    }
    assert len(kids) == 6
