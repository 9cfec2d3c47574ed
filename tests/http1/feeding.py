"""Feeds a parser as a connection does that has no others to wait for: a long chunked body is read in parts."""

from __future__ import annotations

from txtoken.http1.messages import Request
from txtoken.http1.parser import RequestParser


def feed(parser: RequestParser, data: bytes) -> Request | None:
    """Feed bytes. Returns the next complete request, None where it is not all here."""
    parser.hold(data)
    return next_request(parser)


def next_request(parser: RequestParser) -> Request | None:
    """Return the next complete request among what was fed, None where it is not all here."""
    request = parser.next_request()
    while request is None and parser.has_more:
        request = parser.next_request()
    return request
