"""What the remote is sent. The judges are the bytes themselves, h11 and PyJWT."""

from __future__ import annotations

import time
from typing import Final

import h11
import jwt
import pytest

from tests.running import KEY, run
from tests.service.faulty_remote import (
    AGENT,
    BEARER,
    GOOD_BODY,
    FaultyRemote,
    at_once,
    calling,
    good,
    post,
    remote_settings,
)
from txtoken.clock import Clock
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.upstream.remote import Remote
from txtoken.service.upstream.request_head import request_head
from txtoken.settings import IssueSettings

TTL_S: Final = 300


@pytest.mark.parametrize("body", [b"{}", b"", b" {\n} ", b"\0\r\n\r\n\xff", b"x" * 300_000])
def test_the_whole_request(body: bytes) -> None:
    """A request is these bytes, in this order, and the body as it came."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            assert await post(remote, body, b"X-Request-Id: 7\r\ntraceparent: a-b\r\n").outcome() == GOOD_BODY
            ((_, request),) = faulty.requests
            host = faulty.url.split("/")[2].encode()
            assert request == (
                b"POST /login HTTP/1.1\r\n"
                b"Host: " + host + b"\r\n"
                b"User-Agent: " + AGENT.encode() + b"\r\n"
                b"Content-Type: application/json\r\n"
                b"Accept: application/json\r\n"
                b"Accept-Encoding: identity\r\n"
                b"Authorization: Bearer " + BEARER + b"\r\n"
                b"X-Request-Id: 7\r\n"
                b"traceparent: a-b\r\n"
                b"Content-Length: " + str(len(body)).encode() + b"\r\n"
                b"\r\n" + body
            )
            judge = h11.Connection(h11.SERVER)
            judge.receive_data(request)
            assert isinstance(judge.next_event(), h11.Request)
            received = b""
            while isinstance(event := judge.next_event(), h11.Data):
                received += event.data
            assert isinstance(event, h11.EndOfMessage)
            assert received == body
            assert not judge.trailing_data[0]

    run(main())


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://login.example/a/b", b"/a/b", b"login.example"),
        ("http://login.example", b"/", b"login.example"),
        ("http://login.example:80/", b"/", b"login.example"),
        ("http://login.example:8080/", b"/", b"login.example:8080"),
        ("https://login.example:443/", b"/", b"login.example"),
        ("https://login.example:80/", b"/", b"login.example:80"),
        ("http://[2001:db8::1]/x", b"/x", b"[2001:db8::1]"),
        ("http://[2001:db8::1]:81/x", b"/x", b"[2001:db8::1]:81"),
        ("http://login.example/a?b=c&d", b"/a?b=c&d", b"login.example"),
        ("http://login.example?b", b"/?b", b"login.example"),
        ("http://login.example/a%2Fb%20c?d=%26+e&f=a;b", b"/a%2Fb%20c?d=%26+e&f=a;b", b"login.example"),
        ("http://login.example/a%c3%a4/", b"/a%c3%a4/", b"login.example"),
        ("http://login.example/a//b/", b"/a//b/", b"login.example"),
    ],
)
def test_target_and_host(url: str, target: bytes, host: bytes) -> None:
    """Path and query are sent as they were configured, and `Host` names the port unless it is the scheme's own."""
    first, second = request_head(remote_settings(url), AGENT).split(b"\r\n")[:2]
    assert first == b"POST " + target + b" HTTP/1.1"
    assert second == b"Host: " + host


def test_the_bearer() -> None:
    """The remote gets a bearer that PyJWT finds valid, with the configured data and `requestTokenSeconds` to live."""

    async def main() -> None:
        clock = Clock()
        issuer = TokenIssuer(KeyRing([HmacKey(KEY.encode())]), IssueSettings(TTL_S))
        async with FaultyRemote(good).listening() as faulty:
            remote = Remote(
                remote_settings(faulty.url), lambda now: issuer.issue(b'{"role":"proxy"}', now), clock, AGENT, at_once
            )
            await post(remote).outcome()
            await remote.close()
            ((_, request),) = faulty.requests
            line = next(line for line in request.split(b"\r\n") if line.startswith(b"Authorization: "))
            token = line.removeprefix(b"Authorization: Bearer ")
            assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
            claims = jwt.decode(token, KEY, ["HS256"])
            assert claims == {"data": {"role": "proxy"}, "exp": clock.second + TTL_S}
            assert abs(clock.second - time.time()) < 5

    run(main())


def test_the_bearer_is_signed_once_a_second() -> None:
    """All requests of a second carry the same bearer, and those of the next a new one."""

    async def main() -> None:
        clock = Clock()
        asked: list[int] = []

        def bearer(second: int) -> bytes:
            asked.append(second)
            return b"of-%d" % second

        async with FaultyRemote(good).listening() as faulty:
            remote = Remote(remote_settings(faulty.url), bearer, clock, AGENT, at_once)
            for second in (100, 100, 100, 101, 101, 99):
                clock.second = second
                await post(remote).outcome()
            await remote.close()
            shown = [request.partition(b"Bearer ")[2].partition(b"\r\n")[0] for _, request in faulty.requests]
            assert shown == [b"of-100"] * 3 + [b"of-101"] * 2 + [b"of-99"]
            assert asked == [100, 101, 99]

    run(main())
