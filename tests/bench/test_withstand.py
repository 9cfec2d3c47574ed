"""The battery's judge, its honest client and its attackers are themselves attacked: by samples, and by a service that lies."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from bench.errors import BenchError
from bench.measure.processes import free_port
from bench.withstand.battery import judged
from bench.withstand.catalog import CATALOG
from bench.withstand.cli import HELD, chosen, main
from bench.withstand.honest import BROKEN, LOST, Notes, summary
from bench.withstand.measures import Done, Honest, Row, Run, Usage, percentile
from bench.withstand.nonces import good_token, token, wrong_check, wrong_login
from bench.withstand.stage import Attackers, HonestClient, Remote, outcome
from bench.withstand.swarm import Plan, read_statuses
from bench.withstand.table import NAME_WIDTH, lines, table, to_json, verdict
from bench.withstand.verdict import held, problems, void

KEY: Final = b"a-key-for-tests-only-0123456789-abcdefgh"
NONCE: Final = "nonce-0a1b2c"
OTHER: Final = "nonce-ffffff"
PATIENCE_S: Final = 20.0
CALM: Final = Honest(requests=400, latencies_ms=[0.4] * 400)
GOOD: Final = Run(CALM, Done({"opened": 10}), 30, Usage(43_000, 44_000, 17), 0.1, 0.1, 0.002)
ROW: Final = Row("a", "", 0.4, Usage(43_000, 43_000, 17), (GOOD, GOOD))


def with_last(**changes: Any) -> Row:
    """Change the second of two runs."""
    return dataclasses.replace(ROW, runs=(ROW.runs[0], dataclasses.replace(ROW.runs[1], **changes)))


def test_a_row_that_held() -> None:
    """Without anything to say against it a row is held."""
    assert held(ROW)
    assert verdict(ROW) == "held"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"honest": dataclasses.replace(CALM, reasons={"login: swapped nonce": 1})}, "1 x login: swapped nonce"),
        ({"honest": Honest(400, [0.4] * 380 + [51.0] * 20)}, "honest p99 51 ms"),
        ({"honest": Honest(400, [1.3] * 400)}, "honest p50 1.30 ms, 0.40 unloaded"),
        ({"done": Done({"opened": 10}, wrong="wrong answers: 3 x status 200")}, "3 x status 200"),
        ({"after": Usage(43_000, 256 * 1024 + 1, 17)}, "memory 256 MiB at most"),
        ({"after": Usage(43_000 + 2049, 46_000, 17)}, "memory grew by 2.0 MiB"),
        ({"after": Usage(43_000, 44_000, 18)}, "18 files open afterwards, 17 before"),
        ({"idle_share": 0.011}, "1.1% CPU afterwards, when idle"),
    ],
)
def test_a_row_that_did_not_hold(changes: Mapping[str, Any], problem: str) -> None:
    """Each of the figures that a row has to reach fails it alone, and the table says which it was."""
    row = with_last(**changes)
    assert problem in "; ".join(problems(row))
    assert not held(row)
    assert any(problem in line for line in lines(row))


def test_the_median_counts_where_there_was_time() -> None:
    """A median that tripled is no fault where the service or the honest client's core was more than half busy."""
    slow = {"honest": Honest(400, [1.3] * 400)}
    assert held(with_last(**slow, service_share=0.51))
    assert held(with_last(**slow, other_share=0.51))
    assert not held(with_last(**slow, service_share=0.5, other_share=0.5))


def test_limits_themselves_hold() -> None:
    """What a row may reach, it may reach."""
    usage = Usage(43_000 + 2048, 256 * 1024, 17)
    assert held(with_last(after=usage, idle_share=0.01, honest=Honest(400, [0.4] * 300 + [50.0] * 100)))


def test_what_fills_up_once_is_no_leak() -> None:
    """Memory may grow from the first run to the second, if it does not from there to the next."""
    grown = dataclasses.replace(GOOD, after=Usage(47_000, 48_000, 17))
    assert not held(dataclasses.replace(ROW, runs=(GOOD, grown)))
    assert held(dataclasses.replace(ROW, runs=(GOOD, grown, grown)))
    leak = dataclasses.replace(GOOD, after=Usage(51_000, 52_000, 17))
    assert not held(dataclasses.replace(ROW, runs=(GOOD, grown, leak)))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row("a", "", void="no look-up hung"), "no look-up hung"),
        (with_last(done=Done(void="the attackers could not connect")), "could not connect"),
        (dataclasses.replace(ROW, runs=[dataclasses.replace(GOOD, honest=Honest(19, [0.4] * 19))]), "only 19 requests"),
    ],
)
def test_void_is_not_held(row: Row, reason: str) -> None:
    """A row that was not attacked, or not watched, is void with the reason on a line, whatever else is well."""
    assert reason in void(row)
    assert not held(row)
    assert verdict(row) == "void"
    assert any(line.strip().startswith("void: ") and reason in line for line in lines(row))


def test_a_busy_machine_voids_latencies_alone() -> None:
    """Where something else used the machine, a row that failed by its latencies is void, and any other failure counts."""
    slow = Honest(400, [0.4] * 380 + [51.0] * 20)
    assert "0.30 of a core" in void(with_last(honest=slow, foreign_share=0.3))
    assert not void(with_last(honest=slow, foreign_share=0.25))
    assert held(with_last(foreign_share=0.3))
    assert verdict(with_last(honest=slow, foreign_share=0.3, idle_share=0.5)) == "FAILED"


def test_a_trial_brings_its_verdict() -> None:
    """A row without runs holds by its own word."""
    assert held(Row("a", "", note="exit 0"))
    assert not held(Row("a", "", problems=["exit code 1"]))


def test_the_table_counts() -> None:
    """The last line counts each verdict, and the JSON has them with the figures."""
    rows = [ROW, with_last(idle_share=0.5), Row("b", "", void="it died")]
    assert table(rows)[-1] == "1 held, 1 FAILED, 1 void"
    written = json.loads(to_json(rows, {"build": "source"}))
    assert [row["verdict"] for row in written["rows"]] == ["held", "FAILED", "void"]
    assert written["rows"][0]["runs"][0]["honest"]["p99_ms"] == 0.4


def test_percentiles() -> None:
    """A percentile is one of the values, and 0 where there is none."""
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert percentile([], 0.5) == 0.0


# Attacks that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said", "reason"),
    [
        (1, [], "ended with 1: MemoryError"),
        (0, [], "ended with 0: MemoryError"),
        (1, ['{"counts": {"opened": 9}}'], "ended with 1: MemoryError"),
        (0, ['{"counts": {"tried": 9, "failed: ECONNREFUSED": 9}}'], "could not connect: 9 x failed: ECONNREFUSED"),
        (0, ['{"counts": {}}'], "could not connect: nothing was tried"),
    ],
)
def test_attackers_that_failed(code: int, said: list[str], reason: str) -> None:
    """Attackers that died or got no connection are no attack, and the line says why."""
    assert reason in outcome(code, said, "MemoryError").void


@pytest.mark.parametrize(
    ("plan", "counts", "reason"),
    [
        (Plan(1, clients=10, seconds=1), {"opened": 9}, "9 opened of 10"),
        (Plan(1, clients=10, seconds=1, opens=50), {"opened": 49}, "49 opened of 50"),
        (Plan(1, clients=10, seconds=1, answers=100), {"opened": 10, "answers": 99}, "99 answers of 100"),
    ],
)
def test_attacks_that_did_too_little(plan: Plan, counts: dict[str, int], reason: str) -> None:
    """An attack that did less than it was to do is void."""
    assert reason in judged(Done(counts), plan, frozenset()).void


def test_answers_that_nobody_should_get() -> None:
    """A status that is not expected, and a connection that is closed without an answer, are the service's fault."""
    plan = Plan(1, clients=1, seconds=1, answers=2)
    counts = {"opened": 3, "answers": 2, "status 401": 2}
    assert judged(Done(counts), plan, frozenset((401,))) == Done(counts)
    assert "2 x status 401" in judged(Done(counts), plan, frozenset((200,))).wrong
    assert "1 x no answer" in judged(Done({**counts, "closed without an answer": 1}), plan, frozenset((401,))).wrong


def test_attackers_without_a_service() -> None:
    """Attackers whose connections are all refused void the row."""
    with Attackers(Plan(free_port(), clients=2, seconds=0.2), None) as attackers:
        assert "ECONNREFUSED" in attackers.wait().void


def test_attackers_that_are_killed() -> None:
    """Attackers that die void the row."""
    with listener() as (sock, _), Attackers(Plan(sock.getsockname()[1], 1, PATIENCE_S), None) as attackers:
        attackers.wait_until_open(PATIENCE_S)
        attackers.stop_at_once()
        assert "ended with -9" in attackers.wait().void


def test_statuses_are_counted_however_they_are_cut() -> None:
    """Each answer is counted once, whether it comes whole, byte by byte, or with another one."""
    stream = b"HTTP/1.1 200 OK\r\n\r\n{}HTTP/1.1 401 Unauthorized\r\n\r\nHTTP/1.1 100"
    for size in range(1, len(stream) + 1):
        tail, found = b"", []
        for start in range(0, len(stream), size):
            statuses, tail = read_statuses(tail + stream[start : start + size])
            found += statuses
        assert found == ["200", "401", "100"]


def test_attackers_end_by_themselves() -> None:
    """A plan with a count of answers ends when they are there; what each was is counted."""

    def serve(client: socket.socket) -> None:
        while client.recv(1000):
            client.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with listener(serve) as (sock, _):
        plan = Plan(sock.getsockname()[1], clients=2, seconds=PATIENCE_S, again=(b"ask",), batch=1, answers=50)
        with Attackers(plan, None) as attackers:
            done = attackers.wait()
    assert not done.void
    assert done.counts["opened"] == 2
    assert done.counts["status 401"] == done.counts["answers"]
    assert 50 <= done.counts["answers"] <= 60  # and not as many as there are in all the time it has


# The honest client --------------------------------------------------------------------------------------------------


def login_answer(*nonces: str, key: bytes = KEY) -> bytes:
    """Answer a login with a token that holds these nonces."""
    return json.dumps({"token": token(key, {"data": {"nonces": nonces}, "exp": 1})}).encode()


def check_answer(*nonces: str, valid: bool = True) -> bytes:
    """Answer a check with a verdict that holds these nonces."""
    return json.dumps({"Valid": valid, "Claims": {"data": {"nonces": nonces}}, "Raw": "nonce-in-raw"}).encode()


@pytest.mark.parametrize(
    ("nonces", "wrong"),
    [
        ([NONCE], None),
        ([], "lost nonce"),
        ([OTHER], "swapped nonce"),
        ([NONCE, NONCE], "doubled nonce"),
        ([NONCE, OTHER], "doubled nonce"),
    ],
)
def test_nonces(nonces: list[str], wrong: str | None) -> None:
    """A nonce that is lost, another's, or there twice is noticed, in logins and in checks."""
    assert wrong_login(200, login_answer(*nonces), NONCE, KEY) == (f"login: {wrong}" if wrong else None)
    assert wrong_check(200, check_answer(*nonces), NONCE) == (f"check: {wrong}" if wrong else None)


def test_answers_that_are_none() -> None:
    """Another status, another key, and what is no answer at all are noticed."""
    assert wrong_login(500, b"", NONCE, KEY) == "login: status 500"
    assert wrong_login(500, b'{"error":"reset"}', NONCE, KEY) == "login: status 500 (reset)"
    assert wrong_login(200, login_answer(NONCE, key=b"other"), NONCE, KEY) == "login: wrong signature"
    for body in (b"", b"[]", b'{"token":1}', b'{"token":"abc"}'):
        assert wrong_login(200, body, NONCE, KEY) in ("login: not a token", "login: wrong signature")
    assert wrong_check(401, b"", NONCE) == "check: status 401"
    assert wrong_check(200, check_answer(NONCE, valid=False), NONCE) == "check: not valid"
    assert wrong_check(200, b"{}", NONCE) == "check: not a verdict"


def test_tokens_are_good() -> None:
    """The tokens that are checked are ones that PyJWT takes."""
    claims = jwt.decode(good_token(KEY, NONCE), KEY, ["HS256"], audience="withstand", issuer="withstand")
    assert claims["data"] == {"nonce": NONCE}


def test_what_is_excused() -> None:
    """A nonce that the remote excuses is no failure, nor a connection that may break; everything else is."""
    failures = [("login: swapped nonce", NONCE), ("login: swapped nonce", OTHER), (f"check: {BROKEN}", "nonce-1")]
    line = Notes([2.0, 1.0], failures).to_json()
    strict = summary(line, frozenset((NONCE,)), may_break=False)
    assert (strict.failures, strict.excused, strict.requests) == (2, 1, 5)
    lost = Notes(
        [], [(f"login: status 500 {how}", OTHER) for how in LOST] + [("login: swapped nonce", OTHER)]
    ).to_json()
    assert [summary(lost, frozenset(), may_break=False, may_lose=count).failures for count in range(4)] == [3, 2, 1, 1]
    lenient = summary(line, frozenset((NONCE,)), may_break=True)
    assert lenient.reasons == {"login: swapped nonce": 1}
    assert lenient.latencies_ms == [1.0, 2.0]


def login_of(body: bytes) -> bytes:
    """Ask the remote."""
    return b"POST /login HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_the_remote_keeps_account(tmp_path: Path) -> None:
    """A nonce that comes twice is counted, and fails the honest client; one on a connection with a stray reply is excused."""
    remote = Remote(tmp_path, None)
    try:
        with socket.create_connection(("127.0.0.1", remote.port), PATIENCE_S) as client:
            for _ in range(2):
                client.sendall(login_of(b'{"honest":"%b"}' % NONCE.encode()))
                assert NONCE.encode() in client.recv(1000)
            assert remote.ask("report") == {"logins": 2, "doubled": 1, "excused": [], "snares": 0}
            client.sendall(login_of(b'{"do":"twice"}'))
            assert client.recv(1000).count(b"HTTP/1.1 200 OK") == 2
            client.sendall(login_of(b'{"honest":"%b"}' % OTHER.encode()))
            assert OTHER.encode() in client.recv(1000)
            client.sendall(login_of(b'{"do":"empty"}'))
            assert client.recv(1000) == b""
        assert remote.ask("report") == {"logins": 5, "doubled": 1, "excused": [OTHER], "snares": 1}
        honest = HonestClient(free_port(), KEY.decode(), remote, None)
        try:
            assert honest.pause().reasons == {"login: sent to the remote twice": 1}
            assert not honest.pause().failures  # counted once
        finally:
            honest.end()
    finally:
        remote.process.end()


def test_a_key_that_begins_with_a_dash_is_a_key() -> None:
    """The honest client takes whatever key the service has: of random ones, one in 64 looks like an option."""
    client = HonestClient(free_port(), f"-{KEY.decode()}", None, None)
    try:
        assert not client.pause().failures
    finally:
        client.end()


Answering = Callable[[str, str], list[str]]  # the nonces of an answer, by the asker's and by the one before


@pytest.mark.parametrize(
    ("answering", "wrong"),
    [
        (lambda own, _before: [own], None),
        (lambda _own, _before: [], "lost nonce"),
        (lambda _own, before: [before], "swapped nonce"),
        (lambda own, _before: [own, own], "doubled nonce"),
    ],
)
def test_the_honest_client_is_not_deceived(answering: Answering, wrong: str | None) -> None:
    """Against a service that swaps, loses or doubles nonces each of its requests fails by that name; against a good one none."""
    with lying_service(answering) as (port, answered):
        client = HonestClient(port, KEY.decode(), None, None)
        try:
            client.go()
            assert answered.wait(PATIENCE_S)
            seen = client.pause()
        finally:
            client.end()
    assert seen.requests >= ANSWERS
    if wrong is None:
        assert not seen.failures
        assert seen.p50_ms > 0
    else:
        assert set(seen.reasons) == {f"login: {wrong}", f"check: {wrong}"}
        assert seen.failures == seen.requests


ANSWERS: Final = 20  # that are enough to see


@contextmanager
def lying_service(answering: Answering) -> Iterator[tuple[int, threading.Event]]:
    """Serve both routes. The event is set after so many answers on both."""
    answered = threading.Event()
    before = OTHER
    counts = {b"POST": 0, b"GET": 0}

    def serve(client: socket.socket) -> None:
        nonlocal before
        data = b""
        while part := client.recv(64 * 1024):
            data += part
            head, end, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            if not end or (length and len(body) < int(length[1])):
                continue
            data = b""
            is_login = head.startswith(b"POST")
            own = json.loads(body)["honest"] if is_login else _nonce_of(head)
            nonces = answering(own, before)
            before = own
            answer = login_answer(*nonces) if is_login else check_answer(*nonces)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
            counts[head.split()[0]] += 1
            if min(counts.values()) >= ANSWERS:
                answered.set()

    with listener(serve) as (sock, _):
        yield sock.getsockname()[1], answered


def _nonce_of(head: bytes) -> str:
    payload = head.partition(b"Bearer ")[2].split(b".")[1]
    nonce: str = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))["data"]["nonce"]
    return nonce


@contextmanager
def listener(
    serve: Callable[[socket.socket], None] | None = None,
) -> Iterator[tuple[socket.socket, list[threading.Thread]]]:
    """Listen, and serve each connection in a thread. Without `serve` nobody accepts."""
    threads: list[threading.Thread] = []
    clients: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as sock:
        waking, woken = socket.socketpair()

        def serve_one(client: socket.socket) -> None:
            assert serve is not None
            try:
                serve(client)
            except OSError:
                return  # the peer is gone, or it is over

        def accept() -> None:
            with selectors.DefaultSelector() as selector:
                selector.register(sock, selectors.EVENT_READ)
                selector.register(woken, selectors.EVENT_READ)
                while all(key.fileobj is sock for key, _ in selector.select()):
                    client, _address = sock.accept()
                    clients.append(client)
                    threads.append(threading.Thread(target=serve_one, args=(client,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        if serve is not None:
            accepting.start()
        try:
            yield sock, threads
        finally:
            waking.send(b".")
            if serve is not None:
                accepting.join(PATIENCE_S)
            for client in clients:
                try:
                    client.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
            for thread in threads:
                thread.join(PATIENCE_S)
            for one in (*clients, waking, woken):
                one.close()


# The command line ---------------------------------------------------------------------------------------------------


def test_rows_are_chosen_by_name() -> None:
    """A name chooses its row and those whose names begin so; without one a quick run has fewer."""
    assert [row.name for row in chosen(["remote answers"], is_quick=False)] == [
        "remote answers twice",
        "remote answers late",
        "remote answers early",
    ]
    assert 20 < len(chosen(None, is_quick=True)) < len(chosen(None, is_quick=False)) == len(CATALOG)
    with pytest.raises(BenchError, match="there is no row nothing"):
        chosen(["nothing"], is_quick=False)


def test_the_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` names each row with what it is, and plays none."""
    assert main(["--list"]) == HELD
    listed = capsys.readouterr().out.splitlines()
    assert [line[:NAME_WIDTH].rstrip() for line in listed] == list(CATALOG)
    assert all(len(line) > NAME_WIDTH and line[NAME_WIDTH - 1] == " " for line in listed)


def test_plans_travel() -> None:
    """A plan that is written is read as the same, whatever its bytes."""
    plan = Plan(1, 2, 3.0, bytes(range(256)), (b"\xff\x00", b"a"), batch=4)
    assert Plan.from_json(plan.to_json()) == plan
