"""Real proxies, each by the file that `txtoken export` prints for it: who passes, and what the upstream then sees.

Debian's by `apt-get install nginx-light caddy haproxy`, PyPI's by `scripts/environment proxies`.
"""

from __future__ import annotations

import itertools
import socket
from typing import Final

import pytest

from tests.forward_auth.stage import COOKIE, FRONTS, ROLES, USER, Front, Stage, bearer, exchange, of, token
from tests.running import KEY

WEBSOCKET: Final = "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13"
IN_THE_WAY: Final = 100_000  # bytes of a body: more than any buffer of a proxy's
# Names that CGI, WSGI and PHP take for the claim header's own.
ALIASES: Final = (
    *(
        "x_auth_request_user",
        "X_Auth_Request_User",
        "X-Auth_Request-User",
        "x.auth.request.user",
        "X-Auth-Request.User",
    ),
    *(
        "X!Auth-Request-User",
        "X~Auth~Request~User",
        "X'Auth-Request-User",
        "X`Auth-Request-User",
        "X*Auth-Request-User",
    ),
    *(
        "X#Auth-Request-User",
        "X$Auth-Request-User",
        "X%Auth-Request-User",
        "X&Auth-Request-User",
        "X+Auth-Request-User",
    ),
    *("X^Auth-Request-User", "X|Auth-Request-User", "_X-Auth-Request-User", "X-Auth-Request-User_"),
)


@of(*FRONTS)
def test_a_good_token_passes(stage: Stage, front: Front) -> None:
    """With a good token the request passes with the claims in its headers, its own fields, path and query."""
    seen = stage.ask(
        front,
        "GET",
        "/a/b?c=%20d",
        bearer(user="ada", roles=["admin", "x,y"]),
        "X-Other: 1",
        "X-Forwarded-For: 203.0.113.7",
    ).seen
    assert (seen.method, seen.target, seen.body) == ("GET", "/a/b?c=%20d", "")
    assert seen.values(USER) == ["ada"]
    assert seen.values(ROLES) == ["admin,x%2Cy"]
    assert seen.values("X-Other") == ["1"]
    assert not seen.values("X-Forwarded-For")[-1].endswith("203.0.113.7")  # who it is, and not who it says it is


@of(*FRONTS)
@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, "X-None: 1"),
        (401, f"Authorization: Bearer {token(exp=-5, user='ada')}"),
        (401, f"Authorization: Bearer {token(key=KEY[::-1], user='ada')}"),
        (401, "Authorization: Bearer x.y.z"),
        (401, "Authorization:"),
        (401, f"Cookie: {COOKIE}=x"),
        (401, f"Cookie: session={token(user='ada')}"),
        (401, f"Authorization: Bearer {token(user='ada')}\r\nAuthorization: Bearer {token(user='bob')}"),
        (401, f"Cookie: {COOKIE}={token(user='ada')}; {COOKIE}={token(user='bob')}"),
    ],
    ids=["none", "expired", "another-key", "garbled", "empty", "cookie", "another-cookie", "two-fields", "two-cookies"],
)
def test_a_bad_token_does_not(stage: Stage, front: Front, status: int, line: str) -> None:
    """Without a good token nothing reaches the upstream, and the client gets 401 with its WWW-Authenticate."""
    before = len(stage.protected.seen)
    for method, body in (("GET", None), ("POST", b"x" * 20), ("HEAD", None), ("OPTIONS", None)):
        answer = stage.ask(front, method, "/", line, body=body)
        if "\r\n" in line and front.program.startswith("nginx"):
            assert answer.status == 400  # nginx refuses a second Authorization field itself
        else:
            assert answer.status == status, (method, answer)
            assert answer.fields["www-authenticate"].startswith("Bearer")
        assert USER.lower() not in answer.fields
    assert len(stage.protected.seen) == before


@of(*FRONTS)
def test_the_cookie(stage: Stage, front: Front) -> None:
    """The cookie holds a token as well as the header, and the header decides before it."""
    cookie = f"Cookie: a=b; {COOKIE}={token(user='bob')}; c=d"
    seen = stage.ask(front, "GET", "/", cookie).seen
    assert seen.values(USER) == ["bob"]
    assert stage.ask(front, "GET", "/", cookie, bearer(user="ada")).seen.values(USER) == ["ada"]
    assert stage.ask(front, "GET", "/", cookie, "Authorization: Bearer x").status == 401


@of(*FRONTS)
def test_methods_and_bodies(stage: Stage, front: Front) -> None:
    """By any method a request passes whole, with a length, in chunks, or without a body."""
    line = bearer(user="ada")
    for method, body in itertools.product(("POST", "PUT", "PATCH", "DELETE"), (b"", b"x", b"y" * IN_THE_WAY)):
        seen = stage.ask(front, method, "/in", line, body=body).seen
        assert (seen.method, seen.body) == (method, body.decode())
    for method in ("HEAD", "OPTIONS", "DELETE"):
        answer = stage.ask(front, method, "/out", line)
        assert answer.status == 200
        assert stage.protected.seen[-1].method == method
        assert stage.protected.seen[-1].values(USER) == ["ada"]
    with stage.connect(front) as sock:
        sock.sendall(
            f"POST /chunks HTTP/1.1\r\nHost: a\r\n{line}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode()
        )
        assert sock.recv(12) == b"HTTP/1.1 200"
    assert (stage.protected.seen[-1].body, stage.protected.seen[-1].values(USER)) == ("hello", ["ada"])


CLAIMS: Final[dict[str, tuple[dict[str, object], list[str]]]] = {
    "set": ({"user": "ada"}, ["ada"]),
    "empty": ({"user": ""}, []),
    "missing": ({}, []),
    "null": ({"user": None}, []),
    "object": ({"user": {"a": 1}}, []),
}


@of(*FRONTS)
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_clients_own_headers_never_pass(stage: Stage, front: Front, claim: str) -> None:
    """Whatever the claim is, the upstream gets it, or nothing, or an empty field: never what the client sent under that name,
    nor under one that CGI would take for it.
    """
    data, expected = CLAIMS[claim]
    own = (f"{USER}: spoof", f"{USER.lower()}: spoof2", f"{USER}:", *(f"{name}: spoof" for name in ALIASES))
    seen = stage.ask(front, "GET", "/", *own, bearer(**data), f"{ROLES}: spoof").seen
    alike = [(name, value) for name, value in seen.fields if "".join(filter(str.isalnum, name)) == "xauthrequestuser"]
    assert {name for name, _ in alike} <= {USER.lower()}
    assert [value for _, value in alike if value] == expected
    assert [value for value in seen.values(ROLES) if value] == []
    if front.program != "caddy":  # 2.6 sends a field that is empty
        assert len(alike) == len(expected)
        assert seen.values(ROLES) == []
    assert not any("spoof" in value for _, value in seen.fields)


@of(*FRONTS)
def test_a_client_cannot_take_its_claims_off(stage: Stage, front: Front) -> None:
    """What a client names in `Connection` does not take what txtoken says off its request."""
    for text in (f"close, {USER}", f"{USER.lower()}, close", f"close\r\nConnection: {USER.upper()}"):
        seen = stage.ask(front, "GET", "/", f"Connection: {text}", bearer(user="ada")).seen
        assert seen.values(USER) == ["ada"], text


@of(*FRONTS)
@pytest.mark.parametrize(
    "target",
    [
        *(
            "/livez",
            "/readyz",
            "/getToken",
            "/checkToken",
            "/_txtoken",
            "/plain",
            "/prefix",
            "//",
            "//livez",
            "/../livez",
        ),
        *("/./livez", "/%2e%2e/livez", "/..%2flivez", "/x/../../livez", "/..;/livez", "/%2E%2E%2Flivez", "/?/livez"),
        *("/livez?x", "/.well-known/jwks.json", "/a%00b", "/livez%20HTTP/1.1"),
    ],
)
def test_no_path_gets_around(stage: Stage, front: Front, target: str) -> None:
    """Whatever path is asked for, without a token nobody passes: no other route of txtoken's answers in place of the check."""
    before = len(stage.protected.seen)
    for method in ("GET", "POST", "OPTIONS"):
        assert stage.ask(front, method, target).status in (400, 401, 404)
        assert stage.ask(front, method, target, f"Authorization: Bearer {token(key=KEY[::-1])}").status in (
            400,
            401,
            404,
        )
    assert len(stage.protected.seen) == before


@of(*FRONTS)
@pytest.mark.parametrize(
    "line",
    [
        *("Range: bytes=0-0", "If-None-Match: *", "If-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT", "TE: trailers"),
        *("X-Forwarded-Uri: /livez", "X-Original-URL: /livez", "X-Rewrite-URL: /livez", "User-Agent: kube-probe/1.33"),
        *(
            "X-Forwarded-Method: OPTIONS",
            "X-HTTP-Method-Override: OPTIONS",
            "Origin: https://app.example",
            "Accept-Encoding: gzip",
        ),
        *("Upgrade: h2c", f"{WEBSOCKET}\r\nConnection: Upgrade", "Pragma: no-cache\r\nCache-Control: no-cache"),
    ],
)
def test_no_header_changes_the_verdict(stage: Stage, front: Front, line: str) -> None:
    """What else a request says neither opens the door nor closes it."""
    lines = line.split("\r\n")
    assert stage.ask(front, "GET", "/", *lines).status in (401, 403)
    passed = stage.ask(front, "GET", "/", *lines, bearer(user="ada"))
    if "Upgrade" in line and front.program == "envoy" and passed.status == 403:
        return  # it does not take upgrades that nobody configured
    assert passed.seen.values(USER) == ["ada"]


@of(*FRONTS)
def test_each_request_of_a_connection_has_its_own_verdict(stage: Stage, front: Front) -> None:
    """On one connection good tokens and bad ones alternate, with bodies and without, and each gets its own answer."""
    with stage.connect(front) as sock:
        for number in range(40):
            body = b"x" * 3000 if number % 3 == 0 else None
            method = "GET" if body is None else "POST"
            if number % 2:
                answer = exchange(sock, method, f"/{number}", bearer(user=f"user{number}"), body=body)
                assert answer.seen.values(USER) == [f"user{number}"]
                assert answer.seen.body == (body or b"").decode()
            else:
                answer = exchange(sock, method, f"/{number}", "Authorization: Bearer x", body=body)
                assert answer.status == 401
            if answer.fields.get("connection") == "close":
                sock.close()
                sock = stage.connect(front)


@of(*FRONTS)
def test_a_body_that_never_comes(stage: Stage, front: Front) -> None:
    """A client that announces a body and sends none does not hold up another's check, nor has it taken for the body."""
    silent: list[socket.socket] = []
    for announced in ("Content-Length: 500", "Transfer-Encoding: chunked"):
        sock = stage.connect(front)
        sock.sendall(f"POST /slow HTTP/1.1\r\nHost: a\r\n{bearer(user='eve')}\r\n{announced}\r\n\r\n".encode())
        silent.append(sock)
        for number in range(10):
            assert stage.ask(front, "GET", "/", bearer(user=f"user{number}")).seen.values(USER) == [f"user{number}"]
            assert stage.ask(front, "GET", "/").status == 401
    for sock in silent:
        sock.close()


@of(*(front for front in FRONTS if "/plain" in front.section))
def test_what_is_required(stage: Stage, front: Front) -> None:
    """A good token without what the route requires is 403."""
    other = Front(front.program, "/admin")
    before = len(stage.protected.seen)
    assert stage.ask(other, "GET", "/", bearer(user="ada", roles=["staff"])).status == 403
    assert stage.ask(other, "POST", "/", bearer(user="ada"), body=b"x").status == 403
    assert stage.ask(other, "GET", "/").status == 401
    assert len(stage.protected.seen) == before
    assert stage.ask(other, "GET", "/", bearer(user="ada", roles=["staff", "admin"])).seen.values(USER) == ["ada"]


@of(*(front for front in FRONTS if "/plain" in front.section))
def test_a_token_in_the_query(stage: Stage, front: Front) -> None:
    """With `query` in `from` the client's query goes along; without, it is not looked at."""
    target = f"/x?a=b&access_token={token(user='ada')}"
    assert stage.ask(front, "GET", target).status == 401
    other = Front(front.program, "/query")
    assert stage.ask(other, "GET", target).seen.values(USER) == ["ada"]
    assert stage.ask(other, "GET", "/x?access_token=x").status == 401
    assert stage.ask(other, "GET", "/x?").status == 401
    assert stage.ask(other, "GET", "/x", bearer(user="bob")).seen.values(USER) == ["bob"]


def test_a_stopped_service_lets_nobody_pass(stage: Stage) -> None:
    """While txtoken is down no request passes, and once it is back they do."""
    fronts = [param.values[0] for param in of(*FRONTS).args[1] if not param.marks[0].args[0]]
    line = bearer(user="ada")
    for front in fronts:
        assert stage.ask(front, "GET", "/", line).status == 200
    stage.stop_service()
    before = len(stage.protected.seen)
    try:
        for front in fronts:
            for other in (bearer(user="bob"), "X-None: 1"):
                answer = stage.ask(front, "POST", "/", other, body=b"x")
                assert answer.status in (500, 502, 503), (front, answer)
        assert len(stage.protected.seen) == before
    finally:
        stage.restart_service()
    for front in fronts:
        assert stage.ask(front, "GET", "/", line).status == 200, front
        assert stage.ask(front, "GET", "/").status == 401, front
