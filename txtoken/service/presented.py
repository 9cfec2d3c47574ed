"""Finds a request's token: in header, query, body or cookie (contract §3.2). Knows no key, and judges no token.

The search is bounded: a body of 1 MiB without a token costs no more than a body that is one.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

from orjson import JSONDecodeError
from orjson import loads as read_json

from txtoken.http1.messages import Head, Request

NAMES: Final = (b"access_token", b"token")  # of a body's member, in search order
FIELDS_MAX: Final = 1000  # of a form or query that is searched
# A body contains a token and little else. A longer one is parsed only if it has few members: 1 MiB of the densest JSON takes 50
# ms to parse, one long text almost nothing.
DENSE_BODY_BYTES_MAX: Final = 64 * 1024
MARKS_MAX: Final = 4096  # brackets and commas of a longer body
# Percent signs of a form's value that is unescaped: 0.2 µs each. A token needs two, for its dots. With this many, every character
# of a token of 16 KiB may be escaped.
ESCAPES_MAX: Final = 16 * 1024
COOKIES_MAX: Final = 16  # with the configured name in one request
MARKERS_MAX: Final = 200  # these cookies, and others whose name or value ends with that name: 1 µs each
_BLANKS: Final = b" \t"
_QUOTE: Final = b'"'
_DOUBTFUL: Final = b","  # makes a token invalid


def presented_token(request: Request, cookie: bytes = b"") -> bytes:
    """Find the token that a client presents, in the contract's order (§3.2). Empty: none. `cookie` is the name of the cookie that
    may contain it.
    """
    head = request.head
    token = head.token
    if not token and head.query:
        token = query_token(head)
    if not token and request.body and head.method == b"POST":
        token = _body_token(request)
    if not token and cookie:
        token = cookie_token(head, cookie)
    return token


def query_token(head: Head) -> bytes:
    """Find the token in a request's query. Empty: none."""
    return _form_member(head.query, NAMES[0])


def cookie_token(head: Head, name: bytes) -> bytes:
    """Find the value of the cookie with this name (RFC 6265 §4.2.1), without quotes around it. Empty: none.

    If two have different values, one may come from another host of the domain (RFC 6265 §8.6), and nothing shows which. Then
    there is no token, as with two Authorization fields.
    """
    field = head.fields.get(b"cookie")
    if field is None:
        return b""
    found = b""
    marker = name + b"="
    at, count = field.find(marker), 0
    for _ in range(MARKERS_MAX):
        if at < 0:
            return found
        begins = at + len(marker)
        end = field.find(b";", begins)
        if end < 0:
            end = len(field)
        # It is not the end of another name, and not inside a value.
        if not field[field.rfind(b";", 0, at) + 1 : at].strip(_BLANKS):
            count += 1
            if count > COOKIES_MAX:
                break
            value = field[begins:end].strip(_BLANKS)
            if len(value) > 1 and value.startswith(_QUOTE) and value.endswith(_QUOTE):
                value = value[1:-1]
            if value and value != found:
                if found:
                    return found + _DOUBTFUL + value
                found = value
        at = field.find(marker, end)
    return _DOUBTFUL  # no real request has so many


def _body_token(request: Request) -> bytes:
    body = request.body
    if body[:64].lstrip(b" \t\r\n")[:1] == b"{":
        return _json_token(body)  # whatever its content type says: curl -d calls it a form
    media_type = request.head.fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type == b"application/x-www-form-urlencoded":
        return _form_member(body, NAMES[0]) or _form_member(body, NAMES[1])
    return _json_token(body)


def _json_token(body: bytes) -> bytes:
    if len(body) > DENSE_BODY_BYTES_MAX and body.count(b",") + body.count(b"[") + body.count(b"{") > MARKS_MAX:
        return b""
    try:
        members = read_json(body)
    except JSONDecodeError:
        return b""
    if isinstance(members, dict):
        for name in NAMES:
            value = members.get(name.decode())
            if isinstance(value, str) and value:
                return value.encode()
    return b""


def _form_member(text: bytes, name: bytes) -> bytes:
    """Return the first value of this name in form-encoded text (a query or a body) that is not empty."""
    # `count` and `split` look at each byte on its own: together 70 µs of 64 KiB.
    is_one = text.find(b"&") < 0
    if name not in text or (not is_one and text.count(b"&") >= FIELDS_MAX):
        return b""  # 5 000 other parameters are not worth parsing
    longest = 3 * len(name)  # with each of its characters escaped
    for field in (text,) if is_one else text.split(b"&"):
        key, _, value = field.partition(b"=")
        if value and len(key) <= longest and _unescaped(key) == name:
            return _unescaped(value)
    return b""


def _unescaped(text: bytes) -> bytes:
    if text.find(b"%") < 0:
        return text.replace(b"+", b" ")
    if text.count(b"%") > ESCAPES_MAX:
        return text  # not a token: unchanged it is malformed, or has no segments
    return unquote_to_bytes(text.replace(b"+", b" "))
