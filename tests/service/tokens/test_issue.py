"""Issuing tokens: header, `exp`, and the key that signs. The judges are PyJWT and our own verifier."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.tokens.issuing import TTL, issued, text_of
from tests.service.tokens.json_values import JSON_OBJECTS
from tests.service.tokens.plain import KEY, ring, verifier
from tests.service.tokens.signing import NOW, key_of
from txtoken.errors import NoSigningKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.compact import compact_object
from txtoken.service.tokens.issue import ClaimsIssuer, TokenIssuer, new_issuer
from txtoken.settings import IssueSettings


@given(
    data=JSON_OBJECTS, ttl_s=st.integers(1, 10**7), style=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")])
)
def test_verify_undoes_sign(data: dict[str, Any], ttl_s: int, style: tuple[str, str]) -> None:
    """Any object comes back from its token as it went in, whole integers of any size included, and PyJWT reads the same."""
    text = json.dumps(data, separators=style, ensure_ascii=False).encode()
    token = TokenIssuer(ring(KEY), IssueSettings(ttl_s)).issue(compact_object(text), NOW)
    claims = json.loads(verifier().verify(token, NOW).claims)
    assert claims == {"data": data, "exp": NOW + ttl_s}
    assert list(claims["data"]) == list(data)
    assert jwt.decode(token, KEY, ["HS256"], options={"verify_exp": False}) == claims
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


def test_the_quick_issuer_is_taken_where_it_can_be() -> None:
    """Claims that are the same for a second cost nothing a token."""
    ring = KeyRing([key_of("HS256", "")])
    constant = IssueSettings(TTL, issuer="i", audience=("a",), has_iat=True, has_nbf=True)
    assert type(new_issuer(ring, constant)) is TokenIssuer
    for settings in (
        IssueSettings(TTL, subject=""),
        IssueSettings(TTL, has_jti=True),
        IssueSettings(TTL, data_claim=""),
        IssueSettings(TTL, data_include=()),
        IssueSettings(TTL, data_exclude=("a",)),
    ):
        assert type(new_issuer(ring, settings)) is ClaimsIssuer


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+jwt"])
def test_typ(typ: str) -> None:
    """`typ` of the header is what was asked for."""
    assert jwt.get_unverified_header(issued({}, typ=typ)) == {"alg": "HS256", "typ": typ}


@pytest.mark.parametrize(
    ("until", "expires"),
    [(inf, NOW + TTL), (NOW + TTL, NOW + TTL), (NOW + TTL - 1, NOW + TTL - 1), (NOW + 0.5, NOW), (NOW + 1.9, NOW + 1)],
)
def test_exp_is_cut_to_the_keys_end(until: float, expires: int) -> None:
    """A token does not outlive the key that verifies it."""
    key = key_of("HS256", "k1", 0, -inf, until)
    for settings in (IssueSettings(TTL), IssueSettings(TTL, has_jti=True)):
        claims = json.loads(text_of(new_issuer(KeyRing([key]), settings).issue(b"{}", NOW, {})))
        assert claims["exp"] == expires


def test_a_key_that_outlives_the_token_is_taken_first() -> None:
    """`exp` is whole where another key can sign for that long."""
    keys = [key_of("HS256", "k1", 0, -inf, NOW + 10), key_of("HS512", "k2", 0, NOW + 5)]
    issuer = TokenIssuer(KeyRing(keys), IssueSettings(TTL))
    token = issuer.issue(b"{}", NOW)
    assert jwt.get_unverified_header(token) == {"alg": "HS512", "typ": "JWT", "kid": "k2"}
    assert issuer.key is keys[1]


def test_no_key_signs() -> None:
    """Before the first and after the last key there is an error, and the issuer signs again when one does."""
    issuer = TokenIssuer(KeyRing([key_of("HS256", "k1", 0, NOW, NOW + 10)]), IssueSettings(TTL))
    for now, signs in (
        (NOW - 1, False),
        (NOW, True),
        (NOW + 9, True),
        (NOW + 10, False),
        (NOW + 5, True),
        (NOW - 1, False),
    ):
        assert issuer.can_sign(now) is signs
        if signs:
            assert json.loads(text_of(issuer.issue(b"{}", now)))["exp"] == NOW + 10
        else:
            with pytest.raises(NoSigningKey):
                issuer.issue(b"{}", now)


def test_the_header_follows_the_key() -> None:
    """From one second to the next another key signs, under its own name and algorithm, and back."""
    issuer = TokenIssuer(KeyRing([key_of("HS256", ""), key_of("ES256", "k1", 0, NOW + 1, NOW + 2)]), IssueSettings(1))
    seen = [jwt.get_unverified_header(issuer.issue(b"{}", now)) for now in (NOW, NOW + 1, NOW + 2, NOW + 1)]
    plain, named = {"alg": "HS256", "typ": "JWT"}, {"alg": "ES256", "typ": "JWT", "kid": "k1"}
    assert seen == [plain, named, plain, named]
