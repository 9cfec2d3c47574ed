"""What a token says beside the reply: each claim, and what a reply cannot do to them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtoken.errors import ClaimsUnbuildable, NoSigningKey
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import KeyTimes
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.claims import RESERVED
from txtoken.service.tokens.compact import read_object
from txtoken.service.tokens.issue import TokenIssuer, new_issuer
from txtoken.settings import IssueSettings

NOW: Final = 1_800_000_000
SECRET: Final = b"a-secret-for-tests-0123456789-abcdefgh"
PLAIN: Final = IssueSettings(3600)
HUGE: Final = "1234567890123456789012345678901234567890"


def issued(reply: str, settings: IssueSettings = PLAIN, dropped: list[str] | None = None) -> str:
    """Issue a token for a reply, and return its claims as they stand in it."""
    ring = KeyRing([HmacKey(SECRET, "HS256", "k")])
    issuer = new_issuer(ring, settings, (dropped if dropped is not None else []).append)
    parsed, text = read_object(reply.encode(), 200)
    payload = issuer.issue(text, NOW, parsed).split(b".")[1]
    return base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)).decode()


def claims(reply: str, **changes: Any) -> dict[str, Any]:
    """Issue a token, and return its claims."""
    found = json.loads(issued(reply, replace(PLAIN, **changes)))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {}),
        ({"issuer": "https://login.example"}, {"iss": "https://login.example"}),
        ({"issuer": 'a"\\ü'}, {"iss": 'a"\\ü'}),
        ({"audience": ("api",)}, {"aud": "api"}),
        ({"audience": ("api", "web")}, {"aud": ["api", "web"]}),
        ({"has_iat": True}, {"iat": NOW}),
        ({"has_nbf": True}, {"nbf": NOW}),
        ({"subject": "/id"}, {"sub": "7"}),
        ({"issuer": "i", "audience": ("a",), "subject": "/id", "has_iat": True, "has_nbf": True},
         {"iss": "i", "aud": "a", "sub": "7", "iat": NOW, "nbf": NOW}),
    ],
)  # fmt: skip # a row a line
def test_what_is_asked_for(changes: dict[str, Any], more: dict[str, Any]) -> None:
    """A token says what is asked for, beside the reply and `exp`, and no more."""
    assert claims('{"id":7}', **changes) == {"data": {"id": 7}, "exp": NOW + 3600, **more}


def test_the_default_is_as_it_was() -> None:
    """Without a word in the configuration a token is what it always was, to the byte."""
    assert issued('{"a": 1}') == f'{{"data":{{"a":1}},"exp":{NOW + 3600}}}'


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        *(('"ada"', "ada"), ('"ü"', "ü"), ("7", "7"), ("-7", "-7"), ("0", "0"), ("true", "true"), ("false", "false")),
        *(("1.5", "1.5"), ("1.50", "1.5"), (HUGE, HUGE), ("1e400", "1e400"), ("9007199254740993", "9007199254740993")),
        ('"7"', "7"),
    ],
)
def test_subjects(value: str, subject: str) -> None:
    """A subject is text: that of the reply, or a number as it stood."""
    try:
        found = claims(f'{{"user":{{"id":{value}}}}}', subject="/user/id")["sub"]
    except ValueError:
        assert value == "1e400"  # which is no reply that a token can carry
    else:
        assert found == subject


@pytest.mark.parametrize(
    "reply", ["{}", '{"id":null}', '{"id":[]}', '{"id":[1]}', '{"id":{}}', '{"id":""}', '{"ID":1}']
)
def test_no_subject(reply: str) -> None:
    """A reply without a text or number at that place gives no token; the pointer is for the log alone."""
    with pytest.raises(ClaimsUnbuildable) as caught:
        claims(reply, subject="/id")
    assert "/id" not in caught.value.public
    assert "/id" in str(caught.value.__cause__)


def test_ids_differ() -> None:
    """No two tokens have the same `jti`, of one issuer or of several."""
    seen = set()
    settings = replace(PLAIN, has_jti=True)
    for _ in range(3):
        issuer = new_issuer(KeyRing([HmacKey(SECRET)]), settings)
        for _ in range(2_000):
            payload = issuer.issue(b"{}", NOW).split(b".")[1]
            seen.add(json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))["jti"])
    assert len(seen) == 6_000
    assert all(isinstance(name, str) and 10 < len(name) < 30 for name in seen)


def test_another_name_for_the_data() -> None:
    """The reply stands under the name that is asked for."""
    assert claims('{"a":1}', data_claim="user") == {"user": {"a": 1}, "exp": NOW + 3600}
    assert claims('{"a":1}', data_claim='x"y') == {'x"y': {"a": 1}, "exp": NOW + 3600}


@pytest.mark.parametrize(
    ("include", "exclude", "kept"),
    [
        (None, (), "abcd"), (("a", "c", "z"), (), "ac"), ((), (), ""), (None, ("a", "z"), "bcd"), (("a", "b"), ("b",), "a"),
        (None, ("a", "b", "c", "d"), ""),
    ],
)  # fmt: skip # a row a line
@pytest.mark.parametrize("name", ["data", ""])
def test_parts_of_a_reply(include: tuple[str, ...] | None, exclude: tuple[str, ...], kept: str, name: str) -> None:
    """Of the reply's members those come in that are included and not excluded, in their order, each number as it stood."""
    members = {"a": HUGE, "b": '"ü"', "c": "1.10", "d": "[1e2,{}]"}
    reply = "{" + ", ".join(f'"{key}" : {value}' for key, value in members.items()) + "}"
    text = issued(reply, replace(PLAIN, data_include=include, data_exclude=exclude, data_claim=name))
    inner = ",".join(f'"{key}":{members[key]}' for key in kept)
    expected = f'{{"data":{{{inner}}},' if name else "{" + inner + ("," if inner else "")
    assert text == f'{expected}"exp":{NOW + 3600}}}'


def test_a_reply_sets_no_registered_claim() -> None:
    """With the reply at the top level none of its members becomes a claim that txtoken sets, and one warning says so."""
    reply = json.dumps(dict.fromkeys(RESERVED, "evil") | {"role": "user", "data": 1})
    dropped: list[str] = []
    settings = replace(PLAIN, data_claim="", issuer="i", subject="/sub", has_iat=True)
    found = json.loads(issued(reply, settings, dropped))
    assert found == {"role": "user", "data": 1, "sub": "evil", "iss": "i", "iat": NOW, "exp": NOW + 3600}
    assert dropped == [", ".join(sorted(RESERVED))]
    ring = KeyRing([HmacKey(SECRET)])
    issuer = new_issuer(ring, settings, dropped.append)
    parsed, text = read_object(reply.encode(), 200)
    for _ in range(3):
        issuer.issue(text, NOW, parsed)
    assert len(dropped) == 2
    assert claims("{}", data_claim="") == {"exp": NOW + 3600}


NAMES: Final = st.sampled_from(["a", "b", "sub", "exp", "iss", "data"])
VALUES: Final = (
    st.integers() | st.text(max_size=3) | st.none() | st.lists(st.integers(), max_size=2) | st.floats(-10, 10)
)


@given(
    reply=st.dictionaries(NAMES, VALUES, max_size=5),
    include=st.none() | st.lists(NAMES, max_size=3),
    exclude=st.lists(NAMES, max_size=3),
    name=st.sampled_from(["data", "user", ""]),
    has_jti=st.booleans(),
)
def test_against_a_naive_model(
    reply: dict[str, Any], include: list[str] | None, exclude: list[str], name: str, has_jti: bool
) -> None:
    """Whatever the reply and the settings: the claims are those members, and what txtoken sets."""
    settings = replace(
        PLAIN, data_claim=name, data_include=None if include is None else tuple(include), data_exclude=tuple(exclude),
        has_jti=has_jti, issuer="i",
    )  # fmt: skip
    found = json.loads(issued(json.dumps(reply), settings))
    kept = {key: value for key, value in reply.items() if (include is None or key in include) and key not in exclude}
    expected = {name: kept} if name else {key: value for key, value in kept.items() if key not in RESERVED}
    assert isinstance(found.pop("jti", ""), str)
    assert found == {**expected, "iss": "i", "exp": NOW + 3600}


def test_the_header() -> None:
    """The header names algorithm, type and key; a service with one key without a name has the header that it always had."""
    for key, typ, header in (
        (HmacKey(SECRET), "JWT", '{"alg":"HS256","typ":"JWT"}'),
        (HmacKey(SECRET, "HS512", "a.b"), "at+jwt", '{"alg":"HS512","typ":"at+jwt","kid":"a.b"}'),
    ):
        segment = TokenIssuer(KeyRing([key]), replace(PLAIN, typ=typ)).issue(b"{}", NOW).split(b".")[0]
        assert base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)).decode() == header


def test_a_token_does_not_outlive_its_key() -> None:
    """Where no key outlives the token, `exp` is the key's end; where none signs there is no token."""
    key = HmacKey(SECRET, "HS256", "k", KeyTimes(NOW - 10, NOW + 100))
    issuer = TokenIssuer(KeyRing([key]), PLAIN)
    for now, expires in ((NOW, NOW + 100), (NOW + 99, NOW + 100)):
        payload = issuer.issue(b"{}", now).split(b".")[1]
        assert json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))["exp"] == expires
    for now in (NOW - 11, NOW + 100):
        assert not issuer.can_sign(now)
        with pytest.raises(NoSigningKey):
            issuer.issue(b"{}", now)
    assert issuer.can_sign(NOW)


def test_a_rotation_within_a_second() -> None:
    """The key that signs changes with the second in which the next one's time comes."""
    keys = [HmacKey(SECRET, "HS256", "old"), HmacKey(SECRET, "HS256", "new", KeyTimes(NOW + 1))]
    issuer = TokenIssuer(KeyRing(keys), PLAIN)
    found = []
    for now in (NOW, NOW, NOW + 1, NOW + 2, NOW):
        segment = issuer.issue(b"{}", now).split(b".")[0]
        found.append(json.loads(base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))["kid"])
    assert found == ["old", "old", "new", "new", "old"]
