"""Responses as bytes, read by h11: an independent judge of status, fields, body and where each of them ends."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import h11
import pytest

from txtoken.http1.messages import (
    CLOSE_LINE,
    CONTINUE,
    KEEP_ALIVE_LINE,
    WRITTEN_LENGTHS,
    Head,
    Response,
    UnloggedResponse,
    render,
    response_head,
)

DATE: Final = b"Date: Tue, 24 Nov 2026 01:50:38 GMT\r\n"
BODIES: Final = {
    "empty": b"",
    "json": b'{"a":1}',
    "empty-lines": b"\r\n\r\n",
    "like-a-head": b"HTTP/1.1 200 OK\r\n\r\n",
    # The last lines of heads are written beforehand up to this length.
    **{f"{length}": b"x" * length for length in (WRITTEN_LENGTHS - 1, WRITTEN_LENGTHS, WRITTEN_LENGTHS + 1)},
}


def reader_of(data: bytes, method: str) -> h11.Connection:
    """Make a client that sent a request with this method and received `data`."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("Host", "a.example")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    return reader


def read(data: bytes, method: str = "GET") -> tuple[h11.Response, bytes, h11.Connection]:
    """Read one complete response and its body."""
    reader = reader_of(data, method)
    response = reader.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(event := reader.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return response, body, reader


def answer(body: bytes, *lines: bytes, status: int = 200) -> Response:
    """Make a response as handlers do."""
    return Response(status, response_head(status, *lines), body)


@pytest.mark.parametrize("status", [200, 400, 401, 404, 405, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504, 505])
def test_status(status: int) -> None:
    """A status line does not say the status, or not with its registered phrase."""
    response, _, _ = read(render(answer(b"{}", status=status), DATE))
    assert (response.status_code, response.reason.decode()) == (status, HTTPStatus(status).phrase)
    assert response.http_version == b"1.1"


@pytest.mark.parametrize("name", BODIES)
def test_body(name: str) -> None:
    """A body is not delivered to the byte, or its length is announced wrongly."""
    body = BODIES[name]
    response, seen, reader = read(render(answer(body), DATE) + b"following")
    assert seen == body
    assert dict(response.headers)[b"content-length"] == b"%d" % len(body)
    assert reader.trailing_data[0] == b"following"


def test_fields() -> None:
    """A field of the ready-made head, or the Date, is lost, repeated or changed."""
    response, _, _ = read(render(answer(b"{}", b"Cache-Control: no-store", b"Allow: GET, HEAD"), DATE))
    assert sorted(response.headers.raw_items()) == [
        (b"Allow", b"GET, HEAD"),
        (b"Cache-Control", b"no-store"),
        (b"Content-Length", b"2"),
        (b"Content-Type", b"application/json; charset=utf-8"),
        (b"Date", b"Tue, 24 Nov 2026 01:50:38 GMT"),
    ]


def test_content_type() -> None:
    """A response whose body is no JSON is announced as JSON, or with two types."""
    head = response_head(200, content_type=b"text/plain")
    response, _, _ = read(render(Response(200, head, b"ok"), DATE))
    assert [value for name, value in response.headers if name == b"content-type"] == [b"text/plain"]


def test_no_content_type() -> None:
    """A response without content is announced with a type."""
    response, body, _ = read(render(Response(200, response_head(200, b"Allow: GET", content_type=b""), b""), DATE))
    assert body == b""
    assert [name for name, _ in response.headers] == [b"allow", b"date", b"content-length"]


def test_a_status_without_a_phrase() -> None:
    """A status that has no registered phrase cannot be written, or not so that it can be read."""
    response, _, _ = read(render(answer(b"{}", status=520), DATE))
    assert (response.status_code, response.reason) == (520, b"")


@pytest.mark.parametrize("kind", [Response, UnloggedResponse])
def test_with_lines(kind: type[Response]) -> None:
    """More lines change the response that they were added to, or lose something of it."""
    before = kind(502, response_head(502), b"{}", error="timeout", remote_s=0.25)
    after = before.with_lines(b"Vary: Origin\r\nX-A: b\r\n")
    assert before.head == response_head(502)
    assert type(after) is kind
    assert (after.status, after.error, after.remote_s) == (502, "timeout", 0.25)
    response, body, _ = read(render(after, DATE))
    assert body == b"{}"
    assert (b"vary", b"Origin") in response.headers
    assert (b"x-a", b"b") in response.headers


@pytest.mark.parametrize("name", BODIES)
def test_head(name: str) -> None:
    """The answer to HEAD has a body, or another head than the answer to GET."""
    with_body = render(answer(BODIES[name]), DATE)
    without = render(answer(BODIES[name]), DATE, with_body=False)
    assert without + BODIES[name] == with_body
    response, body, _ = read(without, "HEAD")
    assert (response.status_code, body) == (200, b"")


@pytest.mark.parametrize(
    ("line", "value", "kept"),
    [(b"", None, True), (CLOSE_LINE, b"close", False), (KEEP_ALIVE_LINE, b"keep-alive", True)],
    ids=["none", "close", "keep-alive"],
)
def test_connection_line(line: bytes, value: bytes | None, kept: bool) -> None:
    """A client takes the connection to be over when it is not, or to go on when it is over."""
    response, _, reader = read(render(answer(b"{}"), DATE, line))
    assert dict(response.headers).get(b"connection") == value
    assert (reader.their_state is h11.DONE) is kept
    assert (reader.their_state is h11.MUST_CLOSE) is not kept


def test_continue() -> None:
    """A client that waits for `100 Continue` does not understand ours, or takes it for the answer."""
    reader = reader_of(CONTINUE + render(answer(b"{}"), DATE), "POST")
    interim = reader.next_event()
    assert isinstance(interim, h11.InformationalResponse)
    assert interim.status_code == 100
    assert isinstance(reader.next_event(), h11.Response)


def test_what_the_access_log_reads() -> None:
    """A response forgets its error code or how long the remote took."""
    response = Response(502, response_head(502), b"{}", error="timeout", remote_s=0.25)
    assert (response.status, response.error, response.remote_s) == (502, "timeout", 0.25)
    plain = answer(b"{}")
    assert (plain.error, plain.remote_s) == (None, None)


@pytest.mark.parametrize(
    ("field", "token"),
    [
        *[(b"Bearer x", b"x"), (b"BEARER  x ", b"x"), (b"x", b"x"), (b"Bearerx", b"Bearerx"), (b"Basic x", b"Basic x")],
        *[(b"Bearer", b""), (b"bearer ", b""), (b"", b""), (None, b"")],
    ],
)
def test_the_token_of_a_head(field: bytes | None, token: bytes) -> None:
    """The scheme is taken off in any case, once and only with the space behind it; or another head's token is kept."""
    fields = {} if field is None else {b"authorization": field}
    head = Head(b"GET", b"/", b"", fields, minor_version=1, keep_alive=True, content_length=0, expects_continue=False)
    assert head.token == token
    assert head.with_authorization(b"Bearer y").token == b"y"
