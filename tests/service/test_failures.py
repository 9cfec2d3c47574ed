"""What a client gets for each thing that a remote can do (contract §3.3), by each kind of map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, Final

import pytest

from txtoken.errors import (
    RemoteError,
    RemoteInvalid,
    RemoteOverloaded,
    RemoteStatus,
    RemoteTimeout,
    RemoteTruncated,
    RemoteUnreachable,
)
from txtoken.http1.messages import Response
from txtoken.service.failures import (
    PASSED_BODY_BYTES_MAX,
    RETRY_AFTER_S_MAX,
    STATUSES,
    Failures,
    retry_after_s,
)

NOW_S: Final = 1_795_617_000
UNREACHABLE: Final = RemoteUnreachable("refused", "the remote refused the connection")
TIMEOUT: Final = RemoteTimeout("timeout", "the remote did not answer in time")
CUT: Final = RemoteTruncated("truncated", "the reply was cut short")
INVALID: Final = RemoteInvalid("bad_json", "not JSON")
OVERLOADED: Final = RemoteOverloaded("overloaded", "too many requests are waiting for the remote")
OWN: Final = {"401": "pass", "404": "422", "4xx": "400", "5xx": "pass", "timeout": "503", "invalid": "599"}


def answer(error: RemoteError, status_map: str | Mapping[str, str] = "original", **passing: bool) -> Response:
    """Return the answer to a failure."""
    return Failures(status_map, passes_bodies=passing.get("passes_bodies", False)).answer(error, NOW_S, 0.5)


def lines(response: Response) -> list[bytes]:
    """Take a response's head apart."""
    return response.head.split(b"\r\n")[:-1]


def test_gateway_statuses() -> None:
    """`gateway` lets the contract's statuses through and makes 502 of every other."""
    failures = Failures("gateway", passes_bodies=False)
    passing = {400, 401, 403, 404, 409, 422, 423, 429, 503}
    for status in STATUSES:
        response = failures.answer(RemoteStatus(status), NOW_S, 0.5)
        assert response.status == (status if status in passing else 502)
        assert lines(response)[0].startswith(b"HTTP/1.1 %d " % response.status)
        assert json.loads(response.body) == {"message": "Remote post status failure.", "status": status}
        assert (response.error, response.remote_s) == ("status", 0.5)
        assert b"Cache-Control: no-store" in lines(response)


@pytest.mark.parametrize("status_map", ["original", {}])
def test_original_statuses(status_map: str | dict[str, str]) -> None:
    """`original` makes 500 of every status, and so does a map that names nothing."""
    failures = Failures(status_map, passes_bodies=False)
    for status in STATUSES:
        response = failures.answer(RemoteStatus(status), NOW_S, 0.5)
        assert (response.status, json.loads(response.body)["status"]) == (500, status)


@pytest.mark.parametrize(
    ("error", "original", "gateway", "own", "message"),
    [
        (UNREACHABLE, 500, 502, 500, "Remote post failure."),
        (TIMEOUT, 500, 504, 503, "Remote post failure."),
        (CUT, 500, 502, 599, "Remote post failed to parse body."),
        (INVALID, 500, 502, 599, "Can not unmarshal returned json."),
        (OVERLOADED, 503, 503, 503, "Remote post failure."),
    ],
)
def test_without_a_status(error: RemoteError, original: int, gateway: int, own: int, message: str) -> None:
    """What ended without a usable reply has its status by each map, and always the same body."""
    for status_map, status in (("original", original), ("gateway", gateway), (OWN, own)):
        response = answer(error, status_map)
        assert response.status == status
        assert json.loads(response.body) == {"message": message, "error": error.public}
        assert response.error == error.code
        assert b"Cache-Control: no-store" in lines(response)


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, 401), (404, 422), (403, 400), (499, 400), (500, 500), (520, 520), (599, 599), (201, 500), (302, 500)],
)
def test_own_map(status: int, told: int) -> None:
    """In a map a status counts more than its class, and what is named by neither is 500."""
    response = answer(RemoteStatus(status), OWN)
    assert response.status == told
    assert json.loads(response.body)["status"] == status


def test_a_status_without_a_phrase() -> None:
    """A status that nobody has given a name is written without one (RFC 9112 §4)."""
    assert lines(answer(RemoteStatus(520), OWN))[0] == b"HTTP/1.1 520 "


def test_a_challenge() -> None:
    """A 401 has a challenge (RFC 9110 §15.5.2), and no other status has one."""
    assert b"WWW-Authenticate: Bearer" in lines(answer(RemoteStatus(401), "gateway"))
    for error in (RemoteStatus(401), RemoteStatus(403)):
        assert b"WWW-Authenticate" not in answer(error, {"4xx": "400"}).head


# Retry-After


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (b"7", 7),
        (b" 7 ", 7),
        (b"0", 1),
        (b"3600", 3600),
        (b"3601", RETRY_AFTER_S_MAX),
        (b"9" * 5000, RETRY_AFTER_S_MAX),
        (formatdate(NOW_S + 90, usegmt=True).encode(), 90),
        (formatdate(NOW_S, usegmt=True).encode(), 1),
        (formatdate(NOW_S - 90, usegmt=True).encode(), 1),
        (formatdate(NOW_S + 10**9, usegmt=True).encode(), RETRY_AFTER_S_MAX),
        (b"", None),
        (b"-1", None),
        (b"1.5", None),
        (b"soon", None),
        (b"1, 2", None),
        (b"\xb2", None),
        (b"Fri, 99 Foo 2026 00:00:00 GMT", None),
        (b"Mon, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after(field: bytes, seconds: int | None) -> None:
    """Seconds and dates are read as seconds from now, from one to an hour; what is neither says nothing."""
    assert retry_after_s(field, NOW_S) == seconds


@pytest.mark.parametrize(
    ("status", "status_map", "line"),
    [
        (429, "gateway", b"Retry-After: 9"),
        (503, "gateway", b"Retry-After: 9"),
        (429, {"429": "503"}, b"Retry-After: 9"),
        (503, {"5xx": "pass"}, b"Retry-After: 9"),
        (401, "gateway", None),
        (500, "gateway", None),
        (429, "original", None),
        (429, {"4xx": "400"}, None),
    ],
)
def test_who_gets_retry_after(status: int, status_map: str | dict[str, str], line: bytes | None) -> None:
    """The remote's wish goes with the two statuses that it belongs to, and with no other."""
    response = answer(RemoteStatus(status, b"9"), status_map)
    assert [found for found in lines(response) if found.startswith(b"Retry-After")] == ([line] if line else [])
    assert b"Retry-After" not in answer(RemoteStatus(status), status_map).head


# Bodies

JSON: Final = b'{"error": "locked",\n "until": 5}'


def test_a_body_passes() -> None:
    """With `passRemoteErrors` the remote's JSON goes to the client byte for byte, with the status that the map says."""
    for status, told in ((401, 401), (404, 422), (418, 400)):
        response = answer(RemoteStatus(status, b"", JSON), OWN, passes_bodies=True)
        assert (response.status, response.body, response.error) == (told, JSON, "status")
        assert b"Content-Type: application/json; charset=utf-8" in lines(response)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b'"' + b"x" * (PASSED_BODY_BYTES_MAX - 2) + b'"'])
def test_any_json_passes(body: bytes) -> None:
    """JSON of any kind passes, up to the limit."""
    assert answer(RemoteStatus(422, b"", body), "gateway", passes_bodies=True).body == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<h1>no</h1>",
        b"{",
        JSON + b"x",
        b'{"a":NaN}',
        b'"\xff"',
        b"[" * 5000,
        b'"' + b"x" * (PASSED_BODY_BYTES_MAX - 1) + b'"',
    ],
)
def test_other_bodies_do_not_pass(body: bytes) -> None:
    """What is not JSON, or too long, is replaced by the contract's body."""
    told = answer(RemoteStatus(422, b"", body), "gateway", passes_bodies=True)
    assert json.loads(told.body) == {"message": "Remote post status failure.", "status": 422}


@pytest.mark.parametrize(
    ("status", "status_map"),
    [(401, "original"), (503, "gateway"), (500, {"5xx": "400"}), (302, {"3xx": "400"}), (401, {"401": "502"})],
)
def test_bodies_of_other_statuses_do_not_pass(status: int, status_map: Any) -> None:
    """What the remote says of a fault of its own, or redirects to, stays here."""
    told = answer(RemoteStatus(status, b"", JSON), status_map, passes_bodies=True)
    assert json.loads(told.body) == {"message": "Remote post status failure.", "status": status}


def test_no_body_passes_unless_asked_for() -> None:
    """Without `passRemoteErrors` a body stays here, whatever the map."""
    for status_map in ("original", "gateway", OWN):
        assert b"locked" not in answer(RemoteStatus(401, b"", JSON), status_map).body
