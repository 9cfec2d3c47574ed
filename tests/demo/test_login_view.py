"""What the page shows of a login: what the login API got, but no token and no password."""

from __future__ import annotations

import json

import jwt
import pytest

from txtoken.demo.login_api import Login
from txtoken.demo.login_view import view
from txtoken.service.tokens.segments import encode_segment

TOKEN = jwt.encode({"data": {"service": "demo"}, "exp": 4_000_000_000}, "k" * 32)
GOOD = b'{"user":"ada","password":"engine"}'


def test_a_login() -> None:
    """The event has the request and the reply; of the bearer what it says, and not itself."""
    fields = ((b"Host", b"a:1"), (b"Authorization", f"Bearer {TOKEN}".encode()), (b"X-Request-Id", b"page-1"))
    found = view(Login(fields, GOOD))
    assert found["kind"] == "login"
    assert found["id"] == "page-1"
    assert found["fields"][0] == ["Host", "a:1"]
    assert found["bearer"]["claims"] == {"data": {"service": "demo"}, "exp": 4_000_000_000}
    assert found["status"] == 200
    assert json.loads(found["reply"])["name"] == "Ada Lovelace"
    text = json.dumps(found)
    assert TOKEN.rpartition(".")[2] not in text
    assert "engine" not in text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON with a secret-1",
        b"[1]",
        b'{"user":"ada","password":"secret-1"}',
        b'{"password":["secret-1"]}',
        b'{"password":"a","password":"secret-1"}',
        b'{"user":"' + b"x" * 100_000 + b'","password":"secret-1"}',
        b'{"user":"\xff","password":"secret-1"}',
        b"[" * 100_000,
        b"[" * 400 + b"]" * 400,
    ],
)
def test_any_body(body: bytes) -> None:
    """Whatever a client sends is refused, and what is shown of it is short and has no password in it."""
    login = Login(((b"Authorization", b"Bearer a.b.c"),), body)
    found = view(login)
    assert login.status in (400, 401)
    assert found["bearer"] is None
    assert "secret-1" not in json.dumps(found)
    assert len(json.dumps(found)) < 4000


def test_a_bearer_that_is_nested_deeply() -> None:
    """It is no bearer of the service, and shown as none."""
    nested = encode_segment(b"[" * 400 + b"]" * 400).decode()
    assert view(Login(((b"Authorization", f"Bearer {nested}.{nested}.x".encode()),), GOOD))["bearer"] is None


def test_many_fields() -> None:
    """Of many and of long header fields some are shown."""
    found = view(Login(tuple((b"X-%d" % number, b"x" * 1000) for number in range(200)), GOOD))
    assert len(json.dumps(found)) < 10_000
