"""Where a token stands: the cookie (contract §3.2, §3.6). The other places are tested with the route that reads them all."""

from __future__ import annotations

from typing import Final

import pytest

from tests.costs import cost_s
from tests.service.handlers.desk import request
from txtoken.service.presented import COOKIES_MAX, MARKERS_MAX, cookie_token, presented_token

NAME: Final = b"session"


def found(field: bytes, name: bytes = NAME) -> bytes:
    """Look for the cookie in a field of this value."""
    return cookie_token(request(b"", method=b"GET", fields={b"cookie": field}).head, name)


@pytest.mark.parametrize(
    ("field", "token"),
    [
        (b"session=a.b.c", b"a.b.c"),
        (b"x=1; session=a.b.c", b"a.b.c"),
        (b"x=1;session=a.b.c;y=2", b"a.b.c"),
        (b"x=1;  \t session=a.b.c  ; y=2", b"a.b.c"),
        (b'session="a.b.c"', b"a.b.c"),
        (b'session="', b'"'),
        (b'session=""', b""),
        (b"session=", b""),
        (b"session", b""),
        (b"", b""),
        (b"Session=a.b.c", b""),
        (b"xsession=a.b.c", b""),
        (b"x-session=a.b.c; sessions=d", b""),
        (b"x=session=a.b.c", b""),
        (b"x=a session=a.b.c", b""),
        (b"x=a" + b" " * 40 + b"session=a.b.c", b""),
        (b"x=a;" + b" " * 40 + b"session=a.b.c", b"a.b.c"),
        (b" " * 40 + b"session=a.b.c", b"a.b.c"),
        (b"session=a.b.c; session=", b"a.b.c"),
        (b"x=session=wrong; session=a.b.c", b"a.b.c"),
        (b"session=a=b", b"a=b"),
        (b"session=; session=a.b.c", b"a.b.c"),
        (b"session=a.b.c; session=a.b.c", b"a.b.c"),
        (b'session=a.b.c; session="a.b.c"', b"a.b.c"),
        (b"session=a.b.c; Path=/; HttpOnly", b"a.b.c"),
        (b'$Version="1"; session=a.b.c; $Path="/"', b"a.b.c"),
    ],
)
def test_cookies(field: bytes, token: bytes) -> None:
    """The value of the cookie of that name, to the letter, is the token; nothing else is."""
    assert found(field) == token


def test_two_different_ones_are_none() -> None:
    """Of two cookies with the name and different values neither is a token, in whatever order they come."""
    for field in (b"session=a.b.c; session=d.e.f", b"session=d.e.f; x=y; session=a.b.c"):
        assert found(field) in (b"a.b.c,d.e.f", b"d.e.f,a.b.c")
    assert found(b"session=x; " * (COOKIES_MAX - 1) + b"session=x") == b"x"
    assert found(b"session=x; " * COOKIES_MAX + b"session=x") == b","


def test_other_names_are_not_counted() -> None:
    """Cookies whose name or value only ends like ours do not keep ours from being found, up to far more than there are."""
    assert found(b"a_session=x; " * 150 + b"session=a.b.c") == b"a.b.c"
    assert found(b"a_session=x; " * MARKERS_MAX + b"session=a.b.c") == b","


def test_no_field_is_slow_to_look_through() -> None:
    """A field of 64 KiB takes 0.3 ms at most, whatever it repeats."""
    for piece in (
        b"session=",
        b"session=;",
        b"session=a;",
        b"x=y;",
        b";",
        b" ",
        b" session=",
        b"xsession=a; ",
        b" " * 40 + b"session=a",
    ):
        field = piece * (65_536 // len(piece))
        asked = request(b"", method=b"GET", fields={b"cookie": field}).head
        assert cost_s(lambda asked=asked: cookie_token(asked, NAME)) < 0.0003, piece  # type: ignore[misc]


def test_the_order_of_places() -> None:
    """The header decides before the query, and that before the cookie, whether what stands there is good or not."""
    fields = {b"authorization": b"Bearer header", b"cookie": b"session=cookie"}
    query = b"access_token=query"
    assert presented_token(request(b"", method=b"GET", fields=fields, query=query), NAME) == b"header"
    del fields[b"authorization"]
    assert presented_token(request(b"", method=b"GET", fields=fields, query=query), NAME) == b"query"
    assert presented_token(request(b"", method=b"GET", fields=fields), NAME) == b"cookie"
    assert presented_token(request(b"token=body", fields=fields), NAME) == b"cookie"
    body = {**fields, b"content-type": b"application/x-www-form-urlencoded"}
    assert presented_token(request(b"token=body", fields=body), NAME) == b"body"
    assert presented_token(request(b"", method=b"GET", fields=fields)) == b""
