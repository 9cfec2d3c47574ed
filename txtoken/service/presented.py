"""Where a request's token stands: header, query, body (contract §3.2). Knows no key, and judges no token.

What a client sends here is looked at within bounds: a body of 1 MiB in which nothing is a token costs no more than one that is.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

from orjson import JSONDecodeError
from orjson import loads as read_json

from txtoken.http1.messages import Request

NAMES: Final = (b"access_token", b"token")  # of a body's member, in the order in which they are looked for
FIELDS_MAX: Final = 1000  # of a form or query that is searched
# A body holds a token and little beside it. A longer one is read only where it has few members: 1 MiB of the densest JSON takes
# 50 ms to parse, one long text in it next to nothing.
DENSE_BODY_BYTES_MAX: Final = 64 * 1024
MARKS_MAX: Final = 4096  # brackets and commas of a longer body
# Percent signs of a form's value that is unescaped: 0.2 µs each. A token needs two, for its dots; with as many every character
# of one of 16 KiB may be escaped.
ESCAPES_MAX: Final = 16 * 1024


def presented_token(request: Request) -> bytes:
    """Find the token that a client presents, in the contract's order (§3.2). Empty when there is none."""
    head = request.head
    token = head.token
    if not token and head.query:
        token = _form_member(head.query, NAMES[0])
    if not token and request.body and head.method == b"POST":
        token = _body_token(request)
    return token


def _body_token(request: Request) -> bytes:
    body = request.body
    if body[:64].lstrip(b" \t\r\n")[:1] == b"{":
        return _json_token(body)  # whatever its type says: curl -d says that it is a form
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
    if name not in text or text.count(b"&") >= FIELDS_MAX:
        return b""  # 5 000 parameters of something else are not worth taking apart
    longest = 3 * len(name)  # with each of its characters escaped
    for field in text.split(b"&"):
        key, _, value = field.partition(b"=")
        if value and len(key) <= longest and _unescaped(key) == name:
            return _unescaped(value)
    return b""


def _unescaped(text: bytes) -> bytes:
    if text.count(b"%") > ESCAPES_MAX:
        return text  # no token: as it stands it is malformed, or has no segments
    return unquote_to_bytes(text.replace(b"+", b" "))
