"""Which request goes to whom, and what those get that go to nobody (contract §3.4)."""

from __future__ import annotations

import json

import pytest

from tests.service.listener import Listener
from txtoken.errors import ProtocolError
from txtoken.http1.messages import Handler, Head, Request, Response, render, response_head
from txtoken.service.handlers.fixed import Fixed
from txtoken.service.routes import Routes

GET = Fixed(Response(200, response_head(200), b'"get"'))
POST = Fixed(Response(200, response_head(200), b'"post"'))
BOTH = Fixed(Response(200, response_head(200), b'"both"'))
TABLE: dict[str, dict[str, Handler]] = {
    "/livez": {"GET": GET},
    "/getToken": {"POST": POST},
    "/checkToken": {"GET": BOTH, "POST": BOTH},
}


def routes(crashes: list[Exception] | None = None) -> Routes:
    """Make a table of routes."""
    return Routes(TABLE, ([] if crashes is None else crashes).append)


def head(method: str, path: str) -> Head:
    """Make a request's head."""
    return Head(
        method.encode(),
        path.encode(),
        b"",
        {},
        minor_version=1,
        keep_alive=True,
        content_length=0,
        expects_continue=False,
    )


def answered(method: str, path: str) -> Response:
    """Return the answer of the handler."""
    client = Listener()
    request = head(method, path)
    assert routes().find(request).handle(Request(request, b""), client) is None
    (response,) = client.told
    return response


@pytest.mark.parametrize(
    ("method", "path", "handler"),
    [
        ("GET", "/livez", GET),
        ("HEAD", "/livez", GET),
        ("POST", "/getToken", POST),
        ("GET", "/checkToken", BOTH),
        ("HEAD", "/checkToken", BOTH),
        ("POST", "/checkToken", BOTH),
    ],
)
def test_found(method: str, path: str, handler: Handler) -> None:
    """A known path with its method finds its handler, and HEAD finds that of GET."""
    assert routes().find(head(method, path)) is handler


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/livez", b"GET, HEAD"),
        ("OPTIONS", "/livez", b"GET, HEAD"),
        ("GET", "/getToken", b"POST"),
        ("HEAD", "/getToken", b"POST"),
        ("PUT", "/getToken", b"POST"),
        ("DELETE", "/checkToken", b"GET, HEAD, POST"),
        ("get", "/checkToken", b"GET, HEAD, POST"),
    ],
)
def test_another_method(method: str, path: str, allow: bytes) -> None:
    """A known path with another method is 405 with `Allow` (RFC 9110 §15.5.6), never another route's answer."""
    response = answered(method, path)
    assert response.status == 405
    lines = response.head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 405 Method Not Allowed"
    assert b"Allow: " + allow in lines
    assert b"Cache-Control: no-store" in lines
    assert json.loads(response.body) == {"error": "this path does not take this method"}


@pytest.mark.parametrize(
    "path",
    ["/", "", "*", "/gettoken", "/getToken/", "/getToken/x", "/getToke", "//getToken", "/getToken%20", "/..", "/\xe4"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "BREW"])
def test_another_path(method: str, path: str) -> None:
    """A path is compared byte for byte: any other one is 404 with a JSON body, whatever the method."""
    response = answered(method, path)
    assert response.status == 404
    assert response.error == "not_found"
    assert b"Content-Type: application/json; charset=utf-8" in response.head
    assert b"Cache-Control: no-store" in response.head
    assert json.loads(response.body) == {"error": "there is nothing at this path"}


def test_refusals() -> None:
    """What is no request that we serve gets the status and the text of its error, one answer for each."""
    table = routes()
    first = table.refusal(ProtocolError(431, "head", 'too "large"'))
    assert (first.status, first.error, json.loads(first.body)) == (431, "head", {"error": 'too "large"'})
    assert first.head.startswith(b"HTTP/1.1 431 ")
    assert b"Cache-Control: no-store" in first.head
    assert table.refusal(ProtocolError(431, "head", 'too "large"')) is first
    for other in (ProtocolError(431, "head", "b"), ProtocolError(400, "head", 'too "large"')):
        assert json.loads(table.refusal(other).body) == {"error": other.public}
        assert table.refusal(other).status == other.status


def test_failures() -> None:
    """A fault of this program is noted, and its text is not shown to the client."""
    crashes: list[Exception] = []
    error = RuntimeError("a secret")
    response = routes(crashes).failure(error)
    assert crashes == [error]
    assert response.status == 500
    assert b"secret" not in render(response, b"")
