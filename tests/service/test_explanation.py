"""Plain words for why a token is or is not valid. The verdict itself is the verifier's, which test_tokens judges."""

from __future__ import annotations

import json
from typing import Final

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtoken.service.explanation import duration, explain
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, VerifyRules

KEY: Final = "a-key-for-tests-only-0123456789-abcdefgh"
NOW: Final = 1_700_000_000
RULES: Final = VerifyRules(issuer="login", audience=("shop",), max_age_s=3600)
GOOD: Final = {"exp": NOW + 90, "iat": NOW, "iss": "login", "aud": "shop"}


def told(token: str, rules: VerifyRules = RULES, now: float = NOW) -> str:
    """Return the reason that a person is told."""
    judge = TokenVerifier(KeyRing([HmacKey(KEY.encode())]), CheckSettings("/checkToken", rules=rules), Memory(0))
    return explain(judge, token.encode(), now).reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, "it is valid for another 1 min 30 s"),
        ({"exp": NOW - 32}, "it expired 32 s ago"),
        ({"exp": NOW - 90_000}, "it expired 1 d 1 h ago"),
        ({"nbf": NOW + 61}, "it becomes valid in 1 min 1 s"),
        ({"iat": NOW - 3600}, "it is older than is accepted (verify.maxAge)"),
        ({"iss": "other"}, "its `iss` is not the one that is asked for (verify.iss)"),
        ({"aud": "other"}, "its `aud` does not name the one that is asked for (verify.aud)"),
        ({"exp": (NOW + 90) * 1000}, "it is valid, but its `exp` looks like milliseconds, and has to be in seconds"),
        ({"nbf": NOW * 1000}, "its `nbf` looks like milliseconds, and has to be in seconds"),
        ({"exp": str(NOW + 90)}, "its `exp` is text, and has to be a number of seconds"),
        ({"exp": None}, "its `exp` is no number, and has to be one, of seconds"),
        ({"exp": True}, "its `exp` is no number, and has to be one, of seconds"),
        ({"nbf": "now"}, "its `nbf` is text, and has to be a number of seconds"),
        ({"iat": "2023-11-14T22:13:20Z"}, "its `iat` is text, and has to be a number of seconds"),
        ({"exp": NOW - 32, "iss": NOW * 1000}, "it expired 32 s ago"),
    ],
)
def test_reasons(changed: dict[str, object], reason: str) -> None:
    """The reason is told with its figures."""
    assert told(_unchecked(changed)) == reason


def _unchecked(changed: dict[str, object]) -> str:
    """Sign claims that jwt.encode would not take."""
    return jwt.PyJWS().encode(json.dumps(GOOD | changed).encode(), KEY, "HS256", {"typ": "JWT"})


def test_a_token_that_does_not_say_when_it_ends() -> None:
    """One without `exp` is said to have none, and where tokens need none to last for ever."""
    assert told(jwt.encode({}, KEY, "HS256")).startswith("it does not say when it expires")
    assert told(jwt.encode({}, KEY, "HS256"), VerifyRules(require_exp=False)) == "it is valid, and never expires"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (jwt.encode(GOOD, KEY + "x", "HS256"), "signed with another key"),
        (jwt.encode(GOOD, KEY * 2, "HS512"), "another method"),
        ("one.two", "three parts"),
        (jwt.encode(GOOD, KEY, "HS256") + "=", "perhaps it was changed"),
        ("", "three parts"),
    ],
)
def test_forms(token: str, words: str) -> None:
    """A token that cannot be trusted at all is told what is wrong with its form or signature."""
    assert words in told(token)


def test_what_can_be_read_is_shown() -> None:
    """Header and claims are shown though the signature is wrong, and not where they are no JSON."""
    judge = TokenVerifier(KeyRing([HmacKey(b"k" * 32)]), CheckSettings("/checkToken", rules=RULES), Memory(0))
    explanation = explain(judge, jwt.encode({"a": 1}, KEY, "HS256").encode(), NOW)
    assert (explanation.valid, explanation.claims) == (False, b'{"a":1}')
    assert explanation.header == b'{"alg":"HS256","typ":"JWT"}'
    assert explain(judge, b"e30.x.y", NOW).claims is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (10**6, "11 d 13 h"),
        (-5, "0 s"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    """A time is told in its two largest units."""
    assert duration(seconds) == words


@given(st.binary(max_size=200))
def test_any_bytes(token: bytes) -> None:
    """Whatever is shown to it, it has a reason."""
    judge = TokenVerifier(KeyRing([HmacKey(b"k" * 32)]), CheckSettings("/checkToken", rules=RULES), Memory(0))
    assert explain(judge, token, NOW).reason
