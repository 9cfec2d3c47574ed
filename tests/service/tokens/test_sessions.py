"""Sessions as claims (contract §3.6): what a renewed token keeps, and what has an end. PyJWT judges the tokens."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import pytest

from tests.service.tokens.issuing import claims_of, text_of
from tests.service.tokens.signing import NOW, key_of, sealed, verifier
from txtoken.errors import NoSigningKey, TokenError
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.key import KeyTimes
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.compact import read_object
from txtoken.service.tokens.issue import CutTokens
from txtoken.service.tokens.sessions import SIDS_A_READ, Session, SessionIds, SessionIssuer, issuer_for, session_of
from txtoken.settings import IssueSettings

HOUR: Final = 3600
KEY: Final = key_of("HS256", "")


def issuer(ring: KeyRing | None = None, cut: CutTokens | None = None, **settings: Any) -> SessionIssuer:
    """Make an issuer of sessions of 12 hours, whose tokens live one."""
    made = issuer_for(ring or KeyRing([KEY]), IssueSettings(HOUR, **{"max_session_s": 12 * HOUR, **settings}), cut)
    assert isinstance(made, SessionIssuer)
    return made


def session(claims: bytes | dict[str, object], now: int = NOW, max_session_s: int = 12 * HOUR) -> Session:
    """Return the session of a token that says this."""
    return session_of(verifier(KEY).verify(sealed(KEY, claims), now), max_session_s, now)


def text(issuer: SessionIssuer, signing_input: bytes) -> bytes:
    """Return the claims of a token as they stand there."""
    return text_of(b"%b.%b" % (signing_input, issuer.key.sign(signing_input)))


def renewed(claims: bytes, now: int = NOW, **settings: Any) -> bytes:
    """Return the claims of the next token of a session, as they stand there."""
    made = issuer(**settings)
    signing_input, expires = made.renew(session(claims, now), now)
    written = text(made, signing_input)
    assert json.loads(written)["exp"] == expires
    return written


# Names of sessions


def test_session_ids_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has 16 random bytes of its own, and one system call is for many of them."""
    reads: list[int] = []

    def urandom(size: int, read: Any = os.urandom) -> bytes:
        reads.append(size)
        return bytes(read(size))

    monkeypatch.setattr(os, "urandom", urandom)
    ids = SessionIds()
    found = [ids.next() for _ in range(2 * SIDS_A_READ + 1)]
    assert len(set(found)) == len(found)
    assert {len(sid) for sid in found} == {22}
    assert reads == [16 * SIDS_A_READ] * 3


# A login's token


def test_a_login_begins_a_session() -> None:
    """Its token says since when and which one it is, and dies with the session where that comes first."""
    first, second = (claims_of({"id": 1}, max_session_s=12 * HOUR) for _ in range(2))
    assert first["auth_time"] == NOW
    assert len(first["sid"]) == 22
    assert first["sid"] != second["sid"]
    assert (first["data"], first["exp"]) == ({"id": 1}, NOW + 60)
    assert claims_of({}, max_session_s=20)["exp"] == NOW + 20
    assert "sid" not in claims_of({})
    assert "auth_time" not in claims_of({})


# What a renewed token says


def test_what_stays_and_what_is_new() -> None:
    """Data and claims stay as they stood, and exp, iat, nbf and jti are as `claims` asks for them now."""
    old = (
        b'{"data":{"b":1,"a":[1.50,123456789012345678901234567890,1e400,-0.0],"":"x"},"sub":"x","jti":"old",'
        b'"iss":"i","aud":["a","b"],"iat":5,"nbf":6,"exp":%d,"extra":{"exp":7},"sid":"s","auth_time":%d}'
    ) % (NOW + 9, NOW - 50)
    kept = (
        old.replace(b'"jti":"old",', b"")
        .replace(b'"iat":5,"nbf":6,"exp":%d,' % (NOW + 9), b"")
        .replace(b"1e400", b"1e40")
    )
    old = old.replace(b"1e400", b"1e40")
    assert renewed(old) == kept[:-1] + b',"exp":%d}' % (NOW + HOUR)
    written = renewed(old, has_iat=True, has_nbf=True, has_jti=True, issuer="another", subject="/nothing")
    start, _, times = written.partition(b',"jti":"')
    assert start == kept[:-1]
    token_id, _, times = times.partition(b'"')
    assert token_id != b"old"
    assert times == b',"iat":%d,"nbf":%d,"exp":%d}' % (NOW, NOW, NOW + HOUR)


@pytest.mark.parametrize(
    "data",
    [
        b'{"n":%b}' % (b"9" * 500),
        b'{"n":18446744073709551616,"m":-0,"o":1.0,"p":1e22,"q":0.1e-300}',
        b'{"z":1,"a":{"exp":1,"sid":[]},"A":[]}',
        '{"ä":"ö\\n\\"","":null}'.encode(),
        b"[1,[2,{}]]",
        b'"text"',
        b"null",
    ],
)
def test_data_stays_to_the_letter(data: bytes) -> None:
    """Numbers of any size, the order of members and what looks like claims inside come out as they went in, a hundred times."""
    made = issuer()
    written = b'{"data":%b,"exp":%d,"sid":"s","auth_time":%d}' % (data, NOW + 60, NOW)
    for turn in range(1, 101):
        now = NOW + 60 * turn
        signing_input, _ = made.renew(session(written, now - 59), now)
        written = text(made, signing_input)
        assert written == b'{"data":%b,"sid":"s","auth_time":%d,"exp":%d}' % (data, NOW, now + HOUR)


def test_duplicate_members() -> None:
    """Of members that stand twice the last counts, also where that is what is renewed."""
    old = b'{"exp":1,"auth_time":1,"sid":"a","exp":%d,"sid":"b","auth_time":%d,"data":1,"data":2}' % (NOW + 5, NOW)
    assert json.loads(renewed(old)) == {"data": 2, "sid": "b", "auth_time": NOW, "exp": NOW + HOUR}
    assert renewed(old).count(b'"exp"') == 1


def test_no_token_outlives_its_session() -> None:
    """exp is an hour from now, or the session's end."""
    for ago, life in ((0, HOUR), (11 * HOUR, HOUR), (11 * HOUR + 1, HOUR - 1), (12 * HOUR - 1, 1)):
        written = renewed(b'{"exp":%d,"auth_time":%d}' % (NOW + 9, NOW - ago))
        assert json.loads(written)["exp"] == NOW + life, ago


def test_nor_its_key() -> None:
    """Where the key ends first, so does the token, which is counted; where the session does, it is not."""
    cut = CutTokens()
    made = issuer(KeyRing([HmacKey(b"s" * 32, "HS256", "k", KeyTimes(until=NOW + 600.5))]), cut)
    assert made.renew(session({"exp": NOW + 9, "auth_time": NOW}), NOW)[1] == NOW + 600
    assert cut.count == 1
    assert made.renew(session({"exp": NOW + 9, "auth_time": NOW - 12 * HOUR + 60}), NOW)[1] == NOW + 60
    assert cut.count == 1
    with pytest.raises(NoSigningKey):
        made.renew(session({"exp": NOW + 9, "auth_time": NOW}), NOW + 601)


@pytest.mark.parametrize(
    ("settings", "old", "reply", "new"),
    [
        (
            {},
            b'{"data":{"a":1},"sub":"x"',
            b'{"b":12345678901234567890123}',
            b'{"data":{"b":12345678901234567890123},"sub":"x"',
        ),
        ({}, b'{"sub":"x","data":1', b"{}", b'{"data":{},"sub":"x"'),
        ({"subject": "/b"}, b'{"data":1,"sub":"x"', b'{"b":"y"}', b'{"data":{"b":"y"},"sub":"x"'),
        ({"data_claim": "d"}, b'{"d":1,"data":2', b'{"b":1}', b'{"d":{"b":1},"data":2'),
        ({"data_include": ("b",)}, b'{"data":1', b'{"a":1,"b":2}', b'{"data":{"b":2}'),
        ({"data_exclude": ("b",)}, b'{"data":1', b'{"a":1,"b":2}', b'{"data":{"a":1}'),
        (
            {"data_claim": ""},
            b'{"a":1,"b":2,"sub":"x"',
            b'{"b":3,"sub":"evil","auth_time":9,"sid":"evil"}',
            b'{"b":3,"sub":"x"',
        ),
        ({"data_claim": ""}, b'{"a":1', b"{}", b"{"),
    ],
)
def test_a_reply_in_place_of_the_data(settings: dict[str, Any], old: bytes, reply: bytes, new: bytes) -> None:
    """What the remote replies now takes the place of the data, as it would at a login, and all other claims stay."""
    made = issuer(**settings)
    end = b'"exp":%d,"sid":"s","auth_time":%d}' % (NOW + 9, NOW)
    before = session(old + b"," + end)
    signing_input, _ = made.renew(before, NOW, json.loads(reply), reply)
    between = b"" if new == b"{" else b","
    assert text(made, signing_input) == new + between + b'"sid":"s","auth_time":%d,"exp":%d}' % (NOW, NOW + HOUR)


@pytest.mark.parametrize(
    ("name", "claims", "data"),
    [
        (
            "data",
            b'{"data":{"n":123456789012345678901,"a":1.0},"auth_time":1,"exp":2}',
            b'{"n":123456789012345678901,"a":1.0}',
        ),
        ("data", b'{"data":{"a":1},"exp":2}', b'{"a":1}'),
        ("data", b'{"data":null}', b"null"),
        ("", b'{"a":1,"exp":2,"sid":"s","n":123456789012345678901}', b'{"a":1,"n":123456789012345678901}'),
        ("", b'{"exp":2,"sid":"s"}', b"{}"),
    ],
)
def test_the_data_of_a_session(name: str, claims: bytes, data: bytes) -> None:
    """The data is what the remote is asked about, number by number as it stood."""
    assert Session(*read_object(claims, 200), 0).data(name) == data


def test_data_of_another_configuration() -> None:
    """A token without the claim that holds the data is not one that the remote can be asked about."""
    with pytest.raises(TokenError, match=r"^token is malformed$"):
        Session({"other": 1}, b'{"other":1}', 0).data("data")


# The times of a session


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (NOW, ""),
        (NOW + 60, ""),
        (NOW + 61, "Token is not valid yet"),
        (NOW - 12 * HOUR + 1, ""),
        (NOW - 12 * HOUR, "session is over"),
        (NOW - 12 * HOUR + 0.5, "session is over"),
        (NOW - 12 * HOUR + 1.5, ""),
        (NOW - 0.25, ""),
        (0, "session is over"),
        (-5, "session is over"),
        (-(10**400), "session is over"),
        (-1e300, "session is over"),
        (10**400, "Token is not valid yet"),
        (1e300, "Token is not valid yet"),
        (str(NOW), "token has no auth_time"),
        (True, "token has no auth_time"),
        (None, "token has no auth_time"),
        ([NOW], "token has no auth_time"),
        ({}, "token has no auth_time"),
        (..., "token has no auth_time"),
    ],
    ids=repr,
)
def test_auth_time(since: object, said: str) -> None:
    """A session has a beginning that is a number, not to come by more than a minute, and not too long ago."""
    written = b"" if since is ... else b',"auth_time":%b' % json.dumps(since).encode()
    claims = b'{"exp":%d%b}' % (NOW + 60, written)
    if not said:
        assert session(claims).ends > NOW
        return
    with pytest.raises(TokenError, match=f"^{said}$"):
        session(claims)


def test_the_issuer_is_that_of_no_sessions_without() -> None:
    """Who does not ask for sessions has the issuer that takes the fewest steps."""
    assert not isinstance(issuer_for(KeyRing([KEY]), IssueSettings(60)), SessionIssuer)
