"""Which pages may log in, renew and end where there is a cookie (contract §3.6), by what browsers say and what others do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tests.running import run
from tests.service.counter import Counter, counter, error_of, token_of
from tests.service.faulty_remote import FaultyRemote, good
from txtoken.http1.messages import UNIX, Peer

COOKIE: Final = "cookie: {name: s}\nrefresh: {}\n"
NAMED: Final = COOKIE + "cors: {origins: [https://app.example, 'http://127.0.0.1:3000']}\n"
TRUSTING: Final = COOKIE + "trustedProxies: [198.51.100.0/24, unix]\n"
FOREIGN: Final = (403, "pages of other sites may not do this: only those whose origin cors.origins names")
OWN: Final = "http://api.example"
FORWARDED: Final = {"x-forwarded-proto": "https", "x-forwarded-host": "login.example"}

# What a browser says, and whether a login is served, and a request for its cookie.
SAID: Final[list[tuple[str, dict[str, str], bool, bool]]] = [
    # Fetch Metadata
    (COOKIE, {"sec-fetch-site": "same-origin"}, True, True),
    (COOKIE, {"sec-fetch-site": "same-site"}, True, False),
    (COOKIE, {"sec-fetch-site": "cross-site"}, False, False),
    (COOKIE, {"sec-fetch-site": "none"}, True, False),
    (COOKIE, {"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, True, True),  # Host was rewritten
    (COOKIE, {"sec-fetch-site": "same-origin", "origin": "null"}, True, True),
    (COOKIE, {"sec-fetch-site": "same-site", "origin": OWN}, True, False),
    (COOKIE, {"sec-fetch-site": "cross-site", "origin": OWN}, False, False),
    (COOKIE, {"sec-fetch-site": "none", "origin": OWN}, True, False),
    (COOKIE, {"sec-fetch-site": "same-site", "origin": "http://app.example"}, False, False),  # it could plant a session
    (COOKIE, {"sec-fetch-site": "none", "origin": "null"}, True, False),
    # What is none of its words says nothing
    (COOKIE, {"sec-fetch-site": "same-origin, cross-site"}, True, False),
    (COOKIE, {"sec-fetch-site": "cross-site, same-origin", "origin": "https://evil.example"}, False, False),
    (COOKIE, {"sec-fetch-site": "Same-Origin"}, True, False),
    (COOKIE, {"sec-fetch-site": "", "origin": OWN}, True, True),
    (COOKIE, {"sec-fetch-site": "?", "origin": "https://evil.example"}, False, False),
    # Older browsers, and programs
    (COOKIE, {}, True, False),
    (COOKIE, {"origin": OWN}, True, True),
    (COOKIE, {"origin": OWN + ":80"}, True, True),
    (COOKIE, {"host": "api.example:80", "origin": OWN}, True, True),
    (COOKIE, {"host": "API.Example", "origin": OWN}, True, True),
    (COOKIE, {"origin": "HTTP://API.EXAMPLE"}, True, True),
    (COOKIE, {"host": "xn--bcher-kva.example", "origin": "http://xn--bcher-kva.example"}, True, True),
    (COOKIE, {"host": "[::1]:8888", "origin": "http://[::1]:8888"}, True, True),
    (COOKIE, {"host": "[::80]", "origin": "http://[::80]"}, True, True),
    (COOKIE, {"host": "[::80]", "origin": "http://[:"}, False, False),
    (COOKIE, {"host": "api.example:443", "origin": OWN}, False, False),
    (COOKIE, {"origin": "https://api.example"}, False, False),
    (COOKIE, {"origin": "https://api.example:80"}, False, False),
    (COOKIE, {"origin": OWN + ":8080"}, False, False),
    (COOKIE, {"origin": OWN + ":443"}, False, False),
    (COOKIE, {"origin": OWN + "/"}, False, False),
    (COOKIE, {"origin": OWN + "/api"}, False, False),
    (COOKIE, {"origin": OWN + "."}, False, False),
    (COOKIE, {"origin": OWN + ".evil.example"}, False, False),
    (COOKIE, {"origin": "http://u@api.example"}, False, False),
    (COOKIE, {"origin": "http://evil.example"}, False, False),
    (COOKIE, {"origin": "api.example"}, False, False),
    (COOKIE, {"origin": "http:"}, False, False),
    (COOKIE, {"origin": "://api.example"}, False, False),
    (COOKIE, {"origin": "null"}, False, False),
    (COOKIE, {"origin": ""}, False, False),
    (COOKIE, {"origin": OWN + ", " + OWN}, False, False),  # two fields
    (COOKIE, {"origin": OWN + " http://evil.example"}, False, False),
    (COOKIE, {"origin": "http://ap\u0131.example"}, False, False),
    # Pages that the operator names
    (NAMED, {"origin": "https://app.example"}, True, True),
    (NAMED, {"origin": "https://app.example", "sec-fetch-site": "same-site"}, True, True),
    (NAMED, {"origin": "https://app.example", "sec-fetch-site": "cross-site"}, True, True),
    (NAMED, {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "cross-site"}, True, True),
    (NAMED, {"origin": "https://app.example:443", "sec-fetch-site": "cross-site"}, False, False),
    (NAMED, {"origin": "https://app.example.evil.example", "sec-fetch-site": "cross-site"}, False, False),
    (NAMED, {"origin": "http://app.example"}, False, False),
    (NAMED, {"origin": "null", "sec-fetch-site": "cross-site"}, False, False),
    (NAMED, {"origin": OWN}, True, True),
    # `*` names nobody
    (COOKIE + "cors: {origins: '*'}\n", {"origin": "https://app.example"}, False, False),
    (COOKIE + "cors: {origins: '*'}\n", {"origin": "*"}, False, False),
    (COOKIE + "cors: {origins: '*'}\n", {"origin": "*", "sec-fetch-site": "cross-site"}, False, False),
    # Proxies
    (TRUSTING, {"origin": "https://login.example", **FORWARDED}, True, True),
    (TRUSTING, {"origin": "https://login.example:443", **FORWARDED}, True, True),
    (TRUSTING, {"origin": "https://login.example", **FORWARDED, "x-forwarded-host": "Login.Example:443"}, True, True),
    (TRUSTING, {"origin": "https://login.example", "x-forwarded-proto": "HTTPS, http",
                "x-forwarded-host": "login.example , inner:8080"}, True, True),
    (TRUSTING, {"origin": "https://inner:8080", "x-forwarded-proto": "https", "x-forwarded-host": "login.example, inner:8080"},
     False, False),
    (TRUSTING, {"origin": "http://login.example", **FORWARDED}, False, False),
    (TRUSTING, {"origin": OWN, **FORWARDED}, False, False),
    (TRUSTING, {"origin": "https://api.example", "x-forwarded-proto": "https"}, True, True),
    (TRUSTING, {"origin": "http://login.example", "x-forwarded-host": "login.example"}, True, True),
    (TRUSTING, {"origin": OWN, "x-forwarded-host": "", "x-forwarded-proto": ""}, True, True),
    (COOKIE, {"origin": "https://login.example", **FORWARDED}, False, False),  # nobody trusts who says so
    (COOKIE, {"origin": OWN, **FORWARDED}, True, True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fields", "logs_in", "uses_cookie"), SAID)
def test_who_is_served(tmp_path: Path, text: str, fields: dict[str, str], logs_in: bool, uses_cookie: bool) -> None:
    """A login is refused to what a foreign page has sent, and what goes by the cookie to all that no page of our own has."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, counter(tmp_path, text, faulty.url) as desk:
            token = await desk.log_in()
            told = {name: value.encode() for name, value in fields.items()}
            bearer = {"authorization": f"Bearer {token}".encode()}
            asked = len(faulty.requests)
            for answer in (
                await desk.ask("/getToken", told, b"{}"),
                await desk.ask("/refreshToken", told | bearer),
                await desk.ask("/refreshToken", told, b'{"token":"%b"}' % token.encode()),
                await desk.ask("/refreshToken", told, query=b"access_token=" + token.encode()),
                await desk.ask("/refreshToken", told | bearer | {"cookie": b"s=another"}),
            ):
                assert_served(answer, logs_in)
            assert len(faulty.requests) - asked == logs_in
            assert_served(await desk.ask("/refreshToken", {**told, "cookie": f"s={token}".encode()}), uses_cookie)
            for cookie in ({}, {"cookie": f"s={token}".encode()}, bearer):
                ended = await desk.ask("/refreshToken/end", told | cookie)
                if uses_cookie:
                    assert ended.status == 204
                else:
                    assert error_of(ended) == FOREIGN
                    assert b"set-cookie" not in ended.fields

    run(main())


def assert_served(answer: Any, is_served: bool) -> None:
    """Assert that a page has got a token, or nothing."""
    if is_served:
        assert token_of(answer)
        assert answer.fields[b"set-cookie"].startswith(b"s=ey")
    else:
        assert error_of(answer) == FOREIGN
        assert b"set-cookie" not in answer.fields


@pytest.mark.parametrize(
    ("peer", "fields", "is_own"),
    [
        (Peer("203.0.113.9", "https"), {"origin": "https://api.example"}, True),
        (Peer("203.0.113.9", "https"), {"origin": "http://api.example"}, False),
        (Peer("203.0.113.9", "https"), {"origin": "https://login.example", **FORWARDED}, False),
        (Peer("198.51.100.7", "http"), {"origin": "https://login.example", **FORWARDED}, True),
        (Peer(UNIX, "http"), {"origin": "https://login.example", **FORWARDED}, True),
    ],
)
def test_who_is_believed(tmp_path: Path, peer: Peer, fields: dict[str, str], is_own: bool) -> None:
    """The scheme is that of the connection, and what the proxy says is believed where it is trusted."""

    async def main() -> None:
        async with counter(tmp_path, TRUSTING) as desk:
            ended = await desk.ask("/refreshToken/end", dict(fields), peer=peer)
            assert ended.status == (204 if is_own else 403)

    run(main())


def test_no_page_is_foreign_without_a_cookie(tmp_path: Path) -> None:
    """Without a cookie nobody's browser has anything to give away: a page has the token that it sends."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, counter(tmp_path, "refresh: {}\n", faulty.url) as desk:
            foreign: dict[str, str | bytes] = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
            token = await desk.log_in(foreign)
            assert token_of(await desk.refresh(token, foreign))
            assert (await desk.ask("/refreshToken/end", {"sec-fetch-site": "same-origin"})).status == 404

    run(main())


def test_a_foreign_page_is_told_before_its_token_is_judged(tmp_path: Path) -> None:
    """A rejection says nothing of the token, and a request without one gets that reason."""

    async def main() -> None:
        async with counter(tmp_path, COOKIE) as desk:
            foreign: dict[str, str | bytes] = {"sec-fetch-site": "cross-site"}
            assert error_of(await desk.refresh("x", foreign)) == FOREIGN
            assert error_of(await desk.ask("/refreshToken", {**foreign, "cookie": "s=x"})) == FOREIGN
            assert error_of(await desk.ask("/refreshToken", foreign)) == (401, "no token present in request")
            assert error_of(await desk.ask("/refreshToken", {**foreign, "cookie": "t=x"}))[0] == 401

    run(main())


def test_the_login_is_refused_as_it_is(tmp_path: Path) -> None:
    """A guarded login waits as a login does, takes a body, and answers preflights of named pages with the lines of `cors`."""

    async def main() -> None:
        async with counter(tmp_path, NAMED) as desk:
            preflight = await desk.ask("/getToken", {"origin": "https://app.example"}, method="OPTIONS")
            assert preflight.fields[b"access-control-allow-methods"] == b"POST"
            refused = await desk.ask("/getToken", {"sec-fetch-site": "cross-site", "origin": "https://evil.example"})
            assert error_of(refused) == FOREIGN
            assert refused.fields[b"vary"] == b"Origin"
            assert waits(desk, "/getToken") == (True, True)
            assert waits(desk, "/refreshToken") == (True, True)
            assert waits(desk, "/refreshToken/end") == (False, True)

    run(main())


def waits(desk: Counter, path: str) -> tuple[bool, bool]:
    """Return whether the answer of a route comes later, and whether it wants the body."""
    head = desk.head(path)
    return desk.app.router.waits(head), desk.app.router.waits_for_body(head)
