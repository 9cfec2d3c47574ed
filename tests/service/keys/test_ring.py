"""Which key signs, which one a token names, and which are published."""

from __future__ import annotations

import json
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.keys.making import private_pem
from txtoken.service.keys.asymmetric import load
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key, KeyTimes
from txtoken.service.keys.ring import KeyRing, key_set

SECRET = b"a-secret-for-tests-0123456789-abcdefgh"


def key(kid: str, begins: float = -inf, until: float = inf, *, can_sign: bool = True) -> Key:
    """Make a key."""
    made = HmacKey(SECRET, "HS256", kid, KeyTimes(begins, until))
    made.can_sign = can_sign
    return made


def signer(ring: KeyRing, now: float, life_s: float = 0) -> str | None:
    """Name the key that signs."""
    found = ring.signer(now, life_s)
    return None if found is None else found.kid


def test_the_key_whose_time_came_last_signs() -> None:
    """Of the keys whose `from` has passed the youngest signs; without `from` a key is the oldest."""
    ring = KeyRing([key("old"), key("b", 200), key("a", 100)])
    assert [signer(ring, now) for now in (0, 99.9, 100, 199, 200, 1e12)] == ["old", "old", "a", "a", "b", "b"]


def test_ties_go_to_the_first() -> None:
    """Of keys with the same `from` the first in the list signs."""
    assert signer(KeyRing([key("a", 100), key("b", 100)]), 100) == "a"
    assert signer(KeyRing([key("b"), key("a")]), 100) == "b"


def test_the_key_without_a_name_is_the_oldest() -> None:
    """`encKey` beside a keyset signs until the first `from`, wherever it stands."""
    for keys in ([key(""), key("a", 100)], [key("a", 100), key("")]):
        assert [signer(KeyRing(keys), now) for now in (0, 100)] == ["", "a"]
    assert signer(KeyRing([key(""), key("a")]), 0) == "a"


def test_a_public_key_does_not_sign() -> None:
    """A key that only verifies is passed over."""
    ring = KeyRing([key("public", 100, can_sign=False), key("private", 50)])
    assert signer(ring, 200) == "private"
    assert ring.find("public", 200) is not None
    assert signer(KeyRing([key("public", can_sign=False)]), 0) is None


def test_no_key_signs_before_its_time_or_after() -> None:
    """Nothing signs in a gap, nor when the keyset has ended."""
    ring = KeyRing([key("a", 100, 200), key("b", 300, 400)])
    assert [signer(ring, now) for now in (99, 100, 199, 200, 299, 300, 399, 400)] == [
        *(None, "a", "a", None, None, "b", "b", None),
    ]


def test_the_key_that_outlives_the_token_signs() -> None:
    """Where a key ends before the token would, the next one that outlives it signs, else the token ends with its key."""
    ring = KeyRing([key("a", 0, 200), key("b", 150)])
    assert [signer(ring, now, 60) for now in (100, 140, 141, 160)] == ["a", "a", "b", "b"]
    assert signer(KeyRing([key("a", 0, 200), key("b", 200, 220), key("c", 220)]), 150, 100) == "c"
    assert signer(KeyRing([key("a", 0, 200), key("b", 200, 220)]), 150, 100) == "a"
    assert signer(KeyRing([key("a", 0, 200)]), 150, 100) == "a"


@pytest.mark.parametrize("kid", ["b", "A", "a ", "", "a" * 10_000, 1, True, ["a"], {"a": 1}, 1.5])
def test_unknown_names(kid: object) -> None:
    """A name that no key has, or that is no text, finds none; nor does a token without one where every key has one."""
    assert KeyRing([key("a")]).find(kid, 0) is None
    assert KeyRing([key("a")]).find(None, 0) is None
    assert KeyRing([key("a"), key("")]).find(kid, 0) is None


def test_names_mean_nothing_where_there_is_one_key_without() -> None:
    """With `encKey` alone a token's `kid` is ignored; beside a keyset it is for tokens without one."""
    alone, both = KeyRing([key("")]), KeyRing([key("a"), key("")])
    for kid in (None, "a", 1, "x" * 10_000):
        found = alone.find(kid, 0)
        assert found is not None
        assert found.kid == ""
    assert [found and found.kid for found in (both.find(None, 0), both.find("a", 0))] == ["", "a"]


def test_a_key_verifies_before_it_signs_and_until_it_ends() -> None:
    """Clocks differ: a key is found before its `from`. From its `until` on it is unknown."""
    ring = KeyRing([key("a", 100, 200)])
    assert [ring.find("a", now) is not None for now in (0, 99, 100, 199.9, 200, 300)] == [True] * 4 + [False] * 2


def test_revoked_keys() -> None:
    """A revoked key signs no more and leaves the JWKS, and its tokens find it still: they are revoked, not unknown."""
    one, other = load(private_pem("ES256", 1), "ES256", "one"), load(private_pem("ES256", 2), "ES256", "other")
    ring = KeyRing([one, other])
    ring.revoke({"one"})
    assert signer(ring, 0) == "other"
    assert [member["kid"] for member in json.loads(ring.jwks)["keys"]] == ["other"]
    assert ring.find("one", 0) is one
    ring.revoke(())
    assert signer(ring, 0) == "one"
    assert len(json.loads(ring.jwks)["keys"]) == 2


def test_the_set_of_public_keys() -> None:
    """The JWKS has the public keys and nothing else of them, in the same bytes whatever their order; secrets are left out."""
    keys = [load(private_pem(algorithm, 1), algorithm) for algorithm in ("ES256", "EdDSA", "RS256", "PS256")[:3]]
    keys.append(load(private_pem("PS256", 2), "PS256"))
    assert key_set([*keys, key("hmac")]) == key_set([key("hmac"), *reversed(keys)])
    found = json.loads(key_set([*keys, key("hmac")]))["keys"]
    assert {member["alg"] for member in found} == {"ES256", "EdDSA", "RS256", "PS256"}
    for member in found:
        own = {"EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "RSA": {"n", "e"}}[member["kty"]]
        assert set(member) == {"kty", "use", "alg", "kid"} | own
        assert member["use"] == "sig"
    assert key_set([key("hmac")]) == b""


def test_the_next_switch() -> None:
    """The next switch is when another key signs, or none does."""
    ring = KeyRing([key("a"), key("b", 100, 300), key("c", 100), key("public", 50, can_sign=False)])
    assert [ring.next_switch(now, 0) for now in (0, 99, 100, 299, 300)] == [100, 100, 300, 300, inf]
    assert KeyRing([key("a", 0, 100)]).next_switch(0, 0) == 100


TIMES = st.integers(0, 6)


@given(
    st.lists(st.tuples(TIMES | st.just(-inf), TIMES | st.just(inf), st.booleans()), min_size=1, max_size=6),
    TIMES,
    st.integers(0, 8),
)
def test_against_a_naive_model(entries: list[tuple[float, float, bool]], now: int, life_s: int) -> None:
    """Whatever the keys: the one that signs is one whose time it is, unless a later one outlives the token."""
    keys = [key(f"k{n}", begins, until, can_sign=can) for n, (begins, until, can) in enumerate(entries)]

    def at(moment: float) -> Key | None:
        active = [one for one in keys if one.can_sign and one.begins <= moment < one.until]
        return min(active, key=lambda one: (-one.begins, keys.index(one)), default=None)

    expected = first = at(now)
    while expected is not None and expected.until < now + life_s:
        expected = at(expected.until)
    assert KeyRing(keys).signer(now, life_s) is (expected or first)
