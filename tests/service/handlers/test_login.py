"""Getting a token (contract §3.1, §3.3). The remote is a real socket; PyJWT judges the tokens."""

from __future__ import annotations

import asyncio
import json
import re
from time import monotonic
from typing import Any, Final, cast

import jwt
import pytest

from tests.running import KEY, run
from tests.service.faulty_remote import GOOD, FaultyRemote, Script, answer, calling, good, says, silent
from tests.service.handlers.desk import TTL_S, Desk, data_of, get_token, lines, request
from tests.service.listener import Listener
from tests.service.tokens.plain import verdict
from txtoken.service.answers import CRASHED
from txtoken.service.failures import Failures
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.issue import TokenIssuer, new_issuer
from txtoken.settings import IssueSettings, LoginSettings

OK: Final = b"HTTP/1.1 200 OK\r\n"


FAILURE: Final = "Remote post failure."


CUT: Final = "Remote post failed to parse body."


UNUSABLE: Final = "Can not unmarshal returned json."


# Getting a token


def test_a_token() -> None:
    """A good reply becomes `{"token": …}`, not to be stored, with the reply under `data` and `exp` by the clock."""
    response, desk = get_token(says(answer(b'{ "user" : "ada" }')))
    assert lines(response) == [
        b"HTTP/1.1 200 OK",
        b"Content-Type: application/json; charset=utf-8",
        b"Cache-Control: no-store",
    ]
    answered = json.loads(response.body)
    assert list(answered) == ["token"]
    assert jwt.get_unverified_header(answered["token"]) == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.decode(answered["token"], KEY, ["HS256"])
    assert claims == {"data": {"user": "ada"}, "exp": desk.clock.second + TTL_S}
    assert (response.error, desk.failures, desk.crashes) == (None, [], [])
    assert response.remote_s is not None
    assert 0 <= response.remote_s < 20


@pytest.mark.parametrize(
    ("reply", "data"),
    [
        pytest.param(b'{"b":1,"a":2,"A":3,"":4}', None, id="order"),
        pytest.param(b'{"a":1,"b":2,"a":3}', b'{"a":3,"b":2}', id="56-duplicates"),
        pytest.param(b'{"n":9007199254740993}', None, id="58-past-2^53"),
        pytest.param(b'{"n":18446744073709551616}', None, id="58-past-64-bits"),
        pytest.param(b'{"n":-123456789012345678901234567890}', None, id="58-negative"),
        pytest.param(b'{"n":%b}' % (b"9" * 500), None, id="58-500-digits"),
        pytest.param(b'{"n":%b}' % (b"9" * 5000), None, id="58-5000-digits"),
        pytest.param(b'{ "n" : 1.50, "m" : 18446744073709551616 }', None, id="58-spaced"),
        pytest.param(b"{}", None, id="empty"),
        pytest.param('{"ä":"\\u00e4\\n"}'.encode(), '{"ä":"ä\\n"}'.encode(), id="text"),
        pytest.param(b'{"a":' * 100 + b"1" + b"}" * 100, None, id="59-100-levels"),
        pytest.param(b'{"a":' * 200 + b"1" + b"}" * 200, None, id="59-200-levels"),
        pytest.param(b'{"a":' + b"[" * 199 + b"]" * 199 + b"}", None, id="59-200-levels-of-arrays"),
        pytest.param(b'{"a":"%b"}' % (b"[" * 5000), None, id="59-brackets-in-text"),
        pytest.param(b'{"exp":1,"iss":"x","token":"y","password":"z"}', None, id="62-claims-inside"),
    ],
)
def test_data(reply: bytes, data: bytes | None) -> None:
    """What the remote said is signed with its order, its numbers and nothing added."""
    response, desk = get_token(says(answer(reply)))
    assert response.status == 200, response.body
    signed = data_of(response)
    if data is not None:
        assert signed == data
    elif b" " in reply:
        assert b"18446744073709551616" in signed
        assert json.loads(signed) == json.loads(reply)
    else:
        assert signed == reply
    token = json.loads(response.body)["token"]
    if b"9" * 5000 not in reply:  # Python's own limit for the digits of an integer
        assert jwt.decode(token, KEY, ["HS256"])["exp"] == desk.clock.second + TTL_S


@pytest.mark.parametrize(
    "body",
    [
        b"9" * 400,
        b'{"id":%b}' % (b"9" * 400),
        b"[" * 1_100 + b"]" * 1_100,
        b'{"password":"\\ud800"}',
        b'{"a":1e999}',
        b"[" * 8_192 + b"]" * 8_192,
    ],
)
def test_a_body_that_json_allows_is_forwarded(body: bytes) -> None:
    """What RFC 8259 allows goes to the remote byte for byte, though the JSON library refuses it (contract §1.2 validateBody)."""
    response, _ = get_token(says(answer(b"{}")), body)
    assert response.status == 200


def test_a_token_that_nobody_would_check_is_not_issued() -> None:
    """A reply whose token would be longer than `limits.tokenBytes` is an unusable one (contract §3.1); a shorter one of more than
    8 KiB is a token, and somebody is warned.
    """
    response, desk = get_token(says(answer(b'{"a":"%b"}' % (b"x" * 24_500))))
    told = json.loads(response.body)
    assert (response.status, response.error, told["message"]) == (
        500,
        "token_too_large",
        "Can not generate return token",
    )
    assert re.fullmatch(r"the token would have 32\d{3} bytes, and limits.tokenBytes allows 32768", told["error"])
    assert desk.large_tokens == []
    response, desk = get_token(says(answer(b'{"a":"%b"}' % (b"x" * 24_300))))
    token = json.loads(response.body)["token"]
    assert desk.large_tokens == [len(token)]
    assert verdict(token.encode(), desk.clock.second) == "valid"
    response, desk = get_token(says(answer(b'{"a":"%b"}' % (b"x" * 6_000))))
    assert (response.status, desk.large_tokens) == (200, [])


@pytest.mark.parametrize(("body", "status"), [(b"x" * 65_536, 400), (b"x" * 65_537, 200), (b"[" + b"9" * 17_000, 400)])
def test_a_long_body_is_not_looked_at(body: bytes, status: int) -> None:
    """A body of more than 64 KiB is forwarded as it is."""
    response, _ = get_token(says(answer(b"{}")), body)
    assert response.status == status


@pytest.mark.parametrize("content_type", [b"text/html", b"application/xml; charset=utf-16", None])
def test_61_the_content_type_is_not_looked_at(content_type: bytes | None) -> None:
    """A reply is what it is, whatever it calls itself."""
    more = () if content_type is None else (b"Content-Type: " + content_type,)
    response, _ = get_token(says(answer(b'{"a":1}', *more)))
    assert data_of(response) == b'{"a":1}'


@pytest.mark.parametrize(
    ("reply", "message", "error"),
    [
        pytest.param(b"", UNUSABLE, "not JSON", id="53-empty"),
        pytest.param(b"{", UNUSABLE, "not JSON", id="53-cut"),
        pytest.param(b"<html>secret</html>", UNUSABLE, "not JSON", id="53-html"),
        pytest.param(b"{}x", UNUSABLE, "not JSON", id="53-garbage-behind"),
        pytest.param(b"{}{}", UNUSABLE, "not JSON", id="53-two"),
        pytest.param(b"{'a':1}", UNUSABLE, "not JSON", id="53-quotes"),
        pytest.param(b'{"a":1,}', UNUSABLE, "not JSON", id="53-comma"),
        pytest.param(b"null", UNUSABLE, "not a JSON object", id="54-null"),
        pytest.param(b"[{}]", UNUSABLE, "not a JSON object", id="54-array"),
        pytest.param(b'"{}"', UNUSABLE, "not a JSON object", id="54-string"),
        pytest.param(b"1", UNUSABLE, "not a JSON object", id="54-number"),
        pytest.param(b"true", UNUSABLE, "not a JSON object", id="54-boolean"),
        pytest.param(b'{"a":"\xff"}', UNUSABLE, "not JSON", id="55-not-utf-8"),
        pytest.param('{"a":1}'.encode("utf-16"), UNUSABLE, "not JSON", id="55-utf-16"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', UNUSABLE, "not JSON", id="55-byte-order-mark"),
        pytest.param(b'{"a":NaN}', UNUSABLE, "not JSON", id="57-nan"),
        pytest.param(b'{"a":Infinity}', UNUSABLE, "not JSON", id="57-infinity"),
        pytest.param(b'{"a":-Infinity}', UNUSABLE, "not JSON", id="57-negative-infinity"),
        pytest.param(b'{"a":1e999}', UNUSABLE, "not JSON", id="57-1e999"),
        pytest.param(b'{"a":' * 201 + b"1" + b"}" * 201, UNUSABLE, "nested deeper than 200 levels", id="59-201-levels"),
        pytest.param(b'{"a":' * 20_000 + b"1" + b"}" * 20_000, UNUSABLE, "not JSON", id="59-20000-levels"),
        pytest.param(b'{"a":"\\ud800"}', UNUSABLE, "not JSON", id="60-lone-surrogate"),
    ],
)
def test_replies_that_no_token_can_carry(reply: bytes, message: str, error: str) -> None:
    """A complete reply that is no usable object is 500 with the contract's text, and nothing of it is shown."""
    response, desk = get_token(says(answer(reply)))
    assert response.status == 500
    assert json.loads(response.body) == {"message": message, "error": error}
    assert b"Cache-Control: no-store" in lines(response)
    assert response.error == "bad_json"
    assert [failure.code for failure in desk.failures] == ["bad_json"]
    assert not desk.crashes


@pytest.mark.parametrize(
    ("script", "expected", "code"),
    [
        (
            says(answer(b'{"e":"secret"}', status=b"401 X")),
            {"message": "Remote post status failure.", "status": 401},
            "status",
        ),
        (says(answer(b"", status=b"302 X")), {"message": "Remote post status failure.", "status": 302}, "status"),
        (says(answer(b"", status=b"201 X")), {"message": "Remote post status failure.", "status": 201}, "status"),
        (says(b"", "fin"), {"message": FAILURE}, "closed"),
        (says(b"", "rst"), {"message": FAILURE}, "reset"),
        (says(b"hello"), {"message": FAILURE}, "bad_response"),
        (says(GOOD[:-1], "fin"), {"message": CUT}, "truncated"),
        (says(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz"), {"message": CUT}, "truncated"),
        (says(answer(b" " * 1001)), {"message": CUT}, "too_large"),
        (says(answer(b"{}", b"Content-Encoding: br")), {"message": UNUSABLE}, "bad_encoding"),
    ],
)
def test_what_the_remote_did(script: Script, expected: dict[str, Any], code: str) -> None:
    """What went wrong at the remote is 500 with the contract's members, and the log gets the reason."""
    response, desk = get_token(script, reply_bytes=1000)
    assert response.status == 500
    assert b"Cache-Control: no-store" in lines(response)
    body = json.loads(response.body)
    assert {name: value for name, value in body.items() if name != "error"} == expected
    assert ("error" in body) == ("status" not in body)
    assert b"127." not in response.body
    assert b"secret" not in response.body
    assert response.error == code
    assert [failure.code for failure in desk.failures] == [code]


def test_a_refused_connection() -> None:
    """A remote that is not there is 500 with a short cause and no address."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            url = faulty.url
        async with calling(url) as remote:
            response = await Desk(remote).ask(request())
        assert response.status == 500
        assert json.loads(response.body) == {"message": FAILURE, "error": "the remote refused the connection"}

    run(main())


def test_a_timeout() -> None:
    """A remote that does not answer in time is 500 with the contract's text."""

    async def main() -> None:
        async with FaultyRemote(silent).listening() as faulty, calling(faulty.url) as remote:
            asked = asyncio.ensure_future(Desk(remote).ask(request()))
            await faulty.requested(1)
            remote.sweep(monotonic() + 5.1)
            response = await asked
        assert response.status == 500
        assert json.loads(response.body) == {"message": FAILURE, "error": "the remote did not answer in time"}
        assert response.error == "timeout"

    run(main())


def test_11_too_many_requests() -> None:
    """A request for which there is no room is answered 503 with `Retry-After` before `handle` returns."""

    async def main() -> None:
        settings: dict[str, Any] = {"connections": 1, "waiting": 0}
        async with FaultyRemote(silent).listening() as faulty, calling(faulty.url, **settings) as remote:
            desk = Desk(remote)
            first = Listener()
            pending = desk.handler.handle(request(), first)
            assert pending is not None
            response = await desk.ask(request())
            assert response.status == 503
            assert b"Retry-After: 1" in lines(response)
            assert b"Cache-Control: no-store" in lines(response)
            assert json.loads(response.body)["message"] == FAILURE
            assert response.error == "overloaded"
            pending.cancel()
            assert not first.told

    run(main())


def test_a_client_that_leaves() -> None:
    """After `cancel` nobody is answered, and the request's connection is closed."""

    async def main() -> None:
        async with FaultyRemote(silent).listening() as faulty, calling(faulty.url) as remote:
            client = Listener()
            pending = Desk(remote).handler.handle(request(), client)
            assert pending is not None
            await faulty.requested(1)
            pending.cancel()
            await faulty.peers[0].ended()
            assert not client.told

    run(main())


def test_a_fault_of_ours() -> None:
    """When signing fails the client is answered 500 without the reason, and the log gets it."""

    key = HmacKey(KEY.encode())
    key._inner = cast("Any", None)

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            desk = Desk(remote, issuer=TokenIssuer(KeyRing([key]), IssueSettings(TTL_S)))
            assert await desk.ask(request()) is CRASHED
            assert [type(crash) for crash in desk.crashes] == [AttributeError]
            assert b"None" not in CRASHED.body
            assert remote.idle_count == 1

    run(main())


BODIES: Final = [
    b"",
    b" ",
    b"{",
    b"{}{}",
    b"user=ada&password=secret",
    b"<a/>",
    b'{"a":NaN}',
    b'{"a":"\xff"}',
    b"secret",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_is_not_json(body: bytes) -> None:
    """With `validateBody` a body that is not JSON is 400 and never reaches the remote; it is not quoted."""
    response, desk = get_token(good, body)
    assert response.status == 400
    answered = json.loads(response.body)
    assert answered.pop("message") == "Request body is not valid JSON."
    assert isinstance(answered.pop("error"), str)
    assert not answered
    assert b"secret" not in response.body
    assert b"Cache-Control: no-store" in lines(response)
    assert response.error == "bad_body"
    assert not desk.failures


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b" [1, 2] ", b'"x"', b'{"a":1,"a":2}', b'{"a":"' + b"x" * 70_000 + b'"}']
)
def test_a_body_that_is_json(body: bytes) -> None:
    """Any JSON is forwarded, byte for byte."""
    assert get_token(good, body)[0].status == 200


@pytest.mark.parametrize("body", BODIES)
def test_without_validation(body: bytes) -> None:
    """Without `validateBody` anything is forwarded, byte for byte."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            assert (
                await Desk(remote, LoginSettings("/getToken", validate_body=False)).ask(request(body))
            ).status == 200
            assert faulty.bodies == [(0, body)]

    run(main())


def test_forwarded_headers() -> None:
    """The configured headers that the client sent are forwarded as they are, and no other."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            desk = Desk(
                remote, LoginSettings("/getToken", forward_headers=("X-Request-Id", "traceparent", "tracestate"))
            )
            fields = {
                b"x-request-id": b"a b\xe4",
                b"tracestate": b"x=1, y=2",
                b"cookie": b"secret",
                b"authorization": b"Bearer client",
                b"x-request-idx": b"no",
            }
            await desk.ask(request(fields=fields))
            await desk.ask(request())
            sent = [request.partition(b"\r\n\r\n")[0].split(b"\r\n") for _, request in faulty.requests]
            assert set(sent[0]) - set(sent[1]) == {b"X-Request-Id: a b\xe4", b"tracestate: x=1, y=2"}
            assert not set(sent[1]) - set(sent[0])
            assert not any(line.lower().startswith(b"cookie") for line in sent[0])

    run(main())


@pytest.mark.parametrize(
    ("connection", "forwarded"),
    [
        (None, True),
        (b"keep-alive", True),
        (b"X-Tenant", False),
        (b"close, x-TENANT", False),
        (b"x-tenant,keep-alive", False),
        (b"X-Tenant-Id, X, Tenant", True),
    ],
)
def test_fields_of_the_connection(connection: bytes | None, *, forwarded: bool) -> None:
    """A field that the client's Connection names is for that connection alone, and is not forwarded (RFC 9110 §7.6.1)."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            desk = Desk(remote, LoginSettings("/getToken", forward_headers=("X-Request-Id", "X-Tenant")))
            fields = {b"x-request-id": b"7", b"x-tenant": b"acme"}
            if connection is not None:
                fields[b"connection"] = connection
            await desk.ask(request(fields=fields))
            ((_, sent),) = faulty.requests
            assert b"\r\nX-Request-Id: 7\r\n" in sent
            assert (b"\r\nX-Tenant: acme\r\n" in sent) == forwarded

    run(main())


# Which replies are a login


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (b'{"success":true,"errors":null}', 200, None),
        (b'{"success":true}', 200, None),
        (b'{"success":false,"why":"wrong password"}', 401, b'{"success":false,"why":"wrong password"}'),
        (b'{"success":true,"errors":["no"]}', 401, b'{"success":true,"errors":["no"]}'),
        (b'{"success":1}', 401, b'{"success":1}'),
        (b"[]", 502, None),
        (b"<html>", 502, None),
    ],
)
def test_success_when(reply: bytes, status: int, body: bytes | None) -> None:
    """A reply that `successWhen` does not agree with is a 401 of the remote's, for `statusMap` and `passRemoteErrors` too."""

    async def main() -> None:
        settings = LoginSettings("/getToken", success_members=(("/success", b"true"), ("/errors", b"null")))
        async with FaultyRemote(says(answer(reply))).listening() as faulty, calling(faulty.url) as remote:
            desk = Desk(remote, settings, failures=Failures("gateway", passes_bodies=True))
            response = await desk.ask(request())
            assert response.status == status
            if status == 200:
                assert data_of(response) == reply
            elif body is not None:
                assert response.body == body
                assert response.error == "status"
            assert remote.idle_count == 1
        async with FaultyRemote(says(answer(reply))).listening() as faulty, calling(faulty.url) as remote:
            response = await Desk(remote, settings).ask(request())
            assert response.status == (200 if status == 200 else 500)
            if body is not None:
                assert json.loads(response.body) == {"message": "Remote post status failure.", "status": 401}

    run(main())


def test_200_that_is_no_success() -> None:
    """Where `successStatus` does not name 200, it is a status that the remote failed with, whatever `statusMap` says."""

    async def main() -> None:
        async with (
            FaultyRemote(good).listening() as faulty,
            calling(faulty.url, success_statuses=frozenset((201,))) as remote,
        ):
            for status_map, status in (("original", 500), ("gateway", 502)):
                response = await Desk(remote, failures=Failures(status_map, passes_bodies=True)).ask(request())
                assert response.status == status
                assert json.loads(response.body) == {"message": "Remote post status failure.", "status": 200}

    run(main())


# Claims of the reply


@pytest.mark.parametrize(
    "reply", [b"{}", b'{"user":null}', b'{"user":{"id":[]}}', b'{"user":{"id":{}}}', b'{"user":{"id":""}}']
)
@pytest.mark.parametrize(("status_map", "status"), [("original", 500), ("gateway", 502)])
def test_a_reply_without_a_subject(reply: bytes, status_map: str, status: int) -> None:
    """A reply in which `claims.sub` finds nothing is an unusable one: the client gets the contract's text, and where it was
    looked for stands in the log alone.
    """

    async def main() -> None:
        issuer = new_issuer(KeyRing([HmacKey(KEY.encode())]), IssueSettings(TTL_S, subject="/user/id"))
        async with FaultyRemote(says(answer(reply))).listening() as faulty, calling(faulty.url) as remote:
            desk = Desk(remote, issuer=issuer, failures=Failures(status_map, passes_bodies=True))
            response = await desk.ask(request())
            assert remote.idle_count == 1  # nothing is wrong with the connection
        assert (response.status, response.error) == (status, "no_claim")
        told = json.loads(response.body)
        assert told["message"] == "Can not build claims from returned json."
        assert b"/user" not in response.body
        assert reply not in response.body
        assert [failure.code for failure in desk.failures] == ["no_claim"]
        assert "/user/id" in str(desk.failures[0].__cause__)
        assert not desk.crashes

    run(main())


@pytest.mark.parametrize(
    ("reply", "subject"),
    [
        (b'{"user":{"id":"ada"}}', "ada"),
        (b'{"user":{"id":1815}}', "1815"),
        (b'{"user":{"id":%b}}' % (b"9" * 40), "9" * 40),
        (b'{"user":{"id":1e300}}', "1e300|1e+300"),
        (b'{"user":{"id":false}}', "false"),
    ],
)
def test_a_reply_with_a_subject(reply: bytes, subject: str) -> None:
    """The subject is a text, whatever it was in the reply, and the reply is in the token as it came."""

    async def main() -> None:
        settings = IssueSettings(
            TTL_S, subject="/user/id", has_jti=True, issuer="https://login.example", audience=("api",)
        )
        issuer = new_issuer(KeyRing([HmacKey(KEY.encode())]), settings)
        async with FaultyRemote(says(answer(reply))).listening() as faulty, calling(faulty.url) as remote:
            response = await Desk(remote, issuer=issuer).ask(request())
        claims = jwt.decode(json.loads(response.body)["token"], KEY, ["HS256"], audience="api")
        assert claims["sub"] in subject.split("|")
        assert claims["data"] == json.loads(reply)
        assert set(claims) == {"data", "sub", "jti", "iss", "aud", "exp"}

    run(main())
