"""What tokens say: each claim, their combinations, and what of a reply comes into a token. PyJWT reads them."""

from __future__ import annotations

import http.client
import json
import signal
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.login_api import LoginApi
from tests.running import KEY, PATIENCE_S, service_process
from tests.service.tokens.issuing import TTL, claims_of, issued, text_of
from tests.service.tokens.signing import NOW, key_of
from txtoken.errors import ClaimsUnbuildable
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.issue import ClaimsIssuer, new_issuer
from txtoken.settings import IssueSettings

REGISTERED: Final = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "sid")
BIG: Final = 1234567890123456789012345678901234567890
JSON_VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES: Final = st.sampled_from(["id", "name", "roles", "", "a b", "\u00e9", *REGISTERED]) | st.text(
    st.characters(codec="utf-8")
)
REPLIES: Final = st.dictionaries(NAMES, JSON_VALUES, max_size=8)


# Each claim


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({}, {}),
        ({"issuer": 'https://ours/\u00e9"'}, {"iss": 'https://ours/\u00e9"'}),
        ({"audience": ("a",)}, {"aud": "a"}),
        ({"audience": ("a", "b")}, {"aud": ["a", "b"]}),
        ({"subject": "/id"}, {"sub": "7"}),
        ({"has_iat": True}, {"iat": NOW}),
        ({"has_nbf": True}, {"nbf": NOW}),
        ({"has_iat": True, "has_nbf": True, "subject": "/id"}, {"iat": NOW, "nbf": NOW, "sub": "7"}),
    ],
)
def test_each_claim(settings: dict[str, Any], claims: dict[str, Any]) -> None:
    """A claim that is asked for is there, and no other."""
    assert claims_of({"id": 7}, **settings) == {"data": {"id": 7}, "exp": NOW + TTL, **claims}


@given(
    reply=REPLIES,
    issuer=st.none() | st.just("https://ours"),
    audience=st.sampled_from([(), ("a",), ("a", "b")]),
    has_iat=st.booleans(),
    has_nbf=st.booleans(),
    has_jti=st.booleans(),
    subject=st.none() | st.just("/user/id"),
    data_claim=st.sampled_from(["", "data", 'x"\u00e9']),
    include=st.none() | st.lists(NAMES, max_size=4).map(tuple),
    exclude=st.lists(NAMES, max_size=4).map(tuple),
)
def test_combinations(
    reply: dict[str, Any],
    issuer: str | None,
    audience: tuple[str, ...],
    has_iat: bool,
    has_nbf: bool,
    has_jti: bool,
    subject: str | None,
    data_claim: str,
    include: tuple[str, ...] | None,
    exclude: tuple[str, ...],
) -> None:
    """Any combination for any reply says what it has to, in well-formed JSON, each name once."""
    reply = {**reply, "user": {"id": "ann"}}
    claims = claims_of(
        reply,
        issuer=issuer,
        audience=audience,
        has_iat=has_iat,
        has_nbf=has_nbf,
        has_jti=has_jti,
        subject=subject,
        data_claim=data_claim,
        data_include=include,
        data_exclude=exclude,
    )
    kept = {name: reply[name] for name in reply if (include is None or name in include) and name not in exclude}
    if data_claim:
        expected: dict[str, Any] = {data_claim: kept}
    else:
        expected = {name: kept[name] for name in kept if name not in REGISTERED}
    expected |= {} if issuer is None else {"iss": issuer}
    expected |= {"aud": audience[0] if len(audience) == 1 else list(audience)} if audience else {}
    expected |= ({"iat": NOW} if has_iat else {}) | ({"nbf": NOW} if has_nbf else {})
    expected |= {"sub": "ann"} if subject else {}
    if has_jti:
        assert isinstance(claims.pop("jti"), str)
    assert claims == {**expected, "exp": NOW + TTL}


# sub


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        (b'"ann"', "ann"),
        (b'"\\u00e9\\n\\""', '\u00e9\n"'),
        (b'" "', " "),
        (b'"0"', "0"),
        (b"0", "0"),
        (b"-0", "0|-0"),
        (b"7", "7"),
        (b"-7", "-7"),
        (b"9007199254740993", "9007199254740993"),
        (b"18446744073709551616", "18446744073709551616"),
        (b"%d" % BIG, str(BIG)),
        (b"-%d" % BIG, f"-{BIG}"),
        (b"9" * 400, "9" * 400),
        (b"1.5", "1.5"),
        (b"-0.0", "-0.0"),
        (b"0.10", "0.10|0.1"),
        (b"1e2", "1e2|100.0"),
        (b"0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        (b"true", "true"),
        (b"false", "false"),
    ],
)
def test_subjects(text: bytes, subject: str) -> None:
    """A text stands as it is, a number as it stood, a boolean as JSON writes it: each as text (RFC 7519 §4.1.2)."""
    for reply in (b'{"user":{"id":%b}}', b'{"n":%d,"user":{"id":%%b}}' % BIG, b'{"n":0.10, "user" : {"id" : %b }}'):
        claims = claims_of(reply % text, subject="/user/id")
        assert claims["sub"] in subject.split("|")
        assert isinstance(claims["sub"], str)


@pytest.mark.parametrize("text", [b"null", b"[]", b"{}", b'""', b'["ann"]', b'{"id":1}', b"[null]"])
@pytest.mark.parametrize("settings", [{}, {"has_jti": True}, {"data_claim": ""}], ids=str)
def test_what_is_no_subject(text: bytes, settings: dict[str, Any]) -> None:
    """Null, a list, an object and an empty text make the login fail, and nothing of the reply is shown."""
    with pytest.raises(ClaimsUnbuildable) as caught:
        issued(b'{"id":%b,"secret":"sesame"}' % text, subject="/id", **settings)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "pointer", ["", "/", "/x", "/id/0", "/list/1", "/list/-", "/list/00", "/ID", "/a", "/a/b/c/d", "/id "]
)
def test_a_pointer_to_nothing(pointer: str) -> None:
    """A pointer that finds nothing, or the whole reply, is no subject."""
    with pytest.raises(ClaimsUnbuildable):
        issued({"id": "ann", "list": ["x"], "a": {"b": {"c": "d"}}}, subject=pointer)


@pytest.mark.parametrize(
    ("pointer", "subject"),
    [("/", "empty"), ("/a~1b", "slash"), ("/a~0b", "tilde"), ("/a~01b", "both"), ("/list/1", "two"), ("/ ", "blank")],
)
def test_pointers(pointer: str, subject: str) -> None:
    """RFC 6901: escapes, empty names and places in lists."""
    reply = {"": "empty", "a/b": "slash", "a~b": "tilde", "a~1b": "both", "list": ["one", "two"], " ": "blank"}
    assert claims_of(reply, subject=pointer)["sub"] == subject


def test_a_subject_that_is_not_in_the_token() -> None:
    """The subject may come from a member that does not come into the token."""
    assert claims_of({"id": 7, "a": 1}, subject="/id", data_include=("a",)) == {
        "data": {"a": 1},
        "sub": "7",
        "exp": NOW + TTL,
    }
    assert claims_of({"sub": 7, "a": 1}, subject="/sub", data_claim="") == {"a": 1, "sub": "7", "exp": NOW + TTL}


def test_a_failed_login_leaves_the_issuer_whole() -> None:
    """After a reply without a subject the next one gets its token."""
    issuer = new_issuer(KeyRing([key_of("HS256", "")]), IssueSettings(TTL, subject="/id"))
    for _ in range(3):
        with pytest.raises(ClaimsUnbuildable):
            issuer.issue(b"{}", NOW, {})
        assert b'"sub":"ann"' in text_of(issuer.issue(b'{"id":"ann"}', NOW, {"id": "ann"}))


# The reply


@pytest.mark.parametrize("name", REGISTERED)
def test_a_reply_sets_no_registered_claim(name: str) -> None:
    """With `dataClaim: ""` a member that is named like a registered claim is dropped, in any way to write its name."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in name)
    for written in (name, escaped):
        for value in (b"1", b'"x"', b"null", b"9" * 40):
            text = b'{"%b":%b,"a":%b,"%b":%b}' % (written.encode(), value, b"9" * 40, name.encode(), value)
            claims = claims_of(text, data_claim="")
            assert claims == {"a": int("9" * 40), "exp": NOW + TTL}
            assert claims_of(b'{"%b":%b}' % (written.encode(), value), data_claim="") == {"exp": NOW + TTL}
    assert claims_of({name.upper(): 1, f"{name} ": 2}, data_claim="") == {
        name.upper(): 1,
        f"{name} ": 2,
        "exp": NOW + TTL,
    }
    assert claims_of({name: 1}) == {"data": {name: 1}, "exp": NOW + TTL}


@pytest.mark.parametrize("reply", [{}, {"exp": 1}, {"iss": "x", "sub": "y"}])
def test_nothing_is_left_of_a_reply(reply: dict[str, Any]) -> None:
    """With `dataClaim: ""` and an empty reply the claims are well-formed still, whatever else they hold."""
    assert claims_of(reply, data_claim="") == {"exp": NOW + TTL}
    assert claims_of(reply, data_claim="", issuer="i") == {"iss": "i", "exp": NOW + TTL}
    assert set(claims_of(reply, data_claim="", has_jti=True, has_iat=True)) == {"jti", "iat", "exp"}
    assert claims_of({"id": "ann"}, data_claim="", subject="/id", data_include=()) == {"sub": "ann", "exp": NOW + TTL}


NUMBERS: Final = (
    b"0.10",
    b"1e2",
    b"1E+2",
    b"-0",
    b"-0.0",
    b"9007199254740993",
    b"%d" % BIG,
    b"-%d" % BIG,
    b"0.1000000000000000055511151231257827",
    b"1e-400",
    b"9" * 400,
)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20].decode())
def test_numbers_keep_their_value(number: bytes) -> None:
    """Numbers have the same value in a part of the reply as in the whole, those that no binary64 holds too."""
    reply = b'{"gone":[%b,{"a":"\\u00e9"}], "kept" : {"n":[%b,"%b"]},"iss":1}' % (number, number, number)
    for settings in ({}, {"data_include": ("kept",)}, {"data_exclude": ("gone",)}, {"data_claim": ""}):
        claims = json.loads(text_of(issued(reply, **settings)), parse_int=Decimal, parse_float=Decimal)
        kept = claims["kept"] if "data_claim" in settings else claims["data"]["kept"]
        assert kept == {"n": [Decimal(number.decode()), number.decode()]}


@given(REPLIES, st.lists(NAMES, max_size=4), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_a_part_is_what_it_was(reply: dict[str, Any], names: list[str], style: tuple[str, str]) -> None:
    """Members that are included are as they were, in the reply's order; so are those that are not excluded."""
    raw = json.dumps(reply, separators=style, ensure_ascii=False).encode()
    included = claims_of(raw, data_include=tuple(names))["data"]
    assert included == {name: reply[name] for name in reply if name in names}
    assert list(included) == [name for name in reply if name in names]
    excluded = claims_of(raw, data_exclude=tuple(names))["data"]
    assert {**included, **excluded} == reply
    assert not included.keys() & excluded.keys()


def test_names_that_need_escapes() -> None:
    """A name in the settings is compared with the member's name as read, not as written."""
    reply = b'{"\\u0061":1,"a\\"b":2,"\\ud83d\\ude00":3,"n":%d}' % BIG
    assert claims_of(reply, data_include=("a", 'a"b', "\U0001f600"))["data"] == {"a": 1, 'a"b': 2, "\U0001f600": 3}


# jti


def test_jti_is_unique() -> None:
    """Over 200 000 tokens of several issuers, in one second, no `jti` comes twice; it needs no escape and is short."""
    seen: set[bytes] = set()
    for _ in range(4):
        issuer = new_issuer(KeyRing([key_of("HS256", "")]), IssueSettings(TTL, has_jti=True))
        assert isinstance(issuer, ClaimsIssuer)
        assert issuer.can_sign(NOW)
        for _ in range(50_000):
            claims = b"".join(issuer._claims(b"{}", {}))
            seen.add(claims[claims.index(b'"jti":') : claims.index(b',"exp"')])
    assert len(seen) == 200_000
    assert max(map(len, seen)) < 40
    assert len({identity[7:19] for identity in seen}) == 4  # a random prefix of 12 characters each


def test_jti_is_unique_over_processes(tmp_path: Path) -> None:
    """Workers of one service, which were forked from one process, never give two tokens the same `jti`."""
    api = LoginApi({"id": 1})
    config = f"port: 0\nlisten: 127.0.0.1\nworkers: 2\nencKey: {KEY}\nremote: {api.url}\nclaims: {{jti: true}}\nreload: off\n"
    try:
        with service_process(tmp_path, "serve", config=config) as service:
            port = service.port
            seen: list[str] = []
            prefixes: set[str] = set()
            deadline = time.monotonic() + PATIENCE_S
            while len(seen) < 20 or len(prefixes) < 2:
                assert time.monotonic() < deadline, prefixes
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
                for _ in range(5):
                    client.request("POST", "/getToken", "{}")
                    token = json.loads(client.getresponse().read())["token"]
                    seen.append(jwt.decode(token, KEY, ["HS256"])["jti"])
                client.close()
                prefixes = {identity.rpartition("-")[0] for identity in seen}
            assert len(set(seen)) == len(seen)
            assert len(prefixes) == 2
            service.send(signal.SIGTERM)
            assert service.ended()[0] == 0
    finally:
        api.close()
