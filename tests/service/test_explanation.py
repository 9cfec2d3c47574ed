"""Plain words for why a token is or is not valid. The verdict itself is the verifier's, which tokens/test_verify.py judges."""

from __future__ import annotations

import json
from typing import Final

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtoken.service.explanation import duration, explain
from txtoken.service.keys.derived import DerivedKeys, Schedule
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import Key, KeyTimes
from txtoken.service.keys.ring import KeyRing
from txtoken.service.revocations import Carried, Revocations
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, VerifyRules

KEY: Final = "a-key-for-tests-only-0123456789-abcdefgh"
NOW: Final = 1_700_000_000
RULES: Final = VerifyRules(issuer="login", audience=("shop",), max_age_s=3600)
GOOD: Final = {"exp": NOW + 90, "iat": NOW, "iss": "login", "aud": "shop"}


def told(token: str, rules: VerifyRules = RULES, now: float = NOW) -> str:
    """Return the reason for people."""
    judge = TokenVerifier(KeyRing([HmacKey(KEY.encode())]), CheckSettings("/checkToken", rules=rules), Memory(0))
    return explain(judge, token.encode(), now).reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, "it is valid for another 1 min 30 s"),
        ({"exp": NOW - 32}, "it expired 32 s ago"),
        ({"exp": NOW - 90_000}, "it expired 1 d 1 h ago"),
        ({"nbf": NOW + 61}, "it becomes valid in 1 min 1 s"),
        ({"iat": NOW - 3600}, "it is too old (verify.maxAge)"),
        ({"iss": "other"}, "its `iss` is not the required one (verify.iss)"),
        ({"aud": "other"}, "its `aud` does not contain an accepted one (verify.aud)"),
        ({"auth_time": "x"}, "it is valid, but its `auth_time` is text, and has to be a number of seconds"),
        (
            {"auth_time": NOW * 1000},
            "it is valid, but its `auth_time` looks like milliseconds, and has to be in seconds",
        ),
        ({"exp": (NOW + 90) * 1000}, "it is valid, but its `exp` looks like milliseconds, and has to be in seconds"),
        ({"nbf": NOW * 1000}, "its `nbf` looks like milliseconds, and has to be in seconds"),
        ({"exp": str(NOW + 90)}, "its `exp` is text, and has to be a number of seconds"),
        ({"exp": None}, "its `exp` is not a number, and has to be a number of seconds"),
        ({"exp": True}, "its `exp` is not a number, and has to be a number of seconds"),
        ({"nbf": "now"}, "its `nbf` is text, and has to be a number of seconds"),
        ({"iat": "2023-11-14T22:13:20Z"}, "its `iat` is text, and has to be a number of seconds"),
        ({"exp": NOW - 32, "iss": NOW * 1000}, "it expired 32 s ago"),
    ],
)
def test_reasons(changed: dict[str, object], reason: str) -> None:
    """The reason is reported with its figures."""
    assert told(_unchecked(changed)) == reason


def _unchecked(changed: dict[str, object]) -> str:
    """Sign claims that jwt.encode would not take."""
    return jwt.PyJWS().encode(json.dumps(GOOD | changed).encode(), KEY, "HS256", {"typ": "JWT"})


def test_a_token_that_does_not_say_when_it_ends() -> None:
    """One without `exp` is said to have none, and where tokens need none to last for ever."""
    assert told(jwt.encode({}, KEY, "HS256")).startswith("it has no `exp`")
    assert told(jwt.encode({}, KEY, "HS256"), VerifyRules(require_exp=False)) == "it is valid, and never expires"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (jwt.encode(GOOD, KEY + "x", "HS256"), "signed with another key"),
        (jwt.encode(GOOD, KEY * 2, "HS512"), "its `alg` is not"),
        ("one.two", "three parts"),
        (jwt.encode(GOOD, KEY, "HS256") + "=", "perhaps it was changed"),
        ("", "three parts"),
    ],
)
def test_forms(token: str, words: str) -> None:
    """A token that cannot be trusted at all is explained by its form or signature."""
    assert words in told(token)


# Keysets

OTHER: Final = "another-key-for-tests-0123456789-abcdefgh-0123456789-abcdefgh-0123"


def told_by(keys: KeyRing, token: str, revocations: Revocations | None = None) -> str:
    """Return the reason for people by a service with these keys."""
    judge = TokenVerifier(keys, CheckSettings("/checkToken"), Memory(0), revocations)
    return explain(judge, token.encode(), NOW).reason


def named(kid: object, key: str = KEY, algorithm: str = "HS256", **more: object) -> str:
    """Sign a token that names its key, in whatever way."""
    header = json.dumps({"alg": algorithm, "kid": kid, **more})
    encoded = jwt.utils.base64url_encode(header.encode()).decode()
    return encoded + "." + jwt.encode(GOOD, key, algorithm).split(".", 1)[1]


def keyset(*more: Key) -> KeyRing:
    """Make a keyset of one key that ended, and two that did not."""
    first = HmacKey(KEY.encode(), "HS256", "2022", KeyTimes(until=NOW - 90))
    return KeyRing([first, HmacKey(KEY.encode(), "HS256", "2023"), HmacKey(OTHER.encode(), "HS512", "2024"), *more])


@pytest.mark.parametrize(
    ("kid", "reason"),
    [
        ("2021", "its key (`kid`), 2021, is unknown: this service knows 2023, 2024"),
        ("2022", "its key (2022) ended 1 min 30 s ago (keys.until)"),
        (
            "19000-abcdefghijk",
            "its key (`kid`), 19000-abcdefghijk, is unknown: this service knows 2023, 2024",
        ),
        ("schlüssel", "its key (`kid`), schlüssel, is unknown: this service knows 2023, 2024"),
        ("x" * 65, "its key (`kid`) was never a key of this service: this service knows 2023, 2024"),
        ("", "its key (`kid`) was never a key of this service: this service knows 2023, 2024"),
        ("\x1b[2J", "its key (`kid`) was never a key of this service: this service knows 2023, 2024"),
        ("a\u202eb", "its key (`kid`) was never a key of this service: this service knows 2023, 2024"),
        (["2023"], "its key (`kid`) was never a key of this service: this service knows 2023, 2024"),
        (None, "it does not name its key (`kid`), and this service knows 2023, 2024"),
    ],
)
def test_unknown_keys(kid: object, reason: str) -> None:
    """The known keys are named, and that of the token where it can be shown; one that has ended is said to have."""
    assert told_by(keyset(), named(kid)) == reason


def test_many_known_keys() -> None:
    """Of a hundred keys the first ones are named."""
    keys = KeyRing([HmacKey(f"{number:064}".encode(), "HS256", f"k{number}") for number in range(100)])
    reason = told_by(keys, named("x"))
    assert reason.endswith("k14, k15, 84 more")
    assert told_by(KeyRing([HmacKey(KEY.encode(), "HS256", "a", KeyTimes(until=NOW))]), named("x")).endswith(
        "knows no key now"
    )


def test_keys_beside_enc_key() -> None:
    """The key without a name is named as the configuration's key."""
    reason = told_by(keyset(HmacKey(KEY.encode())), named("x"))
    assert reason.endswith("this service knows 2023, 2024, the key without a name (encKey)")


def test_keys_that_rotate_by_themselves() -> None:
    """A key of a period before those that are known has ended; one of a period to come, or of another kind, is unknown."""
    derived = DerivedKeys([b"r" * 32], "HS256", "https://l", Schedule(3600, 3600, 3600))
    keys = KeyRing([], derived)
    keys.refresh(NOW)
    period = NOW // 3600
    old = f"{period - 9}-abcdefghijk"
    assert told_by(keys, named(old)).startswith(
        f"its key ({old}) ended by rotation, and this service knows {period - 2}-"
    )
    for kid in (f"{period}-abcdefghijk", f"{period + 9}-abcdefghijk", f"{period - 9}-abc"):
        assert f", {kid}, is unknown" in told_by(keys, named(kid))


@pytest.mark.parametrize(
    ("kid", "key", "algorithm", "reason"),
    [
        ("2023", OTHER, "HS512", "its `alg` is not that of its key (2023: HS256)"),
        ("2024", OTHER, "HS256", "its `alg` is not that of its key (2024: HS512)"),
    ],
)
def test_other_methods(kid: str, key: str, algorithm: str, reason: str) -> None:
    """The method that counts is the one of the token's key."""
    assert told_by(keyset(), named(kid, key, algorithm)) == reason


def test_other_method_than_that_of_the_only_key() -> None:
    """Where a key has no name its algorithm is the service's."""
    token = jwt.encode(GOOD, OTHER, "HS512")
    assert told_by(KeyRing([HmacKey(OTHER.encode())]), token).endswith("one that this service uses (HS256)")
    assert told_by(KeyRing([HmacKey(OTHER.encode(), "HS384")]), token).endswith("one that this service uses (HS384)")


def test_revoked() -> None:
    """What revoked means is said."""
    revocations = Revocations(Carried(kid=True))
    revocations.add("kid 2023")
    reason = told_by(keyset(), jwt.encode(GOOD, KEY, "HS256", headers={"kid": "2023"}), revocations)
    assert reason.startswith("it was revoked: ")
    assert "(revocations)" in reason


def test_the_bearer_that_is_shown_to_the_remote() -> None:
    """It is a token of ours, and nobody's login."""
    token = jwt.encode(GOOD, KEY, "HS256", headers={"kid": "2023", "typ": "remote+jwt"})
    assert told_by(keyset(), token) == "it is the token that this service sends to the remote, not a user's token"


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
    """A time is written in its two largest units."""
    assert duration(seconds) == words


@given(st.binary(max_size=200))
def test_any_bytes(token: bytes) -> None:
    """Whatever is shown to it, it has a reason."""
    judge = TokenVerifier(KeyRing([HmacKey(b"k" * 32)]), CheckSettings("/checkToken", rules=RULES), Memory(0))
    assert explain(judge, token, NOW).reason
