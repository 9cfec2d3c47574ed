"""The judge of forward authentication under load: what it sends, what it takes for a fault, and what it reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from bench.errors import BenchError
from bench.forward_auth.cli import FAILED, HELD, main, report
from bench.forward_auth.clients import BAD, GOOD, Clients, Findings, Question, _fault
from bench.forward_auth.keyset import KNOWN, Keyset
from bench.forward_auth.programs import PROGRAMS
from bench.forward_auth.stage import NONCE, staged
from bench.forward_auth.upstream import Connection, Seen, seen_in
from tests.exchange import Transport

PASSED: Final = Question("fresh", "POST", "/1", b"", "abc", "n1")
REFUSED: Final = Question("expired", "GET", "/2", b"", "", None)


def body_of(*nonces: str, target: str = "/1", body: str = "abc", name: str = NONCE) -> bytes:
    """Write what the upstream would say."""
    fields = [(name.lower(), nonce) for nonce in nonces]
    return json.dumps({"method": "POST", "target": target, "fields": fields, "body": body}).encode()


@pytest.mark.parametrize(
    ("question", "status", "body", "fault"),
    [
        (PASSED, 200, body_of("n1"), ""),
        (PASSED, 401, b"", "status 401 instead of 200"),
        (PASSED, 502, b"", "status 502 instead of 200"),
        (PASSED, 200, body_of("n2"), "the nonce of another request"),
        (PASSED, 200, body_of("spoof"), "the nonce of another request"),
        (PASSED, 200, body_of(), "0 nonces"),
        (PASSED, 200, body_of("n1", "spoof"), "2 nonces"),
        (PASSED, 200, body_of("n1", "spoof", name=NONCE.replace("-", "_")), "2 nonces"),
        (PASSED, 200, body_of("n1", target="/2"), "another request than was sent"),
        (PASSED, 200, body_of("n1", body="ab"), "another request than was sent"),
        (REFUSED, 401, b"", ""),
        (REFUSED, 200, body_of("n2"), "status 200 instead of 401"),
        (REFUSED, 500, b"", "status 500 instead of 401"),
        (REFUSED, 0, b"", "status 0 instead of 401"),
    ],
)
def test_what_is_a_fault(question: Question, status: int, body: bytes, fault: str) -> None:
    """A good token passes whole with its own nonce and no other; any other token is 401 and nothing else."""
    assert _fault(question, status, body) == fault


def test_what_is_sent(tmp_path: Path) -> None:
    """Every kind of token is sent, each good one is signed by the key of the moment, and a bad one by none that is known."""
    keyset = Keyset(tmp_path)
    stage: Any = None
    clients = Clients(stage, keyset, 0, seed=1)
    keyset.turn(keyset.next_known())
    known = {key.kid: key.secret for key in keyset.known}
    questions = [clients._question() for _ in range(600)]
    assert {question.kind for question in questions} == {*GOOD, *BAD}
    for question in questions:
        token = question.data.partition(b"Bearer ")[2] or question.data.partition(b"session=")[2]
        token = token.partition(b"\r\n")[0]
        assert b"spoof" in question.data
        try:
            claims = jwt.decode(token, known[jwt.get_unverified_header(token)["kid"]], ["HS256"])
        except (jwt.InvalidTokenError, KeyError):
            assert question.nonce is None
        else:
            assert claims["data"]["nonce"] == question.nonce


def test_keys_turn(tmp_path: Path) -> None:
    """At each turn the next key signs, which was known before, and the oldest is retired."""
    keyset = Keyset(tmp_path)
    first, second, third = keyset.known
    assert keyset.current is second
    known = keyset.next_known()
    assert keyset.known == [first, second, third]
    keyset.turn(known)
    assert keyset.current is third
    assert keyset.retired == [first]
    assert [entry["kid"] for entry in keyset.entries(keyset.known)] == [key.kid for key in known]
    assert len(known) == KNOWN


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_upstream(size: int) -> None:
    """However a request arrives, the upstream says all of it: fields, a body by length, a body in chunks, none."""
    noted: list[Seen] = []
    connection, transport = Connection(noted.append, set()), Transport()
    connection._transport = transport  # type: ignore[assignment]  # it writes, and nothing else
    data = (
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        b"PUT /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nde\r\n1;x=y\r\nf\r\n0\r\n\r\n"
        b"HEAD /c HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\n\r\n"
    )
    for at in range(0, len(data), size):
        connection.data_received(data[at : at + size])
    assert [(seen.method, seen.target, seen.body) for seen in noted] == [
        ("POST", "/a", "abc"),
        ("PUT", "/b", "def"),
        ("HEAD", "/c", ""),
    ]
    assert noted[2].values("X-A") == ["1", "2"]
    first = transport.written[0].partition(b"\r\n\r\n")[2]
    assert seen_in(first) == noted[0]
    head, _, body = transport.written[2].partition(b"\r\n\r\n")
    assert body == b""
    assert seen_in(head.partition(b"X-Seen: ")[2]) == noted[2]


def test_the_report() -> None:
    """Faults are in the report, by kind and in all."""
    findings = Findings(latencies_ms=[1.0, 2.0])
    findings.faults["fresh: status 401 instead of 200"] = 3
    lines = [*report(findings)]
    assert "FAULT, 3 x: fresh: status 401 instead of 200" in lines
    assert lines[-1].split()[-1] == "3"


def test_a_proxy_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what installs it."""
    monkeypatch.setattr("bench.forward_auth.programs.Program.find", lambda _: None)
    with (
        pytest.raises(BenchError, match="envoy is not installed: scripts/environment"),
        staged("envoy", "python", Keyset(tmp_path), tmp_path),
    ):
        pass
    assert main(["--proxy", "haproxy"]) == FAILED


@pytest.mark.skipif(PROGRAMS["haproxy"].find() is None, reason="haproxy is not installed")
def test_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A run through a real proxy has an answer to each request, and no wrong verdict."""
    assert main(["--proxy", "haproxy", "--requests", "600", "--build", "source"]) == HELD
    out = capsys.readouterr().out
    assert "requests in all" in out
    assert "FAULT" not in out
