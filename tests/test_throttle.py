"""The throttle of logins over real sockets (contract §3.7): who has to wait, and who does not. Its clock is turned by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.http1.loopback import Answer
from tests.login_api import LoginApi
from tests.process.test_supervisor import workers_of
from tests.running import KEY, PATIENCE_S, ServiceProcess, run, service_process
from tests.scrape import Scrape, get
from tests.service.faulty_remote import FaultyRemote, Peer, Script, answer, silent, turning
from tests.service.throttle.hands import Hand
from tests.serving import Served, configuration, serving
from tests.test_service import post
from txtoken.config.read import load
from txtoken.http1.proxies import Proxies
from txtoken.observe import notices
from txtoken.observe.notices import Notices
from txtoken.process.reload import Reload
from txtoken.service import replies
from txtoken.service.throttle.guard import UNDECIDED, is_rejection
from txtoken.service.throttle.table import Table
from txtoken.settings import Config

THROTTLE: Final = "throttle: {field: /user}\n"
BEHIND: Final = "trustedProxies: [127.0.0.1]\n"
WRONG_PASSWORD: Final = "wrong"
WRONG: Final = answer(b'{"error":"no"}', status=b"401 Unauthorized")
MINUTE: Final = 60


async def judge(peer: Peer) -> None:
    """Accept the password `right`, answer a status in place of a password with that, and all others with 401."""
    while True:
        request = await peer.request()
        try:
            password = json.loads(request.partition(b"\r\n\r\n")[2]).get("password")
        except (ValueError, AttributeError):
            password = None
        if password == "right":
            peer.send(answer(b'{"user":"ada"}'))
        elif isinstance(password, int):
            peer.send(answer(b'{"error":"no"}', status=b"%d X" % password))
        else:
            peer.send(WRONG)


class Door:
    """A service with a throttle, its remote, and its clock."""

    def __init__(self, served: Served, remote: FaultyRemote, hand: Hand, table: Table) -> None:
        self.served = served
        self.remote = remote
        self.hand = hand
        self.table = table

    async def log_in(
        self, user: object = "ada", password: object = WRONG_PASSWORD, client: str = "", *, body: bytes | None = None
    ) -> Answer:
        """Try to log in, as a client behind the trusted proxy where one is named."""
        lines = (f"X-Forwarded-For: {client}",) if client else ()
        sent = orjson.dumps({"user": user, "password": password}) if body is None else body
        return await self.served.ask("POST", "/getToken", *lines, body=sent)

    async def statuses(
        self, times: int, user: object = "ada", password: object = WRONG_PASSWORD, client: str = ""
    ) -> list[int]:
        """Try several times, one after the other."""
        return [(await self.log_in(user, password, client)).status for _ in range(times)]

    async def guess(self, times: int, user: object = "ada", client: str = "") -> None:
        """Fail several times, and be let through each time."""
        assert await self.statuses(times, user, "wrong", client) == [500] * times

    async def wait_s(self, user: object = "ada", client: str = "", *, body: bytes | None = None) -> int:
        """Return for how long an attempt with the right password is refused, 0 where it gets a token."""
        asked = len(self.remote.requests)
        got = await self.log_in(user, "right", client, body=body)
        if got.status == 200:
            return 0
        assert got.status == 429, got
        assert len(self.remote.requests) == asked, "the remote was asked"
        return int(got.fields[b"retry-after"])

    @property
    def counts(self) -> tuple[int, ...]:
        """Failures, throttled by name and by address, lockouts by name and by address, so far."""
        counts = self.served.worker._app.counts.logins
        return counts.failures, *counts.throttled.values(), *counts.lockouts.values()


@contextlib.asynccontextmanager
async def door(folder: Path, text: str = THROTTLE, script: Script = judge) -> AsyncIterator[Door]:
    """Serve with a throttle."""
    hand = Hand()
    table = Table(clock=hand)
    async with contextlib.AsyncExitStack() as stack:
        remote = await stack.enter_async_context(FaultyRemote(script).listening())
        served = await stack.enter_async_context(serving(configuration(folder, text, remote.url), table))
        yield Door(served, remote, hand, table)


def play(
    folder: Path, scene: Callable[[Door], Coroutine[Any, Any, None]], text: str = THROTTLE, script: Script = judge
) -> None:
    """Play a scene with a service of this configuration."""

    async def main() -> None:
        async with door(folder, text, script) as at:
            await scene(at)

    run(main())


# One person


def test_a_person_who_guesses(tmp_path: Path) -> None:
    """Ten wrong passwords, then 429 for a minute, whatever the password; then ten more and two minutes, and so on to fifteen."""

    async def scene(at: Door) -> None:
        for minutes in (1, 2, 4, 8, 15, 15):
            await at.guess(10)
            assert await at.wait_s() == minutes * MINUTE
            at.hand.turn(minutes * MINUTE - 1)
            assert await at.wait_s() == 1
            at.hand.turn(1)
        assert len(at.remote.requests) == 60
        assert at.counts == (60, 12, 0, 6, 0)
        assert await at.wait_s() == 0
        await at.guess(10)
        assert await at.wait_s() == MINUTE

    play(tmp_path, scene)


@pytest.mark.parametrize("status_map", ["original", "gateway", "{401: pass, 429: 503, 4xx: 400}"])
def test_the_answer(tmp_path: Path, status_map: str) -> None:
    """The answer is 429 whatever `statusMap` says, is not to be stored, says how long to wait, and nothing of the name."""

    async def scene(at: Door) -> None:
        for user in ("ada", "nobody-of-this-name"):
            for _ in range(10):
                await at.log_in(user)
            refused = await at.log_in(user)
            assert refused.status == 429
            assert refused.fields[b"retry-after"] == b"60"
            assert refused.fields[b"cache-control"] == b"no-store"
            assert refused.fields[b"content-type"] == b"application/json; charset=utf-8"
            assert refused.body == (
                b'{"message":"Too many failed logins.","error":"too many failed logins: try again in 60 s"}'
            )
        lines = [json.loads(line) for line in at.served.access_lines()]
        assert [line["error"] for line in lines if line["status"] == 429] == ["throttled"] * 2

    play(tmp_path, scene, f"{THROTTLE}statusMap: {status_map}\n")


def test_attempts_during_a_lock_change_nothing(tmp_path: Path) -> None:
    """A client that continues during a lockout neither prolongs it nor asks the remote."""

    async def scene(at: Door) -> None:
        await at.guess(10)
        at.hand.turn(30)
        assert await at.statuses(50) == [429] * 50
        assert await at.wait_s() == 30
        at.hand.turn(30)
        await at.guess(9)
        assert await at.wait_s() == 0
        assert len(at.remote.requests) == 20

    play(tmp_path, scene)


def test_a_success_clears(tmp_path: Path) -> None:
    """A user with the right password at the tenth attempt has ten more."""

    async def scene(at: Door) -> None:
        for _ in range(3):
            await at.guess(9)
            assert await at.wait_s() == 0
        await at.guess(10)
        assert await at.wait_s() == MINUTE

    play(tmp_path, scene)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 423, 451, 499])
def test_statuses_that_count(tmp_path: Path, status: int) -> None:
    """A 4xx of the remote is a failure."""

    async def scene(at: Door) -> None:
        assert await at.statuses(10, password=status) == [500] * 10
        assert await at.wait_s() == MINUTE

    play(tmp_path, scene)


@pytest.mark.parametrize("status", [408, 429, 300, 302, 500, 503, 599, 201])
def test_statuses_that_do_not_count(tmp_path: Path, status: int) -> None:
    """What says nothing of the password is taken back: nobody is locked out by a remote that is broken or busy."""

    async def scene(at: Door) -> None:
        assert await at.statuses(120, password=status) == [500] * 120
        assert await at.wait_s() == 0
        assert at.counts == (0, 0, 0, 0, 0)

    play(tmp_path, scene)


def test_rejections() -> None:
    """The rule, status by status."""
    assert {status for status in range(200, 600) if is_rejection(status)} == set(range(400, 500)) - set(UNDECIDED)


UNUSABLE: Final = {
    "no JSON": (answer(b"<html>"), ""),
    "no object": (answer(b"[1]"), ""),
    "no subject": (answer(b'{"a":1}'), "claims: {sub: /id}\n"),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", ""),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n", ""),
}


@pytest.mark.parametrize(("reply", "more"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_replies_do_not_count(tmp_path: Path, reply: bytes, more: str) -> None:
    """A reply of which no token can be made is no wrong password."""

    async def broken(peer: Peer) -> None:
        await peer.request()
        peer.send(reply)
        peer.fin()

    async def scene(at: Door) -> None:
        assert await at.statuses(30) == [500] * 30
        assert at.counts == (0, 0, 0, 0, 0)
        assert not any(at.table._words)

    play(tmp_path, scene, THROTTLE + more, broken)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 200000\r\n\r\n",
        b"\r\n" + b"x" * 140_000,
        b"Transfer-Encoding: chunked\r\n\r\n22000\r\n" + b"x" * 0x22000,
        b"Transfer-Encoding: chunked\r\n\r\nno size\r\n",
        b"Content-Length: 99\r\n\r\nno",
    ],
    ids=["announced", "long", "chunk", "malformed", "cut"],
)
def test_a_401_whose_body_is_no_use(tmp_path: Path, rest: bytes) -> None:
    """A 401 is a failure whatever its body is: it may hold what the attacker has sent."""

    async def echo(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\n" + rest)
        peer.fin()

    async def scene(at: Door) -> None:
        for _ in range(10):
            got = await at.log_in()
            assert json.loads(got.body)["message"] == "Remote post failed to parse body."
        assert (await at.log_in()).status == 429
        assert at.counts == (10, 1, 0, 1, 0)

    play(tmp_path, scene, script=echo)


def test_an_unreachable_remote_does_not_count(tmp_path: Path) -> None:
    """While nobody listens at the remote, nobody is locked out, nor while it does not answer in time."""

    async def main() -> None:
        table = Table(clock=Hand())
        async with serving(configuration(tmp_path, THROTTLE), table) as served:
            for _ in range(30):
                got = await served.ask("POST", "/getToken", body=b'{"user":"ada"}')
                assert got.status == 500
        assert not any(table._words)

    run(main())

    async def scene(at: Door) -> None:
        assert await at.statuses(12) == [500] * 12
        assert not any(at.table._words)

    play(tmp_path, scene, THROTTLE + "timeouts: {remote: 10ms}\n", silent)


def test_no_room_at_the_remote_does_not_count(tmp_path: Path) -> None:
    """A login that gets 503 because too many wait was not sent, and does not count."""

    async def scene(at: Door) -> None:
        first = await at.served.client()
        await first.send(b'POST /getToken HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{"user":"bob"}')
        await at.remote.requested(1)
        before = list(at.table._words)
        assert await at.statuses(12) == [503] * 12
        assert list(at.table._words) == before

    play(tmp_path, scene, THROTTLE + "limits: {remoteConnections: 1, waiting: 0}\n", silent)


def test_success_when(tmp_path: Path) -> None:
    """A reply with status 200 that `successWhen` does not agree with is a failure, and one that it agrees with a success."""

    async def graph(peer: Peer) -> None:
        while True:
            request = await peer.request()
            peer.send(answer(b'{"ok":%b}' % (b"true" if b"right" in request else b"false")))

    async def scene(at: Door) -> None:
        await at.guess(9)
        assert await at.wait_s() == 0
        await at.guess(10)
        assert await at.wait_s() == MINUTE
        assert at.counts[0] == 19

    play(tmp_path, scene, THROTTLE + "successWhen: {/ok: true}\n", graph)


def test_a_token_that_is_too_long(tmp_path: Path) -> None:
    """The remote took the password: that no token can be made of its reply is not the user's failure, and clears."""

    async def long(peer: Peer) -> None:
        while True:
            request = await peer.request()
            peer.send(answer(b'{"a":"%b"}' % (b"x" * 2000)) if b"right" in request else WRONG)

    async def scene(at: Door) -> None:
        for _ in range(2):
            await at.guess(9)
            got = await at.log_in(password="right")
            assert (got.status, json.loads(got.body)["message"]) == (500, "Can not generate return token")

    play(tmp_path, scene, THROTTLE + "limits: {tokenBytes: 1KiB}\n", long)


def test_without_a_throttle(tmp_path: Path) -> None:
    """Without the section nobody is throttled and the table is not touched; failures are counted for the metric all the same."""

    async def scene(at: Door) -> None:
        await at.guess(30)
        assert at.counts == (30, 0, 0, 0, 0)
        assert not any(at.table._words)

    play(tmp_path, scene, "")


# Many at once, and clients that leave


def test_a_thousand_at_once(tmp_path: Path) -> None:
    """Of a thousand attempts at once ten reach the remote; the others may try again in a second."""

    async def scene(at: Door) -> None:
        attempts = [asyncio.ensure_future(at.log_in()) for _ in range(1000)]
        await at.remote.requested(10)
        await turning(lambda: sum(attempt.done() for attempt in attempts) == 990)
        assert {attempt.result().fields[b"retry-after"] for attempt in attempts if attempt.done()} == {b"1"}
        assert at.counts == (0, 990, 0, 0, 0)
        for peer in at.remote.peers:
            peer.send(WRONG)
        answers = await asyncio.gather(*attempts)
        assert sorted(got.status for got in answers) == [429] * 990 + [500] * 10
        assert len(at.remote.requests) == 10
        assert (await at.log_in()).fields[b"retry-after"] == b"60"

    play(tmp_path, scene, script=silent)


def test_a_client_that_leaves(tmp_path: Path) -> None:
    """An attempt whose client does not wait for the answer counts: else a wrong password that takes longer would not."""

    async def scene(at: Door) -> None:
        for number in range(10):
            client = await at.served.client()
            await client.send(b'POST /getToken HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{"user":"ada"}')
            await at.remote.requested(number + 1)
            client.sock.close()
            await turning(lambda: not at.served.worker._app.remote.active_count)
        assert (await at.log_in()).fields[b"retry-after"] == b"60"
        assert at.counts == (0, 1, 0, 1, 0)

    play(tmp_path, scene, script=silent)


def test_a_login_for_which_there_is_no_room(tmp_path: Path) -> None:
    """A login that the service itself gives up, because it holds too much for its clients, counts for nobody."""

    async def scene(at: Door) -> None:
        before = list(at.table._words)
        client = await at.served.client()
        body = b'{"user":"ada","pad":"%b"}' % (b"x" * 600_000)
        await client.send(b"POST /getToken HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await at.remote.requested(1)
        assert list(at.table._words) != before
        other = await at.served.client()
        await other.send(b"POST /getToken HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + b"x" * 590_000)
        assert [answer.status for answer in await client.to_the_end()] == [503]
        other.sock.close()
        await turning(lambda: list(at.table._words) == before)

    play(tmp_path, scene, THROTTLE + "limits: {bufferedBytes: 1MiB}\n", silent)


def test_a_client_that_leaves_the_line(tmp_path: Path) -> None:
    """An attempt that waits for a connection to the remote when its client leaves was never made."""

    async def scene(at: Door) -> None:
        first = await at.served.client()
        await first.send(b'POST /getToken HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{"user":"bob"}')
        await at.remote.requested(1)
        before = list(at.table._words)
        remote = at.served.worker._app.remote
        for _ in range(10):
            client = await at.served.client()
            await client.send(b'POST /getToken HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{"user":"ada"}')
            await turning(lambda: remote.waiting_count == 1)
            assert list(at.table._words) != before
            client.sock.close()
            await turning(lambda: remote.waiting_count == 0)
        assert list(at.table._words) == before

    play(tmp_path, scene, THROTTLE + "limits: {remoteConnections: 1}\n", silent)


def test_the_end_of_the_service_counts_nothing(tmp_path: Path) -> None:
    """Logins that are cut when the service ends have no outcome that anybody could have waited for, and crash nothing."""

    async def scene(at: Door) -> None:
        attempts = [asyncio.ensure_future(at.log_in()) for _ in range(5)]
        await at.remote.requested(5)
        await at.served.worker._app.close()
        answers = await asyncio.gather(*attempts)
        assert [got.status for got in answers] == [500] * 5
        assert not any(at.table._words)

    play(tmp_path, scene, script=silent)


@pytest.mark.interpreted("it replaces a function that the module has imported")
def test_a_fault_of_the_service_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the service fails to make an answer, the attempt is taken back."""

    def broken(*_: object) -> bytes:
        raise RuntimeError("a fault")

    async def scene(at: Door) -> None:
        monkeypatch.setattr(replies, "read_members", broken)
        assert await at.statuses(12, password="right") == [500] * 12
        assert not any(at.table._words)

    play(tmp_path, scene)


# Names and networks


def test_the_victim_logs_in_meanwhile(tmp_path: Path) -> None:
    """While somebody guesses a name in one network, its owner logs in from another one. A neighbour of the attacker has to wait
    with this name, and not with his own.
    """

    async def scene(at: Door) -> None:
        for _ in range(3):
            await at.guess(10, client="192.0.2.66")
            assert await at.wait_s(client="198.51.100.1") == 0
            lock_s = await at.wait_s(client="192.0.2.66")
            assert lock_s > 0
            assert await at.wait_s(client="192.0.2.1") == lock_s
            assert await at.wait_s("bob", client="192.0.2.66") == 0
            at.hand.turn(lock_s)

    play(tmp_path, scene, THROTTLE + BEHIND)


def test_a_botnet_is_not_stopped_but_seen(tmp_path: Path) -> None:
    """Guesses at one name from 10 000 networks reach the remote, which is documented. The failures are counted, the owner can
    log in from his own network, and the table is no larger.
    """

    async def scene(at: Door) -> None:
        size = len(at.table._memory)
        client = await at.served.client()
        body = b'{"user":"ada","password":"guess"}'
        for batch in range(0, 10_000, 250):
            heads = (
                f"POST /getToken HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.{number // 250}.{number % 250}.9\r\n"
                for number in range(batch, batch + 250)
            )
            await client.send(b"".join(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for head in heads))
            while client.received.count(b"HTTP/1.1 ") < 250 or not client.received.endswith(b"}"):
                assert await client.more()
            assert (
                client.received.count(b"HTTP/1.1 500 ") == 250
            )  # h11 takes longer to read them than the service to answer
            client.received = b""
        assert at.counts == (10_000, 0, 0, 0, 0)
        assert await at.wait_s(client="198.51.100.1") == 0
        assert len(at.table._memory) == size
        assert sum(1 for word in at.table._words if word) <= 20_000

    play(tmp_path, scene, THROTTLE + BEHIND)


def test_one_address_with_many_names(tmp_path: Path) -> None:
    """After a hundred failures with as many names an address has to wait, with any name, and its neighbour has not."""

    async def scene(at: Door) -> None:
        for number in range(100):
            await at.guess(1, f"user{number}", "192.0.2.66")
        assert await at.wait_s("bob", "192.0.2.66") == MINUTE
        assert await at.wait_s("bob", "192.0.2.67") == 0
        at.hand.turn(MINUTE)
        assert await at.wait_s("bob", "192.0.2.66") == 0
        assert at.counts == (100, 0, 1, 0, 1)

    play(tmp_path, scene, THROTTLE + BEHIND)


def test_ipv6(tmp_path: Path) -> None:
    """A /56 is one network and one address, its neighbour is another, and an IPv4 address is one in either form."""

    async def scene(at: Door) -> None:
        for number in range(10):
            await at.guess(1, client=f"2001:db8:0:12{number:02x}::{number}")
        assert await at.wait_s(client="2001:db8:0:12ff::1") == MINUTE
        assert await at.wait_s(client="2001:db8:0:1300::1") == 0
        for number in range(90):
            await at.guess(1, f"user{number}", f"2001:db8:0:12{number:02x}::1")
        assert await at.wait_s("bob", client="2001:db8:0:1200::1") == MINUTE
        await at.guess(5, client="192.0.2.1")
        await at.guess(5, client="::ffff:192.0.2.1")
        assert await at.wait_s(client="192.0.2.9") == MINUTE

    play(tmp_path, scene, THROTTLE + BEHIND)


def test_what_a_client_writes_before_the_proxy_does_not_count(tmp_path: Path) -> None:
    """A client behind a trusted proxy that writes X-Forwarded-For itself is counted by the address that the proxy appended."""

    async def scene(at: Door) -> None:
        for number in range(10):
            await at.guess(1, client=f"10.9.{number}.1, 192.0.2.66")
        assert await at.wait_s(client="10.9.99.1, 192.0.2.66") == MINUTE
        assert await at.wait_s(client="192.0.2.66, 198.51.100.1") == 0

    play(tmp_path, scene, THROTTLE + BEHIND)


def test_a_lying_client(tmp_path: Path, service_log: pytest.LogCaptureFixture) -> None:
    """X-Forwarded-For of a peer that is no trusted proxy opens no way around, and is a warning, once a minute."""

    async def scene(at: Door) -> None:
        with service_log.at_level(logging.WARNING, "txtoken"):
            await at.guess(1)
            assert not untrusted(service_log)
            for number in range(9):
                await at.guess(1, client=f"10.9.{number}.1")
            assert (await at.log_in(client="10.9.99.1")).status == 429
            (record,) = untrusted(service_log)
            assert record.levelno == logging.WARNING
            assert record.fields == {"peer": "127.0.0.1"}  # type: ignore[attr-defined]

    play(tmp_path, scene, THROTTLE + "trustedProxies: [10.0.0.0/8]\n")

    async def without(at: Door) -> None:
        service_log.clear()
        with service_log.at_level(logging.WARNING, "txtoken"):
            await at.guess(3, client="10.9.1.1")
            assert not untrusted(service_log)

    play(tmp_path, without, "")


def untrusted(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the warnings of proxies that nobody trusts."""
    return [record for record in log.records if record.getMessage().startswith("X-Forwarded-For from a peer")]


def test_the_warning_comes_once_a_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning of an untrusted proxy says how often it was kept back, and no trusted proxy is one."""
    hand = Hand()
    monkeypatch.setattr(time, "monotonic", hand)
    told = Notices(logging.getLogger("throttle.test")).proxy_is_untrusted
    proxies = Proxies(("10.0.0.0/8",), told)
    fields = {b"x-forwarded-for": b"192.0.2.1"}
    with caplog.at_level(logging.WARNING, "throttle.test"):
        assert proxies.client_behind("10.0.0.1", fields) == "192.0.2.1"
        assert proxies.client_behind("10.0.0.1", {}) == "10.0.0.1"
        assert proxies.client_behind("198.51.100.1", {}) == "198.51.100.1"
        assert not untrusted(caplog)
        for _ in range(5):
            assert proxies.client_behind("198.51.100.1", fields) == "198.51.100.1"
            hand.turn(11)
        hand.turn(notices.UNTRUSTED_S - 55)
        proxies.client_behind("198.51.100.1", fields)
    first, second = untrusted(caplog)
    assert first.fields == {"peer": "198.51.100.1"}  # type: ignore[attr-defined]
    assert second.fields == {"peer": "198.51.100.1", "repeated": 4}  # type: ignore[attr-defined]
    assert Proxies(("10.0.0.0/8",)).client_behind("198.51.100.1", fields) == "198.51.100.1"


# Bodies


@pytest.mark.parametrize("validates", ["true", "false"])
@pytest.mark.parametrize(
    "value",
    [b"null", b"4711", b'{"name":"ada"}', b'["ada"]', b"true", b'""', b'" "', None],
    ids=["null", "number", "object", "list", "true", "empty", "blank", "missing"],
)
def test_a_field_without_a_name(tmp_path: Path, value: bytes | None, validates: str) -> None:
    """Without a text at the pointer a login counts for its network: after ten such failures, of whatever kind, all such logins of
    the network wait, while those with a name do not. A success of one does not clear what others have failed.
    """

    async def scene(at: Door) -> None:
        wrong = b'{"password":"wrong"}' if value is None else b'{"user":%b,"password":"wrong"}' % value
        right = wrong.replace(b"wrong", b"right")
        for number in range(9):
            assert (await at.log_in(body=wrong, client=f"192.0.2.{number}")).status == 500
        assert await at.wait_s(client="192.0.2.9", body=right) == 0
        assert (await at.log_in(body=b'{"user":7}', client="192.0.2.9")).status == 500
        assert await at.wait_s(client="192.0.2.200", body=right) == MINUTE
        assert await at.wait_s(client="192.0.3.1", body=right) == 0
        assert await at.wait_s("ada", client="192.0.2.1") == 0

    play(tmp_path, scene, f"{THROTTLE}{BEHIND}validateBody: {validates}\n")


@pytest.mark.parametrize("validates", ["true", "false"])
def test_a_name_of_a_megabyte(tmp_path: Path, validates: str) -> None:
    """A name of 1 MB is one by its first 256 characters, and the bodies that hold it go to the remote as they are."""

    async def scene(at: Door) -> None:
        for number in range(10):
            assert (await at.log_in("x" * 1_000_000 + str(number))).status == 500
        assert at.remote.bodies[-1][1] == orjson.dumps({"user": "x" * 1_000_000 + "9", "password": "wrong"})
        assert await at.wait_s("x" * 256) == MINUTE
        assert await at.wait_s("x" * 255) == 0

    play(tmp_path, scene, f"{THROTTLE}validateBody: {validates}\nlimits: {{bodyBytes: 2MiB}}\n")


@pytest.mark.parametrize(
    "body",
    [
        b'{"user":"%d","user":"ada"}',
        b'{"user":"ada","user":"%d"}',
        b'{"user":"%d","\\u0075ser":"ada"}',
        b'{"user":"%d","User":"ada"}',
        b'{"user":"%d","pad":[%%b],"user":"ada"}',
        b'{"pad":"%%b","user":"%d","user":"ada"}',
    ],
    ids=["last", "first", "escaped", "case", "dense", "long"],
)
@pytest.mark.parametrize("validates", ["true", "false"])
def test_no_decoy_is_a_way_around(tmp_path: Path, body: bytes, validates: str) -> None:
    """A body that holds another name each time beside the one that is guessed counts for that one too."""
    pad = b"0," * 3000 + b"0" if b"[" in body else b"x" * 100_000

    async def scene(at: Door) -> None:
        for number in range(10):
            sent = body.replace(b"%d", b"decoy%d" % number).replace(b"%%b", pad)
            assert (await at.log_in(body=sent)).status == 500
        assert await at.wait_s() == MINUTE

    play(tmp_path, scene, f"{THROTTLE}validateBody: {validates}\n")


def test_success_beside_another_name_clears_nothing(tmp_path: Path) -> None:
    """An attacker who puts his own name beside the guessed one does not clear its failures by logging in himself."""

    async def scene(at: Door) -> None:
        await at.guess(9, "ada")
        assert await at.wait_s(body=b'{"user":"ada","user":"mallory","password":"right"}') == 0
        await at.guess(1, "ada")
        assert await at.wait_s("ada") == MINUTE

    play(tmp_path, scene)


def test_a_body_that_is_not_looked_at(tmp_path: Path) -> None:
    """Bodies that are too long and too dense to be read count for their network together, whatever names they hold."""

    async def scene(at: Door) -> None:
        for number in range(10):
            body = b'{"user":"u%d","list":[%b0]}' % (number, b"0," * 50_000)
            assert (await at.log_in(body=body)).status == 500
        assert await at.wait_s(body=b'{"user":"ada","list":[%b0],"password":"right"}' % (b"0," * 50_000)) == MINUTE
        assert await at.wait_s("ada") == 0

    play(tmp_path, scene)


def test_variants_are_one_name(tmp_path: Path) -> None:
    """Case, blanks, width and composition make no other name."""

    async def scene(at: Door) -> None:
        for variant in (
            "J\u00fcrgen",
            "j\u00dcrgen",
            " J\u00fcrgen",
            "J\u00fcrgen\t",
            "Ju\u0308rgen",
            "\uff2a\u00fcrgen",
        ):
            await at.guess(1, variant)
        for variant in ("J\u00dcRGEN", "J\u00fcr\u00adgen", "\u3000j\u00fcrgen\u00a0", "j\u00fcrgen\0"):
            await at.guess(1, variant)
        assert await at.wait_s("j\u00fcrgen") == MINUTE
        assert await at.wait_s("jurgen") == 0

    play(tmp_path, scene)


def test_wrong_json(tmp_path: Path) -> None:
    """A body that is no JSON gets 400 and does not count; where it is passed on, it counts for its network."""

    async def scene(at: Door) -> None:
        for _ in range(20):
            assert (await at.log_in(body=b'{"user":"ada"')).status == 400
        assert not any(at.table._words)

    play(tmp_path, scene)

    async def passed_on(at: Door) -> None:
        for number in range(10):
            assert (await at.log_in(body=b"user=ada%d" % number)).status == 500
        assert (await at.log_in(body=b"user=bob")).status == 429
        assert await at.wait_s() == 0

    play(tmp_path, passed_on, THROTTLE + "validateBody: false\n")


def test_what_rfc_8259_allows(tmp_path: Path) -> None:
    """A body that the JSON library refuses, and that is JSON all the same, hides no name."""

    async def scene(at: Door) -> None:
        for number in range(10):
            body = b'{"n":%b,"user":"decoy%d","user":"ada"}' % (b"9" * 5000, number)
            assert (await at.log_in(body=body)).status == 500
        assert await at.wait_s() == MINUTE

    play(tmp_path, scene)


# Reload


def test_a_reload_changes_the_numbers(tmp_path: Path) -> None:
    """Other numbers, and another field, are in use from the next login on, and counts stay. Without the section nobody waits, and
    when it comes back it begins anew.
    """

    async def scene(at: Door) -> None:
        def use(text: str) -> None:
            at.served.worker.take_over(configuration(tmp_path, text, at.remote.url))

        await at.guess(4)
        use("throttle: {field: /user, failures: 5, lockout: 7s}\n")
        await at.guess(1)
        assert await at.wait_s() == 7
        use("throttle: {field: /login, failures: 5}\n")
        assert await at.wait_s(body=b'{"login":"ada","password":"right"}') == 7
        assert await at.wait_s(body=b'{"login":"bob","user":"ada","password":"right"}') == 0
        use("")
        await at.guess(20)
        assert not any(at.table._words)
        use(THROTTLE)
        await at.guess(10)
        assert await at.wait_s() == MINUTE
        assert at.counts == (35, 3, 0, 2, 0)

    play(tmp_path, scene)


def test_a_login_on_its_way_during_a_reload(tmp_path: Path) -> None:
    """The outcome of an attempt that began before a reload counts after it."""

    async def scene(at: Door) -> None:
        attempts = [asyncio.ensure_future(at.log_in()) for _ in range(10)]
        await at.remote.requested(10)
        text = "throttle: {field: /user, lockout: 7s}\nexpHours: 1\n"
        at.served.worker.take_over(configuration(tmp_path, text, at.remote.url))
        for peer in at.remote.peers:
            peer.send(WRONG)
        assert {got.status for got in await asyncio.gather(*attempts)} == {500}
        assert (await at.log_in()).status == 429

    play(tmp_path, scene, script=silent)


def test_removing_it_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A reload that finds no throttle any more says so, one that changes or adds it does not."""
    file = tmp_path / "cfg.yml"
    log = logging.getLogger("throttle.test")

    def read() -> Config:
        return load(str(file), {})

    def warnings_after(text: str) -> list[str]:
        caplog.clear()
        file.write_text(f"encKey: {KEY}\nremote: http://127.0.0.1:9/\n{text}")
        assert reload.read_again() is not None
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    file.write_text(f"encKey: {KEY}\nremote: http://127.0.0.1:9/\n{THROTTLE}")
    reload = Reload(read, read(), log)
    assert warnings_after("throttle: {field: /login, failures: 3}\n") == []
    assert warnings_after("") == ["throttle was removed from the configuration: passwords can be guessed without limit"]
    assert warnings_after("expHours: 1\n") == []
    assert warnings_after(THROTTLE) == []


def test_it_is_swept(tmp_path: Path) -> None:
    """The service frees what has ended, beat by beat."""

    async def scene(at: Door) -> None:
        await at.guess(3)
        at.hand.turn(300)
        app = at.served.worker._app
        for _ in range(16_384):
            app.sweep()
        assert not any(at.table._words)

    play(tmp_path, scene)


# Processes


@pytest.fixture
def login_api() -> Iterator[LoginApi]:
    """A login API."""
    api = LoginApi()
    yield api
    api.close()


@contextlib.contextmanager
def processes(folder: Path, api: LoginApi, workers: int = 3) -> Iterator[tuple[ServiceProcess, int, int]]:
    """Start a service with several workers. Returns it with its `port` and `adminPort`."""
    config = (
        f"port: 0\nadminPort: 0\nlisten: 127.0.0.1\nencKey: {KEY}\nremote: {api.url}\nworkers: {workers}\nreload: off\n"
    )
    with service_process(folder, "serve", config=f"{config}log: {{level: debug}}\n{THROTTLE}") as process:
        for _ in range(workers):
            process.line_with('"worker ready"')
        listening = json.loads(process.line_with('"listening"'))
        ports = [int(listening[name][0].rpartition(":")[2]) for name in ("addresses", "admin_addresses")]
        yield process, ports[0], ports[1]


def guesses(port: int, times: int) -> list[int]:
    """Guess several times, on a new connection each time: the kernel spreads them over the workers."""
    return [post(port, {"user": "ada", "password": "wrong"})[0] for _ in range(times)]


def test_workers_count_together(tmp_path: Path, login_api: LoginApi) -> None:
    """Ten failures are allowed however many workers there are, and those that replace others know of them and of the lock."""
    with processes(tmp_path, login_api) as (service, port, admin):
        assert guesses(port, 5) == [500] * 5
        for victim in workers_of(service):
            os.kill(victim, signal.SIGKILL)
            service.line_with("by signal 9")
            service.line_with('"worker ready"')
        assert guesses(port, 12) == [500] * 5 + [429] * 7
        for victim in workers_of(service):
            os.kill(victim, signal.SIGKILL)
            service.line_with("by signal 9")
            service.line_with('"worker ready"')
        assert guesses(port, 12) == [429] * 12
        assert post(port, {"user": "bob", "password": "right"})[0] == 200
        assert len(login_api.bearers) == 11
        found = metrics(admin)
        assert found.value("txtoken_logins_throttled_total", by="address") == 0
        assert found.value("txtoken_throttle_lockouts_total", by="name") <= 1


def metrics(admin: int) -> Scrape:
    """Read the metrics."""
    return Scrape(get(admin, "/metrics")[1])


def test_metrics(tmp_path: Path, login_api: LoginApi) -> None:
    """What was counted is shown, each number by its own name, with none lost between publications."""
    with processes(tmp_path, login_api, workers=1 + 1) as (_, port, admin):
        assert guesses(port, 14) == [500] * 10 + [429] * 4
        for number in range(90):
            assert post(port, {"user": f"user{number}", "password": "wrong"})[0] == 500
        assert post(port, {"user": "bob", "password": "right"})[0] == 429
        deadline = time.monotonic() + PATIENCE_S
        while (found := metrics(admin)).value("txtoken_login_failures_total") < 100:
            assert time.monotonic() < deadline
        while (found := metrics(admin)).value("txtoken_logins_throttled_total", by="address") < 1:
            assert time.monotonic() < deadline
        assert found.value("txtoken_login_failures_total") == 100
        assert found.by("by", "txtoken_logins_throttled_total") == {"name": 4, "address": 1}
        assert found.by("by", "txtoken_throttle_lockouts_total") == {"name": 1, "address": 1}
        assert found.value("txtoken_requests_total", route="get_token", status="429") == 5


def test_a_reload_of_several_workers(tmp_path: Path, login_api: LoginApi) -> None:
    """All workers use the new numbers, and what was counted before stays."""
    with processes(tmp_path, login_api) as (service, port, _):
        assert guesses(port, 4) == [500] * 4
        file = tmp_path / "example_cfg.yml"
        file.write_text(file.read_text().replace("field: /user", "field: /user, failures: 5"))
        service.send(signal.SIGHUP)
        for _ in range(3):
            service.line_with("another configuration is in use")
        assert guesses(port, 6) == [500] + [429] * 5
