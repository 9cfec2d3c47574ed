"""Which key signs next, when none does any more, and what a key is for."""

from __future__ import annotations

import json
from math import inf
from typing import Final

import jwt
import pytest

from txtoken.errors import TokenError
from txtoken.service.keys.asymmetric import AsymmetricKey, pair_of
from txtoken.service.keys.derived import YEAR_2020, DerivedKeys, Schedule
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key, KeyTimes
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.issue import CutTokens, new_issuer
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, IssueSettings

SECRET: Final = b"a secret of thirty-two bytes ...."
NOW: Final = 2_000_000_000


def key(kid: str, begins: float = -inf, until: float = inf, *, can_sign: bool = True) -> Key:
    """Make a key."""
    made = HmacKey(SECRET + kid.encode(), kid=kid, times=KeyTimes(begins, until))
    made.can_sign = can_sign
    return made


def derived(every_s: int = 10, lead_s: int = 10, life_s: int = 30) -> KeyRing:
    """Make a ring of self-rotating keys."""
    ring = KeyRing([], DerivedKeys([SECRET], "HS256", "https://issuer.example", Schedule(every_s, lead_s, life_s)))
    ring.refresh(NOW)
    return ring


@pytest.mark.parametrize(
    ("keys", "life_s", "switch", "end"),
    [
        ([], 0, inf, NOW),
        ([key("a")], 0, inf, inf),
        ([key("a", until=NOW + 50)], 0, NOW + 50, NOW + 50),
        ([key("a", until=NOW)], 0, inf, NOW),  # it has ended
        ([key("a"), key("b", NOW + 70)], 0, NOW + 70, inf),
        ([key("a", until=NOW + 90), key("b", NOW + 70)], 0, NOW + 70, inf),
        ([key("a", until=NOW + 90), key("b", NOW + 70, NOW + 200)], 0, NOW + 70, NOW + 200),
        # The younger one ends first, and the older one signs again.
        ([key("a", until=NOW + 300), key("b", NOW - 5, NOW + 60)], 0, NOW + 60, NOW + 300),
        # One that only verifies never signs.
        ([key("a", until=NOW + 50), key("b", NOW - 5, can_sign=False)], 0, NOW + 50, NOW + 50),
        ([key("a"), key("b", NOW + 70, can_sign=False)], 0, inf, inf),
        # Tokens that live for 40 s outlive the first key from the 11th second on: the next one signs them.
        ([key("a", until=NOW + 50), key("b", NOW + 50)], 40, NOW + 11, inf),
        ([key("a", until=NOW + 50), key("b", NOW + 5)], 40, NOW + 5, inf),
        # There is no other: they are cut until the end.
        ([key("a", until=NOW + 50)], 40, NOW + 50, NOW + 50),
    ],
)
def test_switch_and_end(keys: list[Key], life_s: float, switch: float, end: float) -> None:
    """The next switch is the first second in which another key signs, or none, and the end is when none does any more."""
    ring = KeyRing(keys)
    ring.refresh(NOW)
    assert ring.next_switch(NOW, life_s) == switch
    assert ring.signing_end(NOW) == end
    if NOW < switch < inf:
        current = ring.signer(NOW, life_s)
        assert ring.signer(switch - 1, life_s) is current
        assert ring.signer(switch, life_s) is not current


@pytest.mark.parametrize("lead_s", [0, 1, 10, 25])
def test_keys_that_rotate(lead_s: int) -> None:
    """Of self-rotating keys the next one signs when the period ends, however soon it is published, without end."""
    ring = derived(lead_s=lead_s)
    for now in range(NOW, NOW + 25):
        ring.refresh(now)
        assert ring.next_switch(now, 30) == now - now % 10 + 10
        assert ring.signing_end(now) == inf


def test_a_clock_that_was_never_set() -> None:
    """Before 2020 no key signs, until the clock says 2020."""
    ring = derived()
    ring.refresh(1000)
    assert ring.signer(1000) is None
    assert ring.next_switch(1000, 0) == YEAR_2020


def test_what_a_key_is_for() -> None:
    """A key signs, or is to sign, or has signed; one that only verifies counts as old."""
    keys = [key("old"), key("signing", NOW - 10), key("next", NOW + 10), key("public", NOW - 5, can_sign=False)]
    ring = KeyRing(keys)
    assert [ring.use_of(each, NOW) for each in keys] == ["old", "signing", "next", "old"]
    assert [ring.use_of(each, NOW + 10) for each in keys] == ["old", "old", "signing", "old"]


def test_refused_tokens_are_counted_by_their_key() -> None:
    """A token that names a key of ours and is refused for signature, algorithm or end is counted by what the key is for, and
    what names none is not.
    """
    ring = KeyRing([key("old"), key("signing", NOW - 10), key("next", NOW + 10)])
    verifier = TokenVerifier(ring, CheckSettings("/check"), Memory(0))

    def present(kid: str, expires: int = NOW + 60, secret: bytes = b"", algorithm: str = "HS256") -> None:
        signed = secret or SECRET + kid.encode()
        token = jwt.encode({"exp": expires}, signed, algorithm, headers={"kid": kid})
        with pytest.raises(TokenError):
            verifier.verify(token.encode(), NOW)

    present("signing", secret=SECRET)
    present("signing", secret=SECRET)
    present("next", secret=SECRET)
    present("old", expires=NOW)
    present("old", secret=2 * SECRET, algorithm="HS384")
    present("unknown")
    assert verifier.refused == {
        ("signature", "signing"): 2,
        ("signature", "next"): 1,
        ("expired", "old"): 1,
        ("algorithm", "old"): 1,
    }


@pytest.mark.parametrize(
    "settings", [IssueSettings(40), IssueSettings(40, has_jti=True)], ids=lambda settings: f"jti: {settings.has_jti}"
)
def test_cut_tokens_are_counted(settings: IssueSettings) -> None:
    """Each token whose end is that of its key is counted, and no other, and the end is right."""
    cut = CutTokens()
    issuer = new_issuer(KeyRing([key("a", until=NOW + 50)]), settings, cut)

    def end_of(now: int) -> int:
        claims = jwt.decode(issuer.issue(b"{}", now), options={"verify_signature": False, "verify_exp": False})
        return int(claims["exp"])

    assert end_of(NOW + 10) == NOW + 50
    assert cut.count == 0
    assert [end_of(NOW + second) for second in (11, 11, 49)] == [NOW + 50] * 3
    assert cut.count == 3


def test_a_key_that_has_ended_is_not_published() -> None:
    """A public key leaves the JWKS when it ends, and is back when the clock is set back; the ring still knows it."""
    public = generated("EdDSA", KeyTimes(until=NOW + 5))
    ring = KeyRing([key("a"), public])
    published = []
    for now in (NOW, NOW + 4, NOW + 5, NOW + 9, NOW + 4):
        ring.refresh(now)
        published.append([each["kid"] for each in json.loads(ring.jwks)["keys"]] if ring.jwks else [])
        assert public in ring.keys
    assert published == [[public.kid], [public.kid], [], [], [public.kid]]


def test_a_nameless_key_does_not_take_over() -> None:
    """A `kid` means something beside the key without one, also when all keys with one have ended."""
    ring = KeyRing([key("a", until=NOW), key("")])
    ring.refresh(NOW + 1)
    assert ring.find("a", NOW + 1) is None
    assert ring.find("b", NOW + 1) is None
    assert ring.find(None, NOW + 1) is not None


def generated(algorithm: str, times: KeyTimes) -> Key:
    """Make a key pair."""
    return AsymmetricKey(*pair_of(SECRET[:32], algorithm), algorithm, times=times)
