"""Forward authentication on the service's own port (contract §3.5), on real sockets, read by h11. Real proxies have their own
tests.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import jwt
import pytest

from tests.configuring import changed
from tests.exchange import House
from tests.http1.loopback import Answer
from tests.running import run
from tests.service.test_routes import head
from tests.serving import Served, configuration, serving
from txtoken.demo.configuration import demo_config
from txtoken.errors import ProtocolError
from txtoken.settings import ForwardAuthSettings, LogSettings

KEY: Final = "sesame-0123456789-abcdefghijklmnop"
ROUTES: Final = """
cookie: {name: __Host-session}
forwardAuth:
  - route: /fa
    headers: {X-Auth-Request-User: /data/id}
  - route: /fax-admin
    headers: {X-Auth-Request-User: /data/id}
    require: {/data/groups: [admin]}
"""
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND")


def token(**data: object) -> str:
    """Sign a token for Ada."""
    return jwt.encode({"data": {"id": "ada", **data}, "exp": time.time() + 60}, KEY, "HS256")


def bearer(**data: object) -> str:
    """Write the header line of a token."""
    return f"Authorization: Bearer {token(**data)}"


def asked(folder: Path, *requests: tuple[str, ...], text: str = ROUTES) -> list[Answer]:
    """Ask one question after the other: method, path and header lines."""

    async def main() -> list[Answer]:
        async with serving(configuration(folder, text)) as served:
            return [await served.ask(*question) for question in requests]

    return run(main())


def test_every_method_is_a_question(tmp_path: Path) -> None:
    """By any method the token decides, and nothing else."""
    for answer in asked(tmp_path, *((method, "/fa", bearer()) for method in METHODS)):
        assert (answer.status, answer.body) == (200, b"")
        assert answer.fields[b"content-length"] == b"0"
        assert answer.fields[b"x-auth-request-user"] == b"ada"
        assert b"content-type" not in answer.fields
    assert {answer.status for answer in asked(tmp_path, *((method, "/fa") for method in METHODS))} == {401}


@pytest.mark.parametrize(
    "path",
    [
        "/fa",
        "/fa?",
        "/fa?x=/getToken",
        "/fa/",
        "/fa//",
        "/fa/livez",
        "/fa/../livez",
        "/fa/%2e%2e/livez",
        "/fa/a;b?c",
        "/fa/\\x",
        "/fa/fa",
    ],
)
def test_what_is_below_the_route(tmp_path: Path, path: str) -> None:
    """The route goes on with its end, `/` or `?`, and what follows is not looked at."""
    for method in ("GET", "POST"):
        good, bad = asked(tmp_path, (method, path, bearer()), (method, path))
        assert (good.status, bad.status) == (200, 401)


@pytest.mark.parametrize("path", ["/fax", "/f", "/", "//fa", "/%66a", "/Fa", "/x/fa", "/fa%2Fx", "/fa;x", "/./fa"])
def test_what_is_not(tmp_path: Path, path: str) -> None:
    """Nothing is decoded or normalised: what only looks like the route is not it."""
    (answer,) = asked(tmp_path, ("GET", path, bearer()))
    assert answer.status == 404


def test_each_route_decides_for_itself(tmp_path: Path) -> None:
    """Of two routes each has its own rules, at it and below it."""
    paths = ("/fax-admin", "/fax-admin/x", "/fa", "/fa/fax-admin")
    statuses = [answer.status for answer in asked(tmp_path, *(("GET", path, bearer()) for path in paths))]
    assert statuses == [403, 403, 200, 200]
    admin = bearer(groups=["admin"])
    assert {answer.status for answer in asked(tmp_path, *(("GET", path, admin) for path in paths))} == {200}


def test_the_cookie(tmp_path: Path) -> None:
    """The configured cookie holds a token for the routes of proxies and for the check route; another cookie does not."""
    good = f"Cookie: a=b; __Host-session={token()}; c=d"
    other = f"Cookie: session={token()}"
    for path in ("/fa", "/checkToken"):
        answers = asked(
            tmp_path, ("GET", path, good), ("GET", path, other), ("GET", path, good, "Authorization: Bearer x")
        )
        assert [answer.status for answer in answers] == [200, 401, 401]


def test_two_authorization_fields(tmp_path: Path) -> None:
    """Two Authorization fields are 401, were they the same."""
    line = bearer()
    assert [
        answer.status for answer in asked(tmp_path, ("GET", "/fa", line, line), ("GET", "/fa", line, "Authorization:"))
    ] == [401, 401]


def test_a_body_that_never_comes(tmp_path: Path) -> None:
    """The answer comes at the end of the head, whatever is announced: nginx announces its client's body and sends none. The
    connection ends, so that the next request is not taken for the body.
    """

    async def main() -> None:
        async with serving(configuration(tmp_path, ROUTES)) as served:
            for announced in (
                "Content-Length: 10",
                "Content-Length: 99999999",
                "Transfer-Encoding: chunked",
                "Expect: 100-continue\r\nContent-Length: 5",
            ):
                for method in ("GET", "POST", "PUT"):
                    client = await served.client()
                    await client.send(f"{method} /fa HTTP/1.1\r\nHost: a\r\n{bearer()}\r\n{announced}\r\n\r\n".encode())
                    (answer,) = await client.answers(1)
                    assert (answer.status, answer.fields.get(b"connection")) == (200, b"close")
                    await client.send(b"GET /fa HTTP/1.1\r\nHost: a\r\n\r\n")
                    assert not await client.to_the_end()
                    client.sock.close()

    run(main())


def test_cors_does_not_apply(tmp_path: Path) -> None:
    """With `cors` a preflight is a question like any other, and no answer speaks of origins; other routes are as they were."""
    page = "Origin: https://app.example"
    text = f"{ROUTES}\ncors: {{origins: [https://app.example]}}"
    preflight = ("OPTIONS", "/fa", page, "Access-Control-Request-Method: POST")
    refused, passed, plain, check = asked(
        tmp_path, preflight, (*preflight, bearer()), ("GET", "/fa/x", page), ("OPTIONS", "/checkToken", page), text=text
    )
    assert (refused.status, passed.status, plain.status, check.status) == (401, 200, 401, 200)
    for answer in (refused, passed, plain):
        assert not [name for name in answer.fields if name.startswith(b"access-control") or name == b"vary"]
    assert b"access-control-allow-methods" in check.fields


def test_the_access_line(tmp_path: Path) -> None:
    """Of a path below the route the log shows the route alone: the rest is another service's, and may hold its secrets."""

    async def main() -> list[str]:
        async with serving(configuration(tmp_path, ROUTES)) as served:
            for path in ("/fa/reset/secret-0123?code=secret", "/fa", "/fax-admin/x", "/fax/y"):
                await served.ask("GET", path, bearer())
            return [json.loads(line)["path"] for line in served.access_lines()]

    assert run(main()) == ["/fa/*", "/fa", "/fax-admin/*", "/fax/y"]


def test_metrics(tmp_path: Path) -> None:
    """What is at and below the routes is counted as forward authentication, OPTIONS too; denials are counted by their reason."""
    config = changed(demo_config(0, "http://127.0.0.1:9/login", LogSettings(access=False)), process__admin_port=0)
    route = ForwardAuthSettings("/fa", require=(("/data/id", (b'"ada"',)),))

    async def main() -> str:
        house = House(changed(config, forward_auth=(route,)))
        key = house.worker._app.config.keys.secret
        assert key is not None
        good, bad = (
            jwt.encode({"data": {"id": who}, "exp": time.time() + 60}, key.reveal(), "HS256") for who in ("ada", "eve")
        )
        for method, path, text in (
            *(
                ("GET", "/fa", good),
                ("OPTIONS", "/fa/x", good),
                ("POST", "/fa/y?z", bad),
                ("GET", "/fa", ""),
                ("GET", "/fax", good),
            ),
        ):
            house.client.data_received(
                f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {text}\r\nContent-Length: 0\r\n\r\n".encode()
            )
        assert house.worker.admin is not None
        text = house.worker.admin._show().decode()
        await house.close()
        return text

    text = run(main())
    for line in (
        'requests_total{route="forward_auth",status="200"} 2.0',
        'requests_total{route="forward_auth",status="403"} 1.0',
        'requests_total{route="forward_auth",status="401"} 1.0',
        'requests_total{route="other",status="404"} 1.0',
        'tokens_checked_total{result="valid"} 2.0',
        'tokens_checked_total{result="forbidden"} 1.0',
        'tokens_checked_total{result="no_token"} 1.0',
        'request_duration_seconds_count{route="forward_auth"} 4.0',
    ):
        assert f"txtoken_{line}" in text


def test_want_of_room_is_no_5xx(tmp_path: Path) -> None:
    """A question for which there is no room is 403, as is one that had not arrived whole; other routes' requests are 503."""

    async def main() -> None:
        house = House(configuration(tmp_path, ROUTES))
        router = house.worker._app.router
        full = ProtocolError(503, "buffered_bytes", "the service holds too much for its clients")
        for path, status in (("/fa", 403), ("/fa/x", 403), ("/checkToken", 503), ("/fax", 503)):
            assert router.refusal(full, head("GET", path)).status == status
        assert b"Retry-After: 1" in router.refusal(full, head("GET", "/fa")).head
        for status in (431, 501, 505):  # which no proxy makes of its client's requests
            assert router.refusal(ProtocolError(status, "any", "any")).status == status
        await house.close()
        plain = House(configuration(tmp_path))
        assert plain.worker._app.router.refusal(full).status == 503
        await plain.close()

    run(main())


async def statuses(served: Served, *lines: str) -> set[int]:
    """Ask some times, and return what was answered."""
    return {(await served.ask("GET", "/fa", *lines)).status for _ in range(4)}


def test_a_reload_forgets_verdicts(tmp_path: Path) -> None:
    """What a route requires and sends by another configuration holds from the next question on, for remembered tokens too."""

    async def main() -> None:
        async with serving(configuration(tmp_path, ROUTES)) as served:
            line = bearer()
            assert await statuses(served, line) == {200}
            served.worker.take_over(
                configuration(tmp_path, ROUTES.replace("/data/id}\n", "/data/id}\n    require: {/data/x: 1}\n", 1))
            )
            assert await statuses(served, line) == {403}
            served.worker.take_over(configuration(tmp_path, ROUTES.replace("/data/id", "/data/none")))
            assert (await served.ask("GET", "/fa", line)).fields[b"x-auth-request-user"] == b""
            served.worker.take_over(configuration(tmp_path, ROUTES.replace("__Host-session", "other")))
            assert (await served.ask("GET", "/fa", f"Cookie: other={token()}")).status == 200
            served.worker.take_over(configuration(tmp_path))
            assert await statuses(served, line) == {404}

    run(main())
