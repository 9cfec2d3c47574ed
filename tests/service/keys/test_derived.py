"""Self-rotating keys: the vectors of docs/reference/key-derivation.md, and another implementation of the same words,
by the HKDF of `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from math import ceil, inf
from random import Random
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from txtoken.service.keys.derived import YEAR_2020, DerivedKeys, Schedule, expand
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key
from txtoken.service.keys.ring import KeyRing

ROOT: Final = bytes(range(32))
ISSUER: Final = "https://login.example"
DAY: Final = 86_400
HOUR: Final = 3600
NOW: Final = 20_000 * DAY
ALGORITHMS: Final = ("EdDSA", "ES256", "HS256")


# Another implementation


def hkdf(secret: bytes, use: str, issuer: str, algorithm: str, every_s: int, period: int, size: int) -> bytes:
    """Derive bytes as docs/reference/key-derivation.md says."""
    fields = (use.encode(), issuer.encode(), algorithm.encode(), struct.pack(">Q", every_s), struct.pack(">Q", period))
    info = b"".join(struct.pack(">H", len(field)) + field for field in fields)
    return HKDF(hashes.SHA256(), size, b"txtoken key v1", info).derive(secret)


def text_of(data: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def members_of(secret: bytes, issuer: str, algorithm: str, every_s: int, period: int) -> dict[str, str]:
    """Derive a key, and return its public JWK by PyJWT, without what does not count for the thumbprint."""
    if algorithm == "EdDSA":
        seed = hkdf(secret, "sign", issuer, algorithm, every_s, period, 32)
        public: Any = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()
        found = dict(OKPAlgorithm.to_jwk(public, as_dict=True))
    else:
        wide = int.from_bytes(hkdf(secret, "sign", issuer, algorithm, every_s, period, 48), "big")
        order = 115792089210356248762697446949407573529996955224135760342422259061068512044369
        public = ec.derive_private_key(wide % (order - 1) + 1, ec.SECP256R1()).public_key()
        found = dict(ECAlgorithm.to_jwk(public, as_dict=True))
    return {name: found[name] for name in sorted(found) if name in ("crv", "kty", "x", "y")}


def kid_of(secret: bytes, issuer: str, algorithm: str, every_s: int, period: int) -> str:
    """Name a key."""
    if algorithm == "HS256":
        part = hkdf(secret, "kid", issuer, algorithm, every_s, period, 8)
    else:
        members = json.dumps(members_of(secret, issuer, algorithm, every_s, period), separators=(",", ":"))
        part = hashlib.sha256(members.encode()).digest()[:8]
    return f"{period}-{text_of(part)}"


def current(keys: DerivedKeys, now: float) -> Key:
    """Return the key of the period."""
    ring = KeyRing([], keys)
    ring.refresh(now)
    found = ring.signer(now)
    assert found is not None
    return found


def derived(
    algorithm: str = "HS256", *secrets: bytes, issuer: str = ISSUER, every: int = DAY, lead: int = DAY, life: int = HOUR
) -> DerivedKeys:
    """Make keys that rotate."""
    return DerivedKeys(secrets or (ROOT,), algorithm, issuer, Schedule(every, lead, life))


# Vectors


@pytest.mark.parametrize(
    ("algorithm", "thumbprint"),
    [
        ("EdDSA", "IS2_-6ODWWCUMgzRAyY7bSFfzgxF0wfKEucIwDTZ1SE"),
        ("ES256", "nLgZGBKYz744jrli5d_nxt1P_MHBx9b0edZhpJLAfV4"),
    ],
)
def test_vectors_of_pairs(algorithm: str, thumbprint: str) -> None:
    """The published vectors, to the letter: the public key, and of its thumbprint the first eight bytes as the name."""
    key = current(derived(algorithm), NOW)
    members = key.public_members()
    assert members is not None
    digest = hashlib.sha256(json.dumps(dict(members), separators=(",", ":")).encode()).digest()
    assert text_of(digest) == thumbprint
    assert key.kid == f"20000-{text_of(digest[:8])}"
    if algorithm == "EdDSA":
        assert members["x"] == "8iBDo-pdC4iRXqlSBLP72gGp9-9Ki5joi3g5bieSu0g"
        seed = bytes.fromhex("46bdba13c0d0142d9470511a0938ffc7c2ecd815ce75556e7217833a056d484d")
        signature = ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(b"text")
        assert key.sign(b"text") == text_of(signature).encode()
    else:
        secret = 0x2EF5EFF0C5D9152E91C7C31A4E6D49BCEE23D2790E332CAB9F45EA860F589C5D
        point = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
        assert members["x"] == text_of(point.x.to_bytes(32))
        assert members["y"] == text_of(point.y.to_bytes(32))


def test_vector_of_hs256() -> None:
    """The published vector of the HMAC secret."""
    secret = bytes.fromhex("179a3154c3821d71bfa3b3273918d6ca35a1636352a37de179300a9b1649ba83")
    assert current(derived(), NOW).sign(b"text") == HmacKey(secret).sign(b"text")


@pytest.mark.parametrize("size", [1, 31, 32, 33, 48, 64, 65, 255])
def test_expand_is_hkdf(size: int) -> None:
    """Any length of output is that of RFC 5869."""
    pseudorandom = hmac.digest(b"salt", b"secret", "sha256")
    expected = HKDF(hashes.SHA256(), size, b"salt", b"\0\1a\0\0\0\2bc").derive(b"secret")
    assert expand(pseudorandom, (b"a", b"", b"bc"), size) == expected


@given(
    secret=st.binary(min_size=32, max_size=100),
    issuer=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    algorithm=st.sampled_from(ALGORITHMS),
    every=st.integers(10, 366 * DAY),
    now=st.integers(YEAR_2020, 2**40),
)
def test_another_implementation_agrees(secret: bytes, issuer: str, algorithm: str, every: int, now: int) -> None:
    """Any secret, issuer, algorithm, length and number of period give the same key and name."""
    key = current(derived(algorithm, secret, issuer=issuer, every=every, lead=every, life=every), now)
    period = now // every
    assert key.kid == kid_of(secret, issuer, algorithm, every, period)
    members = key.public_members()
    if algorithm == "HS256":
        assert members is None
        assert key.sign(b"text") == HmacKey(hkdf(secret, "sign", issuer, algorithm, every, period, 32)).sign(b"text")
    else:
        assert dict(members or {}) == members_of(secret, issuer, algorithm, every, period)
    assert key.verify(b"text", key.sign(b"text"))


def test_fields_do_not_run_together() -> None:
    """Another split of the same letters, another length of period or another algorithm is another key."""
    keys = [
        current(derived(algorithm, issuer=issuer, every=every, lead=every), NOW)
        for algorithm in ALGORITHMS
        for issuer in ("a", "aE", "aEdDSA", "a\0", "\0a")
        for every in (DAY, DAY // 2, 256, 257)
    ]
    assert len({key.kid for key in keys}) == len(keys)
    assert len({key.sign(b"text") for key in keys}) == len(keys)


# Which keys are known when


@pytest.mark.parametrize(
    ("every", "lead", "life", "old", "coming"),
    [
        (DAY, DAY, HOUR, 1, 1),
        (DAY, DAY, DAY, 2, 1),
        (DAY, DAY, DAY - 900, 1, 1),  # life and 15 minutes are a day
        (DAY, DAY, DAY - 899, 2, 1),
        (DAY, 2 * DAY, HOUR, 1, 2),
        (DAY, DAY + 1, HOUR, 1, 2),
        (DAY, 0, HOUR, 1, 0),
        (10, 10, 10, 2, 1),  # the lag is `every` where that is less than 15 minutes
        (10, 0, 1, 2, 0),
        (900, 900, 900, 2, 1),
        (366 * DAY, DAY, HOUR, 1, 1),
    ],
)
def test_known_periods(every: int, lead: int, life: int, old: int, coming: int) -> None:
    """As many coming keys as `lead` spans, as many old ones as the longest token and 15 minutes span."""
    keys = derived(every=every, lead=lead, life=life)
    period = NOW // every
    names = [int(key.kid.partition("-")[0]) for key in keys.known(NOW)]
    assert names == list(range(period - old, period + coming + 1))


@given(
    every=st.integers(10, 5000),
    lead=st.integers(0, 10_000),
    life=st.integers(1, 10_000),
    begin=st.integers(YEAR_2020 + 20_000, 2**33),
    offset=st.integers(-12_000, 12_000),
)
def test_tokens_and_verifiers_find_their_keys(every: int, lead: int, life: int, begin: int, offset: int) -> None:
    """A token is verified until it ends and for the lag after, and its key was known `lead` before it signed."""
    keys = derived(every=every, lead=lead, life=life)
    ring = KeyRing([], keys)
    ring.refresh(begin)
    key = ring.signer(begin, life)
    assert key is not None
    assert key.kid.startswith(f"{begin // every}-")
    assert key.until >= begin + life
    now = begin + offset
    ring.refresh(now)
    found = ring.find(key.kid, now)
    if -lead <= offset < life + min(900, every):
        assert found is key or (found is not None and found.kid == key.kid)
    assert len(ring.keys) == 1 + ceil(lead / every) + ceil((life + min(900, every)) / every)


def test_a_boundary() -> None:
    """At the second when a period begins its key signs, and not before; both are known on both sides."""
    ring = KeyRing([], derived(life=HOUR))
    seen = []
    for now in (NOW - 1, NOW - 0.001, NOW, NOW + 1):
        ring.refresh(now)
        signing = ring.signer(now, HOUR)
        assert signing is not None
        seen.append(signing.kid.partition("-")[0])
        assert {"19999", "20000"} <= {key.kid.partition("-")[0] for key in ring.keys}
        assert signing.kid.encode() not in ring.jwks  # HMAC
    assert seen == ["19999", "19999", "20000", "20000"]
    assert ring.next_switch(NOW, HOUR) == NOW + DAY


def test_keys_stay_as_long_as_they_say() -> None:
    """Between two boundaries nothing is derived, and the bytes of the JWKS are the same object."""
    ring = KeyRing([], derived("EdDSA"))
    ring.refresh(NOW)
    keys, text = ring.keys, ring.jwks
    for now in (NOW + 0.5, NOW + 1, NOW + DAY - 0.001):
        ring.refresh(now)
        assert ring.jwks is text
        assert ring.keys is keys
    ring.refresh(NOW + DAY)
    assert ring.jwks != text
    assert len(set(keys) & set(ring.keys)) == len(keys) - 1  # the same objects: nothing is derived twice


@pytest.mark.parametrize("back", [1, HOUR, DAY, 30 * DAY])
def test_a_clock_set_back(back: int) -> None:
    """The keys of the time that the clock says are known again, the same as before."""
    ring = KeyRing([], derived("EdDSA"))
    ring.refresh(NOW - back)
    names, text = [key.kid for key in ring.keys], ring.jwks
    ring.refresh(NOW)
    ring.refresh(NOW - back)
    assert [key.kid for key in ring.keys] == names
    assert ring.jwks == text
    signing = ring.signer(NOW - back)
    assert signing is not None
    assert signing.kid.startswith(f"{(NOW - back) // DAY}-")


def test_a_clock_that_was_never_set() -> None:
    """Before 2020 no key is known, nothing signs, nothing is published; from 2020 on they are."""
    keys = derived("EdDSA")
    ring = KeyRing([], keys)
    for now in (-1.0, 0.0, 1.5, YEAR_2020 - 1, YEAR_2020 - 0.001):
        ring.refresh(now)
        assert ring.keys == ()
        assert ring.signer(now) is None
        assert ring.jwks == b""
        assert keys.stays(now) == (-inf, YEAR_2020)
    ring.refresh(YEAR_2020)
    assert ring.signer(YEAR_2020) is not None
    ring.refresh(YEAR_2020 - 1)
    assert ring.keys == ()


def test_the_year_2020_within_a_period() -> None:
    """Where a period began in 2019, its key is known from 2020 on, and not before."""
    keys = derived(every=366 * DAY, lead=DAY)
    begins, ends = keys.stays(YEAR_2020)
    assert begins == YEAR_2020
    assert YEAR_2020 < ends == (YEAR_2020 // (366 * DAY) + 1) * 366 * DAY
    assert keys.known(YEAR_2020)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_several_secrets(algorithm: str) -> None:
    """The first signs, all verify: the way to another secret in three steps."""
    old, new = b"o" * 32, b"n" * 32
    alone, added, swapped = (KeyRing([], derived(algorithm, *secrets)) for secrets in ((old,), (old, new), (new, old)))
    signing = []
    for ring in (alone, added, swapped):
        ring.refresh(NOW)
        found = ring.signer(NOW)
        assert found is not None
        signing.append(found)
    before, also, after = signing
    assert before.kid == also.kid != after.kid
    for ring in (added, swapped):
        for signer in signing:
            verifier = ring.find(signer.kid, NOW)
            assert verifier is not None
            assert verifier.verify(b"text", signer.sign(b"text"))
    assert len(added.keys) == 2 * len(alone.keys)
    assert added.jwks == swapped.jwks
    assert alone.find(after.kid, NOW) is None


def test_the_second_secret_never_signs() -> None:
    """Not even where the first one's key is revoked: then its older key signs, or none."""
    ring = KeyRing([], derived("HS256", b"n" * 32, b"o" * 32))
    ring.refresh(NOW)
    own = {key.kid for key in derived("HS256", b"n" * 32).known(NOW)}
    revoked: set[str] = set()
    while (signing := ring.signer(NOW)) is not None:
        assert signing.kid in own
        revoked.add(signing.kid)
        ring.revoke(frozenset(revoked))
    assert len(revoked) == 2  # of the period and of the one before
    assert {key.kid for key in ring.keys if key.can_sign} == own


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_name_stands_for_two_keys(algorithm: str) -> None:
    """Over 1000 periods and two secrets each name is of one key, and each key has one name."""
    keys = derived(algorithm, ROOT, b"another".ljust(32), every=10, lead=10, life=1)
    signatures: dict[str, bytes] = {}
    for now in range(NOW, NOW + 10_000, 10):
        for key in keys.known(now):
            signature = key.sign(b"text")
            assert signatures.setdefault(key.kid, signature) == signature
    assert len(signatures) == len(set(signatures.values())) == 2 * (1000 + 3)


def test_replicas_agree() -> None:
    """Replicas that started at different times publish the same bytes, and take tokens of a clock that is seconds off."""
    random = Random(5869)
    long_running = KeyRing([], derived("ES256", every=60, lead=60, life=60))
    for now in range(NOW, NOW + 600):
        long_running.refresh(now)
        if random.random() < 0.1:
            other = KeyRing([], derived("ES256", every=60, lead=60, life=60))
            other.refresh(now)
            assert other.jwks == long_running.jwks
            skewed = now + random.choice((-59, -5, 5, 59))
            other.refresh(skewed)
            signing = other.signer(skewed, 60)
            assert signing is not None
            found = long_running.find(signing.kid, now)
            assert found is not None
            assert found.verify(b"text", signing.sign(b"text"))


def test_a_name_shows_nothing_of_a_secret() -> None:
    """For HMAC the name is another output, and no thumbprint of the secret (RFC 7638 §7)."""
    key = current(derived(), NOW)
    secret = hkdf(ROOT, "sign", ISSUER, "HS256", DAY, 20_000, 32)
    members = json.dumps({"k": text_of(secret), "kty": "oct"}, separators=(",", ":")).encode()
    for guess in (secret, hashlib.sha256(members).digest(), hashlib.sha256(secret).digest()):
        assert text_of(guess[:8]) not in key.kid
