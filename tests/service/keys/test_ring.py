"""The keys of a service: which signs when, which one a token names, what is published. The judge is a naive model."""

from __future__ import annotations

import json
from math import inf
from random import Random
from typing import Any, Final

import jwt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.keys.material import jwk_text, pair, pem
from txtoken.service.keys.asymmetric import load
from txtoken.service.keys.derived import DerivedKeys, Schedule
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key, KeyTimes
from txtoken.service.keys.ring import KeyRing

NOW: Final = 1_700_000_000
DAY: Final = 86_400


def key(kid: str, begins: float = -inf, until: float = inf, *, can_sign: bool = True) -> Key:
    """Make a key of these times."""
    made = HmacKey(kid.encode().ljust(32, b"."), "HS256", kid, KeyTimes(begins, until))
    made.can_sign = can_sign
    return made


def signer(ring: KeyRing, now: float, life_s: float = 0) -> str | None:
    """Name the key that signs. The one without a name is ""."""
    found = ring.signer(now, life_s)
    return None if found is None else found.kid


# Which key signs


def test_the_latest_from_signs() -> None:
    """Of the keys whose `from` has passed, the one with the latest signs, wherever it stands in the list."""
    for keys in ([key("a"), key("b", NOW), key("c", NOW + 10)], [key("c", NOW + 10), key("a"), key("b", NOW)]):
        ring = KeyRing(keys)
        times = (NOW - 0.001, NOW, NOW + 9.999, NOW + 10, NOW + 1e9)
        assert [signer(ring, now) for now in times] == ["a", "b", "b", "c", "c"]


def test_ties() -> None:
    """Of two keys with the same `from`, and of two without one, the first in the list signs."""
    assert signer(KeyRing([key("b"), key("a")]), NOW) == "b"
    assert signer(KeyRing([key("z", NOW), key("a", NOW)]), NOW) == "z"
    assert signer(KeyRing([key("z", NOW, can_sign=False), key("a", NOW)]), NOW) == "a"


def test_until() -> None:
    """A key signs and verifies before its `until`, and not at it."""
    ring = KeyRing([key("a", NOW, NOW + 10)])
    assert [signer(ring, now) for now in (NOW - 1, NOW, NOW + 9.999, NOW + 10)] == [None, "a", "a", None]
    assert ring.find("a", NOW + 9.999) is not None
    assert ring.find("a", NOW + 10) is None


def test_the_older_signs_again_when_the_younger_ends() -> None:
    """The key before it replaces one that ends."""
    ring = KeyRing([key("a"), key("b", NOW, NOW + 10)])
    assert [signer(ring, now) for now in (NOW - 1, NOW, NOW + 10)] == ["a", "b", "a"]


def test_a_key_verifies_before_it_signs() -> None:
    """Clocks differ: a token by a key whose `from` is to come is good."""
    coming = key("b", NOW + DAY)
    ring = KeyRing([key("a"), coming])
    assert ring.find("b", NOW) is coming


def test_a_public_half_never_signs() -> None:
    """The key with the latest `from` that can sign signs."""
    public = load(jwk_text(pair("ES256").public_key(), kid="p"), "ES256", "p", KeyTimes(NOW, inf))
    ring = KeyRing([key("a"), public])
    assert signer(ring, NOW + 1) == "a"
    assert ring.find("p", NOW) is public
    assert signer(KeyRing([public]), NOW + 1) is None


def test_the_key_that_outlives_the_token_signs() -> None:
    """Where the signing key ends before the token would, the next one that does not signs, even before its `from`."""
    ring = KeyRing([key("a", until=NOW + 100), key("b", NOW + 50, NOW + 150), key("c", NOW + 120)])
    assert signer(ring, NOW, 100) == "a"
    assert signer(ring, NOW, 101) == "b"
    assert signer(ring, NOW, 150) == "b"
    assert signer(ring, NOW, 151) == "c"
    assert signer(ring, NOW + 50, 100) == "b"
    assert signer(ring, NOW + 50.5, 100) == "c"


def test_the_next_key_that_outlives_the_token_is_the_next_to_sign() -> None:
    """Of several that outlive the token it is the one that signs first, and a gap (where a key was revoked) is passed over."""
    ring = KeyRing([key("a", until=NOW + 100), key("b", NOW + 50, NOW + 200), key("c", NOW + 90)])
    assert [signer(ring, NOW, life) for life in (100, 101, 200, 201)] == ["a", "b", "b", "c"]
    ring = KeyRing([key("a", until=NOW + 100), key("b", NOW + 90, NOW + 150), key("c", NOW + 150)])
    ring.revoke(frozenset(["b"]))
    assert [signer(ring, NOW, life) for life in (100, 101)] == ["a", "c"]


def test_no_key_outlives_the_token() -> None:
    """The token is then by the key that signs now, and ends with it."""
    ring = KeyRing([key("a", until=NOW + 100), key("b", NOW + 50, NOW + 150)])
    assert signer(ring, NOW, 151) == "a"
    assert signer(ring, NOW + 60, 151) == "b"
    assert signer(ring, NOW + 150, 1) is None


def test_the_key_without_a_name_beside_keys() -> None:
    """`encKey` signs until the first `from`, and verifies as long as it is there, for tokens without a `kid` alone."""
    nameless = HmacKey(b"s" * 32)
    ring = KeyRing([key("a", NOW), key("b", NOW + 10), nameless])
    assert [signer(ring, now) for now in (NOW - 1, NOW, NOW + 10)] == ["", "a", "b"]
    assert ring.find(None, NOW + DAY) is nameless
    assert ring.find("", NOW) is None
    assert ring.find("x", NOW) is None
    assert signer(KeyRing([nameless, key("a")]), NOW) == "a"


def test_the_key_without_a_name_alone() -> None:
    """Where it is alone a `kid` means nothing, as in the original."""
    ring = KeyRing([HmacKey(b"s" * 32)])
    kids: list[Any] = [None, "", "any", 5, [], {}, True, "x" * 10_240]
    for kid in kids:
        assert ring.find(kid, NOW) is ring.keys[0]


@pytest.mark.parametrize(
    "kid",
    [
        None,
        "",
        "A",
        "a ",
        " a",
        "a\0",
        "á",
        "a" * 10_240,
        "\ud800",
        0,
        1,
        1.5,
        True,
        False,
        [],
        ["a"],
        {},
        {"a": 1},
        b"a",
    ],
    ids=lambda kid: ascii(kid)[:12],
)
def test_what_names_no_key(kid: Any) -> None:
    """A `kid` is compared letter by letter (RFC 7517 §4.5), and one that is no text names nothing."""
    ring = KeyRing([key("a"), key("1"), key("True"), key("None")])
    assert ring.find(kid, NOW) is None


@pytest.mark.parametrize("kid", ["", "x", 5, True, [], ["a"], {}, 1.5])
def test_no_odd_name_leads_to_the_key_without_one(kid: Any) -> None:
    """Beside named keys the one without a name is for tokens without a `kid` alone, whatever else the `kid` is."""
    ring = KeyRing([key("a"), HmacKey(b"s" * 32)])
    assert ring.find(kid, NOW) is None
    assert ring.find(None, NOW) is ring.keys[1]


# The next switch


def test_next_switch() -> None:
    """The moment when another key signs, or none does."""
    ring = KeyRing([key("a", until=NOW + 100), key("b", NOW + 50, NOW + 150)])
    assert ring.next_switch(NOW - DAY, 0) == NOW + 50
    assert ring.next_switch(NOW + 49.9, 0) == NOW + 50
    assert ring.next_switch(NOW + 50, 0) == NOW + 150  # the end of a switches nothing
    assert ring.next_switch(NOW + 150, 0) == inf
    assert KeyRing([key("a")]).next_switch(NOW, 0) == inf
    assert KeyRing([]).next_switch(NOW, 0) == inf
    assert KeyRing([key("a"), key("p", NOW + 5, can_sign=False)]).next_switch(NOW, 0) == inf


def test_a_switch_before_the_end() -> None:
    """A key that ends before its tokens would gives way a token's life before its end, from the next second on."""
    ring = KeyRing([key("a", until=NOW + 100), key("b", NOW + 90)])
    assert ring.next_switch(NOW, 30) == NOW + 71
    assert ring.next_switch(NOW, 5) == NOW + 90


def test_the_end_of_all_keys() -> None:
    """It is the moment in which nothing signs any more: a gap, too, and now where nothing does; keys that rotate have none."""
    ring = KeyRing([key("a", until=NOW + 100), key("b", NOW + 50, NOW + 150), key("c", NOW + 200)])
    assert [ring.signing_end(now) for now in (NOW, NOW + 120, NOW + 150, NOW + 200)] == [
        NOW + 150,
        NOW + 150,
        NOW + 150,
        inf,
    ]
    assert KeyRing([]).signing_end(NOW) == NOW
    rotating = KeyRing([], DerivedKeys([b"s" * 32], "HS256", "i", Schedule(60, 60, 60)))
    rotating.refresh(NOW)
    assert (rotating.signing_end(NOW), rotating.next_switch(NOW, 60)) == (inf, (NOW // 60 + 1) * 60)


# Revoked keys


def test_a_revoked_key() -> None:
    """It signs no more and is published no more, and its tokens find it: the list of revocations speaks of them."""
    old, new = (
        load(pem(pair("ES256", n)), "ES256", kid, KeyTimes(begins, inf))
        for n, kid, begins in ((0, "a", 0), (1, "b", 9))
    )
    ring = KeyRing([old, new])
    both = ring.jwks
    ring.revoke(frozenset(["b"]))
    assert signer(ring, NOW) == "a"
    assert ring.find("b", NOW) is new
    assert [member["kid"] for member in orjson.loads(ring.jwks)["keys"]] == ["a"]
    ring.revoke({"a", "b", "unknown"})
    assert signer(ring, NOW) is None
    assert ring.jwks == b""
    assert ring.next_switch(NOW, 0) == inf
    ring.revoke(frozenset())
    assert signer(ring, NOW) == "b"
    assert ring.jwks == both


def test_a_revoked_key_is_not_the_next_one() -> None:
    """A token that the signing key does not outlive is not signed by one that is revoked either."""
    ring = KeyRing([key("a", until=NOW + 100), key("b", NOW + 50), key("c", NOW + 60)])
    ring.revoke(frozenset(["c"]))
    assert signer(ring, NOW, 200) == "b"
    ring.revoke(frozenset(["b", "c"]))
    assert signer(ring, NOW, 200) == "a"


def test_revoked_keys_that_rotate_stay_revoked() -> None:
    """When the period changes, what is revoked is revoked still."""
    schedule = Schedule(DAY, DAY, 3600)
    ring = KeyRing([], DerivedKeys([bytes(range(32))], "EdDSA", "https://login.example", schedule))
    ring.refresh(NOW)
    current = ring.signer(NOW)
    assert current is not None
    ring.revoke(frozenset([current.kid]))
    for now in (NOW, NOW + 1, NOW + DAY):
        ring.refresh(now)
        found = ring.signer(now)
        assert found is None or found.kid != current.kid
        assert current.kid.encode() not in ring.jwks
        assert ring.find(current.kid, now) is not None


def test_keys_that_rotate_beside_one_without_a_name() -> None:
    """The key without a name verifies its tokens through every period."""
    nameless = HmacKey(b"s" * 32)
    ring = KeyRing([nameless], DerivedKeys([bytes(range(32))], "HS256", "i", Schedule(60, 60, 60)))
    assert ring.find(None, NOW) is nameless
    for now in range(NOW, NOW + 600, 30):
        ring.refresh(now)
        assert ring.find(None, now) is nameless
        found = ring.signer(now)
        assert found is not None
        assert found.kid.startswith(f"{now // 60}-")


# What is published


def published() -> list[Key]:
    """Make keys of all kinds."""
    keys: list[Key] = [
        load(pem(pair(algorithm, number)), algorithm, f"{algorithm}-{number}", KeyTimes(begins, inf))
        for algorithm in ("ES256", "EdDSA", "RS256", "PS256")
        for number, begins in ((0, -inf), (1, NOW), (2, NOW + 5))
        if algorithm != "PS256" or number > 1  # an RSA key has one algorithm
    ]
    return [*keys, HmacKey(b"a secret of sixty-four bytes".ljust(64, b"."), "HS512", "hmac"), HmacKey(b"s" * 32)]


def test_published_bytes() -> None:
    """The same keys in another order are the same bytes, and PyJWT reads each of them."""
    keys = published()
    text = KeyRing(keys).jwks
    random = Random(7517)
    for _ in range(10):
        random.shuffle(keys)
        assert KeyRing(keys).jwks == text
    names = {member.key_id for member in jwt.PyJWKSet.from_json(text.decode()).keys}
    assert names == {made.kid for made in keys if made.algorithm[:2] != "HS"}


def test_nothing_private_is_published() -> None:
    """A member has `kty use alg kid`, the public numbers, and nothing else; secrets and private numbers are nowhere in it."""
    text = KeyRing(published()).jwks
    wanted = {"EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "RSA": {"n", "e"}}
    for member in json.loads(text)["keys"]:
        assert set(member) == {"kty", "use", "alg", "kid"} | wanted[member["kty"]]
        assert member["use"] == "sig"
    assert b'"oct"' not in text  # with its quotes: in the numbers of RSA keys any three letters may stand
    assert b'"hmac"' not in text
    for algorithm in ("ES256", "EdDSA", "RS256"):
        for number in range(3):
            private = json.loads(jwk_text(pair(algorithm, number)))
            for name in {"d", "p", "q", "dp", "dq", "qi"} & set(private):
                assert private[name].encode() not in text


def test_secrets_alone_publish_nothing() -> None:
    """There is no set where there is nothing to publish."""
    assert KeyRing([key("a"), HmacKey(b"s" * 32)]).jwks == b""
    assert KeyRing([]).jwks == b""


# A naive model

TIMES: Final = st.integers(0, 30)


@st.composite
def rings(draw: st.DrawFn) -> list[Key]:
    """A few keys of any times, with or without one that has no name."""
    keys: list[Key] = []
    for number in range(draw(st.integers(0, 5))):
        begins = draw(st.one_of(TIMES, st.just(-inf)))
        until = draw(st.one_of(TIMES.map(lambda length, start=begins: max(start, 0) + 1 + length), st.just(inf)))  # type: ignore[misc]
        keys.append(key(f"k{number}", begins, until, can_sign=draw(st.integers(0, 4)) > 0))
    if draw(st.booleans()):
        keys.append(HmacKey(b"s" * 32))
    return keys


def model(keys: list[Key], now: float) -> Key | None:
    """Say which key signs at a moment, as the contract's words have it."""
    best: Key | None = None
    for candidate in [key for key in keys if key.kid] + [key for key in keys if not key.kid]:
        if (
            candidate.can_sign
            and candidate.begins <= now < candidate.until
            and (best is None or candidate.begins > best.begins)
        ):
            best = candidate
    return best


def model_for_life(keys: list[Key], now: int, life: int) -> Key | None:
    """Say which key signs a token that is to live so long: the first to sign from now on that outlives it."""
    first = model(keys, now)
    for moment in range(now, 200 if first is not None else 0):
        key = model(keys, moment)
        if key is not None and key.until >= now + life:
            return key
    return first


@given(rings(), TIMES, st.integers(0, 40), st.sets(st.sampled_from(["k0", "k1", "k2"])))
def test_the_model(keys: list[Key], now: int, life: int, revoked: set[str]) -> None:
    """Signer, next switch and finding agree with the model at any moment, for any keys."""
    ring = KeyRing(keys)
    ring.revoke(frozenset(revoked))
    signing = [key for key in keys if key.kid not in revoked]
    expected = model(signing, now)
    assert ring.signer(now) is expected
    later = [moment for moment in range(now + 1, 100) if model(signing, moment) is not expected]
    assert ring.next_switch(now, 0) == (later[0] if later else inf)
    found = ring.signer(now, life)
    later = [moment for moment in range(now + 1, 200) if ring.signer(moment, life) is not found]
    assert ring.next_switch(now, life) == (later[0] if later else inf)
    silent = [moment for moment in range(now, 200) if model(signing, moment) is None]
    assert ring.signing_end(now) == (silent[0] if silent else inf)
    assert found is model_for_life(signing, now, life)
    for key in keys:
        assert ring.find(key.kid or None, now) is (key if now < key.until else None)
