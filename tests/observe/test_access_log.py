"""Access lines: what they say, and what they never say."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

import pytest

from txtoken.http1.messages import Client, Head, Response, UnloggedResponse, response_head
from txtoken.observe.access_log import KNOWN_TEXTS_MAX, TEXT_CHARACTERS_MAX, AccessLog
from txtoken.observe.logs import LineWriter

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJkYXRhIjp7fX0.c2lnbmF0dXJl"


class Local(Client):
    """A client on this machine."""

    def address(self) -> str:
        """Return its address."""
        return "127.0.0.1"


def head(path: bytes = b"/getToken", query: bytes = b"", **fields: bytes) -> Head:
    """Make a request's head."""
    by_name = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Head(
        b"POST", path, query, by_name, minor_version=1, keep_alive=True, content_length=0, expects_continue=False
    )


def response(**about: Any) -> Response:
    """Make a response with a body that must not be logged."""
    return Response(200, response_head(200), b'{"token":"secret"}', **about)


def lines_of(
    *calls: tuple[Head | None, Response],
    as_json: bool = True,
    client_behind: Callable[[str, bytes], str] | None = None,
    routes: Collection[bytes] = (b"/getToken", b"/checkToken"),
    elapsed_s: float = 0.015,
) -> list[str]:
    """Note responses, and return the lines."""
    with tempfile.TemporaryFile() as file:
        writer = LineWriter(file.fileno())
        log = AccessLog(writer, as_json=as_json, routes=routes, client_behind=client_behind)
        for request_head, answer in calls:
            log.note(request_head, answer, elapsed_s, Local())
        log.flush()
        writer.close()
        file.seek(0)
        return file.read().decode().splitlines()


def test_what_leaves_no_line() -> None:
    """A probe's answer leaves no line; a request that was never answered leaves one."""
    with tempfile.TemporaryFile() as file:
        writer = LineWriter(file.fileno())
        log = AccessLog(writer, as_json=True)
        log.note(head(), UnloggedResponse(200, response_head(200), b"{}"), 0.015, Local())
        log.note_unanswered(head(), Response(499, b"", b"", error="given_up"), 0.015, Local())
        log.flush()
        writer.close()
        file.seek(0)
        (line,) = file.read().splitlines()
    assert (json.loads(line)["status"], json.loads(line)["error"]) == (499, "given_up")


def test_texts_that_are_known_are_few() -> None:
    """Texts that are likely to come again are kept as they are written, short ones alone and no more than a bound."""
    writer = LineWriter(-1)
    log = AccessLog(writer, as_json=True, routes=())
    for number in range(3 * KNOWN_TEXTS_MAX):
        log.note(head(b"/%d" % number), response(), 0.015, Local())
        assert b"/%d" % number in log._known_texts
        assert len(log._known_texts) <= KNOWN_TEXTS_MAX
    long = b"/" + TEXT_CHARACTERS_MAX * b"x"
    log.note(head(long), response(), 0.015, Local())
    assert long not in log._known_texts
    writer.close()


@pytest.mark.parametrize(
    ("elapsed_s", "shown"),
    [
        (0.0, "0.000"),
        (0.0000004, "0.000"),
        (0.0000015, "0.002"),
        (0.0123456, "12.346"),
        (0.9999994, "999.999"),
        (0.9999996, "1000.000"),
        (1.0, "1000.000"),
        (61.0005, "61000.500"),
    ],
)
def test_a_duration(elapsed_s: float, shown: str) -> None:
    """A duration is written in milliseconds with three digits, however long it was."""
    (line,) = lines_of((head(), response()), elapsed_s=elapsed_s)
    assert f'"ms":{shown},' in line


@pytest.mark.parametrize("as_json", [True, False])
def test_the_time(*, as_json: bool) -> None:
    """A line begins with the time of its answer, to the millisecond, as RFC 3339 writes it, zeros included."""
    for _ in range(20):
        before = time.time_ns() // 1_000_000
        (line,) = lines_of((head(), response()), as_json=as_json)
        after = time.time_ns() // 1_000_000
        written = json.loads(line)["time"] if as_json else line.partition(" ")[0]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written)
        assert before - 1 <= round(datetime.fromisoformat(written).timestamp() * 1000) <= after


def test_json_line() -> None:
    """A JSON line holds method, path, status, duration, client, request id and the remote's share."""
    (line,) = lines_of((head(x_request_id=b"r-1"), response(remote_s=0.012)))
    event = json.loads(line)
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "info",
        "message": "request",
        "method": "POST",
        "path": "/getToken",
        "status": 200,
        "ms": 15.0,
        "client": "127.0.0.1",
        "request_id": "r-1",
        "remote_ms": 12.0,
    }


TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "traceparent",
    [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00", f"01-{TRACE}-{PARENT}-ff", f"cc-{TRACE}-{PARENT}-01-more-é"],
)
def test_trace_id(traceparent: str) -> None:
    """A line of a traced request says of which trace it is part, later versions of the field included."""
    asked = head(traceparent=traceparent.encode(), x_request_id=b"r-1")
    (line,) = lines_of((asked, response()))
    assert json.loads(line)["trace_id"] == TRACE
    assert json.loads(line)["request_id"] == "r-1"
    (line,) = lines_of((asked, response(error="status")), as_json=False)
    assert line.endswith(f' client=127.0.0.1 request_id="r-1" trace_id={TRACE} error=status')


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        TRACE,
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01\n",
        f" 00-{TRACE}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"0g-{TRACE}-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01more",
        f"01-{'0' * 32}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01, 01-{TRACE}-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
    ],
)
def test_no_trace_id(traceparent: str) -> None:
    """A `traceparent` that breaks the rules of W3C Trace Context is part of no trace."""
    for as_json in (True, False):
        (line,) = lines_of((head(traceparent=traceparent.encode()), response()), as_json=as_json)
        assert "trace_id" not in line


@pytest.mark.parametrize("as_json", [True, False])
def test_the_client_behind_a_proxy(as_json: bool) -> None:
    """Where there are proxies to believe, the client is who they say; of a request that names nobody it is the peer."""
    asked: list[tuple[str, bytes]] = []

    def client_behind(peer: str, forwarded_for: bytes) -> str:
        asked.append((peer, forwarded_for))
        return "203.0.113.9"

    refused = Response(400, response_head(400), b"", error="bad_request")
    lines = lines_of(
        (head(x_forwarded_for=b"203.0.113.9"), response()),
        (head(), response()),
        (None, refused),
        as_json=as_json,
        client_behind=client_behind,
    )
    assert asked == [("127.0.0.1", b"203.0.113.9")]
    clients = (
        [json.loads(line)["client"] for line in lines] if as_json else [line.split("client=")[1] for line in lines]
    )
    assert [client.split()[0] for client in clients] == ["203.0.113.9", "127.0.0.1", "127.0.0.1"]
    (line,) = lines_of((head(x_forwarded_for=b"203.0.113.9"), response()), as_json=as_json)
    assert "203.0.113.9" not in line


def test_text_line() -> None:
    """A text line says the same for people."""
    (line,) = lines_of((head(x_request_id=b"r-1"), response(remote_s=0.012, error="status")), as_json=False)
    assert " info    POST /getToken 200 " in line
    assert line.endswith(' client=127.0.0.1 request_id="r-1" remote=12.000 ms error=status')


@pytest.mark.parametrize("as_json", [True, False])
def test_what_was_no_request(as_json: bool) -> None:
    """Bytes of which no request could be made have a line without method and path."""
    refused = Response(400, response_head(400), b"", error="bad_request")
    (line,) = lines_of((None, refused), as_json=as_json)
    assert "400" in line
    assert "bad_request" in line
    if as_json:
        assert json.loads(line)["method"] is None


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "request_head",
    [
        head(query=b"access_token=" + TOKEN.encode()),
        head(path=b"/checkToken/" + TOKEN.encode()),
        head(x_request_id=TOKEN.encode()),
        head(x_request_id=b"id " + TOKEN.rpartition(".")[0].encode()),
        head(authorization=b"Bearer " + TOKEN.encode(), cookie=b"token=" + TOKEN.encode()),
    ],
)
def test_no_token_is_told(request_head: Head, as_json: bool) -> None:
    """A token appears in no line, wherever a client puts it."""
    (line,) = lines_of((request_head, response()), as_json=as_json)
    assert "eyJ" not in line
    assert "secret" not in line


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("text", [b'"\\\n{"level":"error"}', b"\x00\x1b[31m", b"\xff\xfe", b"x" * 10_000])
def test_a_client_cannot_forge_lines(text: bytes, as_json: bool) -> None:
    """What a client sends stays inside of one line, and does not fill the log."""
    (line,) = lines_of((head(path=b"/" + text, x_request_id=text), response()), as_json=as_json)
    assert len(line) < 1500
    assert line.isprintable()
    if as_json:
        assert json.loads(line)["status"] == 200


def test_lines_leave_in_order_and_before_they_are_many() -> None:
    """Lines come out in the order of the responses, though nobody calls `flush` between them."""
    lines = lines_of(*((head(x_request_id=b"%d" % number), response()) for number in range(1500)))
    assert [json.loads(line)["request_id"] for line in lines] == [str(number) for number in range(1500)]


ODD: Final = [
    "\x85",
    "\x9b",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\x7f",
    "\x1b",
    "\n",
    "\xad",
    "\U000e0001",
]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("character", ODD, ids=lambda character: f"U+{ord(character):04X}")
def test_a_line_is_one_line(character: str, as_json: bool) -> None:
    """Whatever a path, a method or a request id holds, a line is one line for every reader, and a terminal obeys nothing."""
    odd = character.encode()
    asked = head(b"/a" + odd, x_request_id=b"r" + odd + b"1", x_forwarded_for=b"fe80::1%" + odd)
    asked.method = b"GET" + odd
    (line,) = lines_of((asked, response()), as_json=as_json, client_behind=lambda _, text: text.decode())
    assert line.isprintable()
    if as_json:
        event = json.loads(line)
        assert (event["path"], event["request_id"]) == (f"/a{character}", f"r{character}1")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        *(
            "/getToken%3Fuser=a&password=s3cret",
            "/getToken%3fuser=a",
            "/getToken;password=s3cret",
            "/getToken%3Bpassword",
        ),
        *("/getToken%253Fpassword=s3cret", "/getToken%25253fpassword", "/getToken?password", "/getToken%253bs3cret"),
        *(
            "/getToken&password=s3cret",
            "/getToken%26password%3Ds3cret",
            "/getToken%C0%BFs3cret",
            "/getToken%u003fs3cret",
        ),
        *("/getToken#s3cret", "/getToken%23s3cret", "/getToken%25253Ds3cret"),
    ],
)
def test_what_may_be_parameters_is_cut(path: str, as_json: bool) -> None:
    """Of a path that is no route of ours nothing is logged past what may begin parameters, however it is encoded."""
    (line,) = lines_of((head(path.encode()), response()), as_json=as_json)
    assert "/getToken[cut]" in line
    assert "s3cret" not in line
    assert "password" not in line


def test_a_route_is_logged_whole() -> None:
    """The path of a route stands as it is, whatever its name."""
    (line,) = lines_of((head(b"/log;in=1"), response()), routes=(b"/log;in=1",))
    assert json.loads(line)["path"] == "/log;in=1"


@pytest.mark.parametrize("dot", ["%2E", "%2e", "%252E", "%25252e", "%2525252e"])
def test_encoded_tokens_are_not_logged(dot: str) -> None:
    """A token in a path or a request id is not logged, however its dots or letters are encoded."""
    for token in (TOKEN.replace(".", dot), TOKEN.replace("e", "%65", 1), TOKEN.split(".", maxsplit=1)[0]):
        (line,) = lines_of((head(f"/x/{token}".encode(), x_request_id=token.encode()), response()))
        assert "eyJ" not in line
        assert "JhbGci" not in line
        assert "c2lnbmF0dXJl" not in line
