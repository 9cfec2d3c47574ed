"""The answers of forward authentication (contract §3.5). Verifier, encoding of claims and `require` have tests of their own."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.service.handlers.desk import lines, request
from tests.service.listener import Listener
from tests.service.tokens.plain import KEY, ring, sealed
from txtoken.clock import Clock
from txtoken.http1.messages import Response
from txtoken.service.handlers.forward_auth import ForwardAuth
from txtoken.service.identity import IDENTITY_BYTES_MAX
from txtoken.service.tokens.memory import Memory
from txtoken.service.tokens.verify import TokenVerifier
from txtoken.settings import CheckSettings, ForwardAuthSettings

USER: Final = (("X-Auth-Request-User", "/data/id"),)
METHODS: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"PROPFIND")


class Gate:
    """One route, and what it makes of requests. `now` can be moved."""

    def __init__(self, cookie: str = "", **settings: Any) -> None:
        self.clock = Clock()
        self.crashes: list[Exception] = []
        self.verifier = TokenVerifier(ring(KEY), CheckSettings("/checkToken"), Memory(64))
        self.handler = ForwardAuth(
            0, ForwardAuthSettings("/fa", **settings), cookie, self.verifier, self.clock, self.crashes.append
        )

    def token(self, data: object = None, life_s: int = 3600, **claims: object) -> bytes:
        """Sign a token."""
        return sealed({"data": {"id": "ada"} if data is None else data, "exp": self.clock.second + life_s, **claims})

    def ask(self, *, method: bytes = b"GET", query: bytes = b"", body: bytes = b"", **fields: bytes) -> Response:
        """Ask with these header fields."""
        client = Listener()
        asked = request(body, method=method, query=query, fields={name.encode(): text for name, text in fields.items()})
        self.handler.handle(asked, client)
        (response,) = client.told
        return response

    def bearer(self, token: bytes, **asked: Any) -> Response:
        """Ask with a token in the Authorization field."""
        return self.ask(authorization=b"Bearer " + token, **asked)


@pytest.mark.parametrize("method", METHODS)
def test_a_good_token(method: bytes) -> None:
    """Whatever the method, a good token is 200 without content and content type, with the claims as header lines."""
    gate = Gate(headers=(*USER, ("X-Missing", "/data/nothing")))
    for _ in range(4):  # new, seen once, remembered
        response = gate.bearer(gate.token(), method=method)
        assert (response.status, response.body, response.error) == (200, b"", None)
        assert lines(response) == [
            b"HTTP/1.1 200 OK",
            b"Cache-Control: no-store",
            b"X-Auth-Request-User: ada",
            b"X-Missing: ",
        ]


@pytest.mark.parametrize(
    ("token", "code", "challenge"),
    [
        (None, "no_token", b"Bearer"),
        (b"", "no_token", b"Bearer"),
        (b"a.b.c", "malformed", b'Bearer error="invalid_token"'),
        (b"a", "segments", b'Bearer error="invalid_token"'),
        (sealed({"exp": 1}), "expired", b'Bearer error="invalid_token"'),
        (sealed({"exp": 9e9}, key=b"another" * 8), "signature", b'Bearer error="invalid_token"'),
    ],
)
@pytest.mark.parametrize("has_body", [True, False])
def test_a_bad_token(token: bytes | None, code: str, challenge: bytes, *, has_body: bool) -> None:
    """A token that is missing or bad is 401 with a challenge and without a claim header; `body: false` leaves the head alone."""
    gate = Gate(headers=USER, has_body=has_body, cache_s=60)
    for _ in range(2):
        response = gate.ask() if token is None else gate.bearer(token)
        assert (response.status, response.error) == (401, code)
        assert b"WWW-Authenticate: " + challenge in lines(response)
        assert b"Cache-Control: no-store" in lines(response)
        assert not [line for line in lines(response) if line.startswith(b"X-Auth")]
        assert bool(response.body) == has_body
        assert any(line.startswith(b"Content-Type: ") for line in lines(response)) == has_body
        if has_body:
            assert set(json.loads(response.body)) == {"error"}


@pytest.mark.parametrize("has_body", [True, False])
def test_a_claim_that_is_required(*, has_body: bool) -> None:
    """A valid token without what the route requires is 403, each time; one with it is 200."""
    gate = Gate(headers=USER, require=(("/data/groups", (b'"admin"',)),), has_body=has_body)
    for _ in range(4):
        response = gate.bearer(gate.token({"id": "ada", "groups": ["users"]}))
        assert (response.status, response.error) == (403, "forbidden")
        assert b'WWW-Authenticate: Bearer error="insufficient_scope"' in lines(response)
        assert not [line for line in lines(response) if line.startswith(b"X-Auth")]
        assert bool(response.body) == has_body
        assert gate.bearer(gate.token({"id": "ada", "groups": ["users", "admin"]})).status == 200


def test_claims_that_are_too_long() -> None:
    """Claims that do not fit are 403, each time, and nothing of them is sent."""
    gate = Gate(headers=USER)
    for _ in range(4):
        response = gate.bearer(gate.token({"id": "a" * IDENTITY_BYTES_MAX}))
        assert (response.status, response.error) == (403, "identity_too_large")
        assert b"aaaa" not in response.head + response.body


def test_two_routes_keep_their_own_verdicts() -> None:
    """What one route made of a token is not what another one answers."""
    gate = Gate(headers=USER)
    other = ForwardAuth(
        1, ForwardAuthSettings("/b", require=(("/data/admin", (b"true",)),)), "", gate.verifier, gate.clock, print
    )
    token = gate.token()
    for _ in range(4):
        assert gate.bearer(token).status == 200
        client = Listener()
        other.handle(request(b"", fields={b"authorization": token}), client)
        assert client.told[0].status == 403


def test_where_a_token_may_stand() -> None:
    """Only the places that `from` names are looked at, a body never."""
    fields = {"authorization": b"header", "cookie": b"session=cookie"}
    for places, chosen in (
        (("header", "cookie"), ["authorization", "cookie", None]),
        (("cookie",), ["cookie", None]),
        (("header",), ["authorization", None]),
        (("query",), ["query", None]),
        (("cookie", "query", "header"), ["authorization", "query", "cookie", None]),
    ):
        gate = Gate("session", places=places)
        good = gate.token()
        left = {**fields, "query": b"access_token=x"}
        for place in chosen:
            if place is None:
                assert gate.ask(**left, body=b"token=" + good, method=b"POST").error == "no_token"
                break
            text = {"authorization": good, "cookie": b"session=" + good, "query": b"access_token=" + good}[place]
            assert gate.ask(**{**left, place: text}).status == 200
            assert gate.ask(**left).status == 401
            del left[place]


def test_a_place_that_is_looked_at_decides() -> None:
    """Of two tokens the first place's decides, were the other ever so good."""
    gate = Gate("session", places=("header", "query", "cookie"))
    good, bad = gate.token(), b"a.b.c"
    assert gate.ask(authorization=bad, cookie=b"session=" + good).status == 401
    assert gate.ask(authorization=good, cookie=b"session=" + bad).status == 200
    assert gate.ask(query=b"access_token=" + bad, cookie=b"session=" + good).status == 401
    assert gate.ask(authorization=b"Basic dTpw", cookie=b"session=" + good).status == 401
    assert gate.ask(cookie=b"session=" + good + b"; session=" + gate.token({"id": "eve"})).status == 401


@pytest.mark.parametrize(
    "joined", [b"Bearer %b, Bearer %b", b"Bearer %b %b", b"%b,%b", b"Bearer %b, %b", b", Bearer %.0b%b"]
)
def test_two_tokens_in_one_place(joined: bytes) -> None:
    """Two Authorization fields (which come joined), or one with two tokens, are 401, were both good."""
    gate = Gate()
    assert gate.ask(authorization=joined % (gate.token(), gate.token())).status == 401


def test_nothing_of_the_proxy_decides() -> None:
    """No header that proxies send, and that clients can send too, makes a difference."""
    gate = Gate(headers=USER)
    lies = {
        "x-forwarded-uri": b"/public",
        "x-forwarded-method": b"OPTIONS",
        "x-original-url": b"http://a.example/health",
        "x-original-uri": b"/ping",
        "x-auth-request-user": b"root",
        "user-agent": b"kube-probe/1.30",
        "x-real-ip": b"127.0.0.1",
        "origin": b"null",
        "range": b"bytes=0-0",
        "if-none-match": b"*",
    }
    assert gate.ask(**lies).status == 401
    response = gate.bearer(gate.token(), **lies)
    assert (response.status, response.head.count(b"X-Auth-Request-User: ada\r\n")) == (200, 1)


def test_a_verdict_that_may_be_kept() -> None:
    """With `cache` a proxy may keep a good verdict, while the token lives at most, and by the fields that hold tokens."""
    gate = Gate(cache_s=30)
    for life_s, max_age in ((3600, b"30"), (31, b"30"), (30, b"30"), (29, b"29"), (1, b"1")):
        for _ in range(4):
            told = lines(gate.bearer(gate.token(life_s=life_s)))
            assert b"Cache-Control: max-age=" + max_age in told
            assert b"Vary: Authorization, Cookie" in told


def test_a_remembered_verdict_near_its_end() -> None:
    """A remembered verdict is not kept longer by a proxy than its token lives, however late it is asked for."""
    gate = Gate(cache_s=30)
    token, now = gate.token(life_s=100), gate.clock.second
    for _ in range(3):
        gate.bearer(token)
    for later, max_age in ((69, b"30"), (70, b"30"), (71, b"29"), (99, b"1")):
        gate.clock.second = now + later
        assert b"Cache-Control: max-age=" + max_age in lines(gate.bearer(token))
    gate.clock.second = now + 100
    assert gate.bearer(token).error == "expired"


def test_a_token_without_an_end() -> None:
    """Where tokens need no end, a verdict is kept for `cache` and no longer."""
    gate = Gate(cache_s=30)
    gate.verifier._rules = CheckSettings("/", rules=type(gate.verifier._rules)(require_exp=False)).rules
    assert b"Cache-Control: max-age=30" in lines(gate.bearer(sealed({"data": {}})))


@pytest.mark.interpreted("takes the handler's clock away")
def test_a_fault_of_ours_lets_nobody_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the service fails, the answer is 403 and not a 5xx, which some proxies let pass."""
    gate = Gate()

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(gate.handler, "_clock", None)
    response = gate.bearer(gate.token())
    assert (response.status, response.error, len(gate.crashes)) == (403, "internal", 1)


def test_remembered_verdicts_are_counted_as_memory() -> None:
    """The lines that are remembered with a token count in the memory's bound; those of a token that is not do not."""
    gate = Gate(headers=USER)
    memory = gate.verifier.memory
    gate.bearer(gate.token())
    assert memory._young_bytes == 0
    token = gate.token({"id": "a" * 1000})
    gate.bearer(token)
    gate.bearer(token)
    before = memory._young_bytes
    assert before > 2 * len(token) + 2 * 1000 + 1000  # token and claims are held twice
    gate.bearer(token)
    assert memory._young_bytes == before


def test_a_verdict_that_is_made_anew_counts_once() -> None:
    """Near its token's end a remembered verdict is written with each question, and takes the place of the one before."""
    gate = Gate(cache_s=60)
    token = gate.token(life_s=30)
    for _ in range(3):
        gate.bearer(token)
    before = gate.verifier.memory._young_bytes
    for _ in range(3):
        gate.bearer(token)
    assert gate.verifier.memory._young_bytes == before
