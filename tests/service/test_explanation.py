"""Plain words for why a token is or is not valid. The verdict itself is the verifier's, which test_tokens judges."""

from __future__ import annotations

import hmac
import json
from typing import Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from txtoken.service.explanation import Explanation, explain
from txtoken.service.keys.asymmetric import AsymmetricKey
from txtoken.service.keys.derived import DerivedKeys, Schedule
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import KeyTimes
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.segments import encode_segment
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, VerifyRules

KEY: Final = "a-key-for-tests-only-0123456789-abcdefgh"
NOW: Final = 1_700_000_000
RULES: Final = VerifyRules(issuer="login", audience=("shop",), max_age_s=3600)
GOOD: Final = {"exp": NOW + 90, "iat": NOW, "iss": "login", "aud": "shop"}


def explained(token: str | bytes, ring: KeyRing, now: float = NOW, rules: VerifyRules = RULES) -> Explanation:
    """Explain a token by the keys of a ring."""
    ring.refresh(now)
    judge = TokenVerifier(ring, CheckSettings("/checkToken", rules=rules), Memory(0))
    return explain(judge, ring, token.encode() if isinstance(token, str) else token, now)


def reason(token: str, rules: VerifyRules = RULES, now: float = NOW) -> str:
    """Explain a token by the one key without a name."""
    return explained(token, KeyRing([HmacKey(KEY.encode())]), now, rules).reason


@pytest.mark.parametrize(
    ("changed", "expected"),
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
def test_reasons(changed: dict[str, object], expected: str) -> None:
    """The reason has its figures."""
    assert reason(_unchecked(changed)) == expected


def _unchecked(changed: dict[str, object]) -> str:
    """Sign claims that jwt.encode would not take."""
    return jwt.PyJWS().encode(json.dumps(GOOD | changed).encode(), KEY, "HS256", {"typ": "JWT"})


def test_a_token_that_does_not_say_when_it_ends() -> None:
    """One without `exp` has none, and where tokens need none to last for ever."""
    assert reason(jwt.encode({}, KEY, "HS256")).startswith("it does not say when it expires")
    assert reason(jwt.encode({}, KEY, "HS256"), VerifyRules(require_exp=False)) == "it is valid, and never expires"


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
    """Of a token that cannot be trusted at all the reason says what is wrong with its form or signature."""
    assert words in reason(token)


def test_what_can_be_read_is_shown() -> None:
    """Header and claims are shown though the signature is wrong, and not where they are no JSON."""
    ring = KeyRing([HmacKey(b"k" * 32)])
    explanation = explained(jwt.encode({"a": 1}, KEY, "HS256"), ring)
    assert (explanation.valid, explanation.claims) == (False, b'{"a":1}')
    assert explanation.header == b'{"alg":"HS256","typ":"JWT"}'
    assert explained(b"e30.x.y", ring).claims is None


# Keysets

OLD: Final = HmacKey(b"o" * 48, "HS384", "2026-10", KeyTimes(until=NOW - 7200))
CURRENT: Final = HmacKey(b"c" * 32, "HS256", "2026-11", KeyTimes(NOW - 10, NOW + 60))
COMING: Final = HmacKey(b"n" * 64, "HS512", "2026-12", KeyTimes(NOW + 30))


def named(kid: object, algorithm: str = "HS256", secret: bytes = b"c" * 32, **header: object) -> bytes:
    """Sign a token that names its key, with headers that jwt.encode would not take."""
    parts = [json.dumps({"alg": algorithm, "kid": kid} | header).encode(), json.dumps(GOOD).encode()]
    signing_input = b".".join(map(encode_segment, parts))
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}.get(algorithm, "sha256")
    return signing_input + b"." + encode_segment(hmac.digest(secret, signing_input, digest))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (named("2026-11"), "it is valid for another 1 min, until its key 2026-11 ends"),
        (
            named("2026-12", "HS512", b"n" * 64),
            "it is valid for another 1 min 30 s; its key 2026-12 signs from 2023-11-14T22:13:50Z on, and verifies already",
        ),
        (named("2026-10", "HS384", b"o" * 48), "its key 2026-10 ended 2 h ago (until)"),
        (named("2026-09"), "its key is 2026-09, and known are 2026-11, 2026-12"),
        (named(None), "it does not name its key (`kid`), and known are 2026-11, 2026-12"),
        (named(["2026-11"]), "its key is none that could be one of ours, and known are 2026-11, 2026-12"),
        (named("\x1b[2J"), "its key is none that could be one of ours, and known are 2026-11, 2026-12"),
        (named("x" * 65), "its key is none that could be one of ours, and known are 2026-11, 2026-12"),
        (
            named("2026-11", "HS512"),
            "it was signed by another method than its key 2026-11 is for: its `alg` is HS512, and not HS256",
        ),
        (
            named("2026-11", "none"),
            "it was signed by another method than its key 2026-11 is for: its `alg` is none, and not HS256",
        ),
        (
            named("2026-11", secret=b"x" * 32),
            "it was signed with another key than 2026-11, which it names, or changed after it was signed",
        ),
        (
            named("2026-11", typ="remote+jwt"),
            "it is the token that is shown to the remote (typ remote+jwt), and nobody's login",
        ),
    ],
)
def test_keysets(token: bytes, expected: str) -> None:
    """The reason names the key of a token, its algorithm, when it ended or begins, and the keys that are known."""
    assert explained(token, KeyRing([OLD, CURRENT, COMING])).reason == expected


def test_many_keys() -> None:
    """Of many keys eight are named, and where all have ended none is."""
    ring = KeyRing([HmacKey(b"c" * 32, kid=f"k{number}") for number in range(11)])
    assert explained(named("x"), ring).reason == "its key is x, and known are k0, k1, k2, k3, k4, k5, k6, k7 and 3 more"
    assert explained(named("x"), KeyRing([OLD])).reason == "its key is x, and no key is known at this time"


DAY_S: Final = 86_400
PERIOD: Final = NOW // DAY_S


@pytest.mark.parametrize(
    ("kid", "expected"),
    [
        (
            f"{PERIOD - 3}-AAAAAAAAAAA",
            (
                f"its key {PERIOD - 3}-AAAAAAAAAAA is of the period from 2023-11-11T00:00:00Z to 2023-11-12T00:00:00Z, "
                "and was known for 1 d after it"
            ),
        ),
        (
            f"{PERIOD + 2}-AAAAAAAAAAA",
            (
                f"its key {PERIOD + 2}-AAAAAAAAAAA is of the period from 2023-11-16T00:00:00Z to 2023-11-17T00:00:00Z, "
                "which is not known yet: a clock is wrong, or `every` is another one"
            ),
        ),
        (
            f"{PERIOD}-AAAAAAAAAAA",
            f"its key {PERIOD}-AAAAAAAAAAA is of a known period, but of another secret, issuer, algorithm or `every`",
        ),
        ("2026-11x"[4:], "its key is -11x"),
        ("9" * 60, f"its key is {'9' * 60}"),
        ("0" * 5000 + "1", "its key is none that could be one of ours"),
    ],
)
def test_keys_that_rotate_by_themselves(kid: str, expected: str) -> None:
    """The reason says which period a token's key is of, and why it is not known; and names those that are."""
    derived = DerivedKeys([bytes(range(32))], "HS256", "login", Schedule(DAY_S, DAY_S, 3600))
    explanation = explained(named(kid), KeyRing([], derived))
    said, _, known = explanation.reason.rpartition(", and known are" if " is of " not in expected else "; known are")
    assert said == expected
    assert [name.partition("-")[0] for name in known.strip().split(", ")] == [str(PERIOD + n) for n in (-1, 0, 1)]


def test_a_valid_token_names_who_cannot_verify_it() -> None:
    """Of an algorithm that some well-known verifiers have not these are named; a token that is not valid needs none."""
    private = ed25519.Ed25519PrivateKey.generate()
    ring = KeyRing([AsymmetricKey(private, private.public_key(), "EdDSA", "e")])
    token = jwt.encode(GOOD, private, "EdDSA", {"kid": "e"})
    assert "Spring" in explained(token, ring).not_verified_by
    assert explained(token[:-4], ring).not_verified_by == ()
    assert explained(named("2026-11"), KeyRing([CURRENT])).not_verified_by == ()


@given(st.binary(max_size=200))
def test_any_bytes(token: bytes) -> None:
    """Whatever is shown to it, it has a reason."""
    assert explained(token, KeyRing([HmacKey(b"k" * 32)])).reason
