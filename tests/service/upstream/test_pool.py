"""Who gets which connection when, how long each is kept, and what becomes of those who wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any, Final

import pytest

from tests.running import run
from tests.service.faulty_remote import (
    GOOD,
    GOOD_BODY,
    Bell,
    Call,
    FaultyRemote,
    Peer,
    Script,
    answer,
    calling,
    good,
    post,
    silent,
    turning,
)
from txtoken.errors import RemoteError, RemoteOverloaded
from txtoken.service.upstream.connection import LONG_BYTES
from txtoken.service.upstream.exchange import Exchange, Outcome
from txtoken.service.upstream.remote import EXPIRED_A_TURN_MAX, TURNS_BEFORE_A_DIAL, Remote

CLOSED: Final = ("RemoteUnreachable", "closed")
TIMEOUT: Final = ("RemoteTimeout", "timeout")
ONE: Final[dict[str, Any]] = {"connections": 1}


class Gate:
    """Lets the test answer requests one by one, in any order."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._bell = Bell()

    def open(self, *numbers: int) -> None:
        """Let these connections answer the request that they have."""
        self._open.update(numbers)
        self._bell.ring()

    async def script(self, peer: Peer) -> None:
        """Answer each request when its connection is named."""
        while True:
            await peer.request()
            await self._bell.until(lambda: peer.number in self._open)
            self._open.discard(peer.number)
            peer.send(GOOD)


def numbered(count: int) -> list[bytes]:
    """Make bodies that can be distinguished."""
    return [b"%d" % number for number in range(count)]


async def turns(count: int = 10) -> None:
    """Let the loop turn, so that what must not happen had time to."""
    for _ in range(count):
        await asyncio.sleep(0)


async def dropped(remote: Remote) -> None:
    """Wait until the remote under test has nothing open."""
    await turning(lambda: not remote.open_count)


async def idling(remote: Remote, count: int) -> None:
    """Wait until so many connections wait for a request."""
    await turning(lambda: remote.idle_count >= count)


def test_never_more_connections_than_the_limit() -> None:
    """Many requests at once are all answered, over `remoteConnections` connections and not one more."""

    async def main() -> None:
        settings: dict[str, Any] = {"connections": 3}
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url, **settings) as remote:
            calls = [post(remote, body) for body in numbered(50)]
            assert remote.open_count == 3
            assert [await call.outcome() for call in calls] == [GOOD_BODY] * 50
            await idling(remote, 3)
            await faulty.connected(3)
            await turns()
            assert remote.open_count == len(faulty.peers) == 3
            assert sorted(int(body) for _, body in faulty.bodies) == list(range(50))

    run(main())


def test_first_come_first_served() -> None:
    """Requests in line are sent in the order in which they came."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url, **ONE) as remote:
            calls = [post(remote, body) for body in numbered(20)]
            for call in calls:
                await call.outcome()
            assert faulty.bodies == [(0, body) for body in numbered(20)]

    run(main())


@pytest.mark.parametrize("waiting", [0, 1, 5])
def test_the_line_is_bounded(waiting: int) -> None:
    """Past `waiting` requests in line the next is refused at once and not sent; when there is room it is taken again."""

    async def main() -> None:
        gate = Gate()
        settings: dict[str, Any] = {"connections": 2, "waiting": waiting}
        async with FaultyRemote(gate.script).listening() as faulty, calling(faulty.url, **settings) as remote:
            for _ in range(2):  # while connections are dialled, and when they are there
                calls = [post(remote, b"in") for _ in range(2 + waiting)]
                with pytest.raises(RemoteOverloaded) as refusal:
                    post(remote, b"out")
                assert refusal.value.code == "overloaded"
                done = len(faulty.requests)
                while not all(call.has_outcome for call in calls):
                    await faulty.requested(done + 1)
                    done = len(faulty.requests)
                    gate.open(0, 1)
                    await turns()
            assert {body for _, body in faulty.bodies} == {b"in"}
            assert len(faulty.requests) == 2 * (2 + waiting)

    run(main())


def test_the_youngest_connection_is_used_first() -> None:
    """Of several idle connections the one that was used last is taken: the others may have been closed meanwhile."""

    async def main() -> None:
        gate = Gate()
        async with FaultyRemote(gate.script).listening() as faulty, calling(faulty.url) as remote:
            calls = [post(remote) for _ in range(3)]
            await faulty.requested(3)
            for count, number in enumerate((1, 2, 0), start=1):
                gate.open(number)
                await idling(remote, count)
            for call in calls:
                await call.outcome()
            more = [post(remote) for _ in range(3)]
            await faulty.requested(6)
            assert [number for number, _ in faulty.requests[3:]] == [0, 2, 1]
            gate.open(0, 1, 2)
            for call in more:
                await call.outcome()
            assert len(faulty.peers) == 3

    run(main())


# Deadlines. Time is what the test says it is.


def test_the_deadline_covers_waiting() -> None:
    """A request in line ends with `timeouts.remote` and is never sent; the one before it goes on."""

    async def main() -> None:
        gate = Gate()
        async with FaultyRemote(gate.script).listening() as faulty, calling(faulty.url, **ONE) as remote:
            first = post(remote, b"1")
            await faulty.requested(1)
            first.deadline += 1
            second = post(remote, b"2")
            remote.sweep(second.deadline - 0.001)
            assert not second.has_outcome
            remote.sweep(second.deadline)
            assert await second.outcome() == TIMEOUT
            gate.open(0)
            assert await first.outcome() == GOOD_BODY
            await turns()
            assert faulty.bodies == [(0, b"1")]

    run(main())


def test_the_deadline_is_the_timeout() -> None:
    """A request has `timeouts.remote` from when it came, and no more."""

    async def main() -> None:
        settings: dict[str, Any] = {"timeout_s": 0.2}
        async with FaultyRemote(silent).listening() as faulty, calling(faulty.url, **settings) as remote:
            before = monotonic()
            call = post(remote)
            assert before + 0.2 <= call.deadline <= monotonic() + 0.2
            remote.sweep(call.deadline)
            assert await call.outcome() == TIMEOUT

    run(main())


def test_many_deadlines_at_once_hold_nobody_else() -> None:
    """Of thousands that time out together few end in a turn of the loop, those in line first, and no dial is begun for them.

    One that is cancelled meanwhile has no outcome. A second sweep makes nothing faster.
    """

    async def main() -> None:
        many = 2 * EXPIRED_A_TURN_MAX
        settings: dict[str, Any] = {"connections": 2, "waiting": many}
        async with FaultyRemote(silent).listening() as faulty, calling(faulty.url, **settings) as remote:
            carried = [post(remote), post(remote)]
            await faulty.requested(2)
            calls = [post(remote) for _ in range(many)]
            counts: list[tuple[int, int]] = []
            for _ in range(3):
                remote.sweep(calls[-1].deadline)
                counts.append((sum(call.has_outcome for call in calls), sum(call.has_outcome for call in carried)))
                calls[-1].cancel()
                await asyncio.sleep(0)
            assert counts == [(EXPIRED_A_TURN_MAX, 0), (2 * EXPIRED_A_TURN_MAX - 1, 0), (2 * EXPIRED_A_TURN_MAX - 1, 2)]
            assert [await call.outcome() for call in (*carried, *calls[:-1])] == [TIMEOUT] * (many + 1)
            assert not calls[-1].has_outcome
            assert remote.cancelled == 1
            await dropped(remote)
            assert len(faulty.peers) == 2

    run(main())


def test_the_deadline_covers_dialling() -> None:
    """A request whose connection is still being dialled ends with its deadline; the connection serves the next."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            call = post(remote, b"1")
            await dialling(remote)
            remote.sweep(call.deadline)
            assert await call.outcome() == TIMEOUT
            await idling(remote, 1)
            assert await post(remote, b"2").outcome() == GOOD_BODY
            assert faulty.bodies == [(0, b"2")]

    run(main())


async def dialling(remote: Remote) -> None:
    """Let the dial of a request begin, and not end."""
    for _ in range(TURNS_BEFORE_A_DIAL + 1):
        await asyncio.sleep(0)
    assert remote.dialling_count == 1


@pytest.mark.parametrize("turns", range(TURNS_BEFORE_A_DIAL + 1))
def test_a_client_that_is_gone_at_once_is_not_dialled_for(turns: int) -> None:
    """For a request that is given up right behind its arrival no connection is opened, unless another one needs it."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            call = post(remote)
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await turning(lambda: remote.dialling_count == 0)
            assert remote.open_count == 0
            first, second = post(remote, b"1"), post(remote, b"2")
            first.cancel()
            assert await second.outcome() == GOOD_BODY
            assert [body for _, body in faulty.bodies] == [b"2"]
            assert len(faulty.peers) == 1

    run(main())


def test_one_dial_serves_whoever_still_waits() -> None:
    """Where there is room for one connection, its dial goes on for the next in line when the first has gone."""

    async def main() -> None:
        settings: dict[str, Any] = {"connections": 1}
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url, **settings) as remote:
            first, second = post(remote, b"1"), post(remote, b"2")
            first.cancel()
            assert await second.outcome() == GOOD_BODY
            assert len(faulty.peers) == 1

    run(main())


class Line:
    """Work that waits for its turn, until the test lets it."""

    def __init__(self) -> None:
        self.work: list[Callable[[], object]] = []

    def add(self, work: Callable[[], object]) -> None:
        """Keep it."""
        self.work.append(work)

    def take(self) -> None:
        """Do it."""
        work, self.work = self.work, []
        for one in work:
            one()


LONG: Final = b'{"a":"%b"}' % (LONG_BYTES * b"x")


@contextlib.asynccontextmanager
async def answered_at_length(script: Script) -> AsyncIterator[tuple[FaultyRemote, Remote, Line, Call]]:
    """A request whose long reply is here, and whose turn has not come."""
    line = Line()
    async with FaultyRemote(script).listening() as faulty, calling(faulty.url, in_turn=line.add) as remote:
        call = post(remote)
        await turning(lambda: len(line.work) > 0)
        assert not call.has_outcome
        assert remote.idle_count == 0  # so there are never more long replies than connections
        yield faulty, remote, line, call


async def at_length(peer: Peer) -> None:
    """Answer each request with a long reply."""
    while True:
        await peer.request()
        peer.send(answer(LONG))


def test_a_long_reply_waits_for_its_turn() -> None:
    """What is made of a long reply waits until others had their turns; of a short one it does not."""

    async def main() -> None:
        async with answered_at_length(at_length) as (_, remote, line, call):
            line.take()
            assert await call.outcome() == LONG
            assert remote.idle_count == 1
        line = Line()
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url, in_turn=line.add) as remote:
            assert await post(remote).outcome() == GOOD_BODY

    run(main())


def test_a_client_that_leaves_while_its_long_reply_waits() -> None:
    """A request that is given up, or out of time, in that moment has no outcome but that, and its connection ends."""

    async def main() -> None:
        async with answered_at_length(at_length) as (_, remote, line, call):
            call.cancel()
            line.take()
            assert not call.has_outcome
            assert remote.cancelled == 1
            await dropped(remote)
        async with answered_at_length(at_length) as (_, remote, line, call):
            remote.sweep(call.deadline)
            line.take()
            assert await call.outcome() == TIMEOUT
            await dropped(remote)

    run(main())


def test_a_connection_that_ends_while_its_long_reply_waits() -> None:
    """A complete reply is good when the connection that it came over ends behind it."""

    async def main() -> None:
        async with answered_at_length(at_length) as (faulty, remote, line, call):
            faulty.peers[0].reset()
            await dropped(remote)
            assert not call.has_outcome
            line.take()
            assert await call.outcome() == LONG
            assert remote.idle_count == 0

    run(main())


async def twice_at_length(peer: Peer) -> None:
    """Answer a request with a long reply, and then once more."""
    await peer.request()
    peer.send(answer(LONG))
    await peer.request()


def test_what_comes_behind_a_long_reply_that_waits() -> None:
    """A stray reply behind one whose turn has not come is nobody's: its connection is used no more."""

    async def main() -> None:
        async with answered_at_length(twice_at_length) as (faulty, remote, line, call):
            faulty.peers[0].send(answer(b'{"user":"STOLEN"}'))
            await dropped(remote)
            line.take()
            assert await call.outcome() == LONG
            assert remote.idle_count == 0

    run(main())


def test_66_all_hang() -> None:
    """When the remote hangs, one sweep ends all, and every place is free again."""

    async def main() -> None:
        settings: dict[str, Any] = {"connections": 10, "waiting": 20}
        async with FaultyRemote(silent).listening() as faulty, calling(faulty.url, **settings) as remote:
            calls = [post(remote) for _ in range(30)]
            await faulty.requested(10)
            remote.sweep(calls[-1].deadline)
            assert [await call.outcome() for call in calls] == [TIMEOUT] * 30
            await dropped(remote)
            for peer in faulty.peers:
                await peer.ended()
            assert len(faulty.requests) == 10

    run(main())


# How long an idle connection is kept


@pytest.mark.parametrize(
    ("line", "kept_s"),
    [
        (b"X: y", 15),
        (b"Keep-Alive: timeout=5", 4),
        (b"keep-alive: max=9, Timeout = 5", 4),
        (b"Keep-Alive: timeout=60", 15),
        (b"Keep-Alive: timeout=999999999999", 15),
        (b"Keep-Alive: timeout=soon", 15),
        (b"Keep-Alive: timeout=2", 1),
        (b"Keep-Alive: timeout=1", 0),
        (b"Keep-Alive: timeout=0", 0),
    ],
)
def test_65_how_long_a_connection_idles(line: bytes, kept_s: float) -> None:
    """An idle connection is closed after `remoteIdle`, or a second before the remote said that it would."""

    async def talkative(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(answer(GOOD_BODY, line))

    async def main() -> None:
        async with FaultyRemote(talkative).listening() as faulty, calling(faulty.url) as remote:
            for _ in range(3):  # the head is new, then it is known
                before = monotonic()
                assert await post(remote).outcome() == GOOD_BODY
                if kept_s:
                    (idle,) = remote._idle
                    assert before + kept_s <= idle.idle_deadline <= monotonic() + kept_s
            assert len(faulty.peers) == (1 if kept_s else 3)
            if kept_s:
                remote.sweep(idle.idle_deadline - 0.001)
                await turns()
                assert remote.idle_count == 1
                remote.sweep(idle.idle_deadline)
                await faulty.peers[0].ended()
            await dropped(remote)

    run(main())


def test_a_connection_that_nobody_waited_for_idles_as_long() -> None:
    """A connection that was never used is closed after `remoteIdle` too."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            call = post(remote)
            await dialling(remote)
            call.cancel()
            await idling(remote, 1)
            deadline = remote._idle[0].idle_deadline
            assert abs(deadline - monotonic() - 15) < 5
            remote.sweep(deadline)
            await faulty.peers[0].ended()

    run(main())


# Connections that die while idle


@pytest.mark.parametrize("way", ["fin", "reset", "half_close"])
def test_14_64_the_remote_restarts(way: str) -> None:
    """Idle connections that the remote ends are dropped at once, all of them, and no request fails for it."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            for call in [post(remote) for _ in range(20)]:
                assert await call.outcome() == GOOD_BODY
            await faulty.connected(20)
            await idling(remote, 20)
            for peer in faulty.peers:
                getattr(peer, way)()
            await dropped(remote)
            for _ in range(3):
                assert await post(remote).outcome() == GOOD_BODY
            assert [number for number, _ in faulty.requests[20:]] == [20] * 3

    run(main())


def test_15_closed_after_the_request_was_written() -> None:
    """A kept connection that ends without an answer fails its request, which is not sent again."""

    async def once(peer: Peer) -> None:
        await peer.request()
        peer.send(GOOD)
        await peer.request()
        peer.fin()

    async def main() -> None:
        async with FaultyRemote(once, good).listening() as faulty, calling(faulty.url) as remote:
            outcomes = [await post(remote, body).outcome() for body in numbered(3)]
            assert outcomes == [GOOD_BODY, CLOSED, GOOD_BODY]
            assert faulty.bodies == [(0, b"0"), (0, b"1"), (1, b"2")]

    run(main())


@pytest.mark.parametrize(
    "surplus",
    [
        pytest.param(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", id="16-408"),
        pytest.param(answer(b'{"user":"STOLEN"}'), id="17-reply"),
        pytest.param(b"H", id="17-byte"),
        pytest.param(b"\r\n", id="17-line-end"),
    ],
)
def test_16_17_unsolicited_bytes(surplus: bytes) -> None:
    """What arrives on an idle connection closes it, and nobody gets it as an answer."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url) as remote:
            assert await post(remote).outcome() == GOOD_BODY
            faulty.peers[0].send(surplus)
            await faulty.peers[0].ended()
            await dropped(remote)
            assert await post(remote).outcome() == GOOD_BODY
            assert [number for number, _ in faulty.requests] == [0, 1]

    run(main())


def test_closed_before_a_byte_was_written() -> None:
    """A request that finds idle connections closing moves to a fresh one, also when all places are still taken."""

    async def main() -> None:
        settings: dict[str, Any] = {"connections": 2}
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url, **settings) as remote:
            for call in [post(remote), post(remote)]:
                await call.outcome()
            await idling(remote, 2)
            await faulty.connected(2)
            for idle in remote._idle:
                idle.transport.abort()
            assert await post(remote).outcome() == GOOD_BODY
            assert faulty.requests[2][0] == 2

    run(main())


# Giving up


def test_67_cancelling_a_request_that_was_sent() -> None:
    """A request that is given up takes its connection with it, and its place goes to the next in line."""

    async def main() -> None:
        async with FaultyRemote(silent, good).listening() as faulty, calling(faulty.url, **ONE) as remote:
            first, second = post(remote, b"1"), post(remote, b"2")
            await faulty.requested(1)
            first.cancel()
            first.cancel()
            await faulty.peers[0].ended()
            assert await second.outcome() == GOOD_BODY
            assert faulty.bodies == [(0, b"1"), (1, b"2")]

    run(main())


def test_cancelling_in_line() -> None:
    """A request that is given up while it waits is never sent, and those behind it move up."""

    async def main() -> None:
        gate = Gate()
        async with FaultyRemote(gate.script).listening() as faulty, calling(faulty.url, **ONE) as remote:
            calls = [post(remote, body) for body in numbered(4)]
            await faulty.requested(1)
            calls[1].cancel()
            calls[3].cancel()
            gate.open(0)
            await faulty.requested(2)
            gate.open(0)
            assert [await calls[index].outcome() for index in (0, 2)] == [GOOD_BODY] * 2
            await turns()
            assert faulty.bodies == [(0, b"0"), (0, b"2")]

    run(main())


def test_cancelling_what_is_over() -> None:
    """To give up a request that was answered changes nothing: its connection may be another's already."""

    async def main() -> None:
        gate = Gate()
        async with FaultyRemote(gate.script).listening() as faulty, calling(faulty.url, **ONE) as remote:
            first, second = post(remote), post(remote)
            await faulty.requested(1)
            gate.open(0)
            await faulty.requested(2)
            assert await first.outcome() == GOOD_BODY
            first.cancel()
            gate.open(0)
            assert await second.outcome() == GOOD_BODY
            assert len(faulty.peers) == 1

    run(main())


def test_an_outcome_that_cancels_another() -> None:
    """A request that another's outcome cancels gets no outcome, also when both end at the same time."""

    async def main() -> None:
        for way in ("sweep", "close"):
            async with FaultyRemote(silent).listening() as faulty, calling(faulty.url) as remote:
                told: list[str] = []

                others: list[Call] = []

                class First(Exchange):
                    def conclude(
                        self,
                        outcome: Outcome,
                        seconds: float,
                        told: list[str] = told,
                        others: list[Call] = others,
                    ) -> None:
                        told.append("first")
                        others[0].cancel()

                remote.post(First(b"", b"1"))
                other = post(remote, b"2")
                others.append(other)
                await faulty.requested(2)
                if way == "sweep":
                    remote.sweep(other.deadline)
                else:
                    await remote.close()
                assert told == ["first"]
                assert not other.has_outcome

    run(main())


def test_an_outcome_that_posts_again() -> None:
    """A request that is made while another one is concluded is like any other."""

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty, calling(faulty.url, **ONE) as remote:
            ended = asyncio.get_running_loop().create_future()
            outcomes: list[Outcome] = []

            class Again(Exchange):
                def conclude(self, outcome: Outcome, seconds: float) -> None:
                    outcomes.append(outcome)
                    if len(outcomes) == 5:
                        ended.set_result(None)
                    else:
                        remote.post(Again(b"", b"%d" % len(outcomes)))

            remote.post(Again(b"", b"0"))
            await ended
            assert outcomes == [GOOD_BODY] * 5
            assert faulty.bodies == [(0, body) for body in numbered(5)]

    run(main())


def test_68_close() -> None:
    """`close` ends requests in every state, each once, and leaves no connection; what comes after it fails."""

    async def main() -> None:
        gate = Gate()
        settings: dict[str, Any] = {"connections": 3}
        async with FaultyRemote(gate.script).listening() as faulty, calling(faulty.url, **settings) as remote:
            sent, idle = post(remote, b"sent"), post(remote, b"idle")
            await faulty.requested(2)
            gate.open(next(number for number, body in faulty.bodies if body == b"idle"))
            assert await idle.outcome() == GOOD_BODY
            assert remote.idle_count == 1
            taken, dialling = post(remote, b"taken"), post(remote, b"dialling")
            waiting = [post(remote, b"waiting") for _ in range(5)]
            assert remote.open_count == 3
            await remote.close()
            for call in (sent, taken, dialling, *waiting):
                assert await call.outcome() == CLOSED
            await dropped(remote)
            for peer in faulty.peers:
                await peer.ended()
            assert not [body for _, body in faulty.bodies if body in (b"dialling", b"waiting")]
            assert (await post(remote).outcome())[0] == "RemoteUnreachable"
            await remote.close()

    run(main())


def test_closing_what_was_never_used() -> None:
    """A remote that nobody called is closed as well."""

    async def main() -> None:
        async with calling("http://127.0.0.1:9/"):
            pass

    run(main())


def test_63_a_flapping_remote() -> None:
    """Each request fails or succeeds on its own, is sent at most once, and the places never run out."""

    async def flapping(peer: Peer) -> None:
        await peer.request()
        if peer.number % 3 == 0:
            peer.reset()
        elif peer.number % 3 == 1:
            peer.fin()
        else:
            peer.send(answer(GOOD_BODY, b"Connection: close"))

    async def main() -> None:
        settings: dict[str, Any] = {"connections": 4}
        async with FaultyRemote(flapping).listening() as faulty, calling(faulty.url, **settings) as remote:
            calls = [post(remote, body) for body in numbered(60)]
            outcomes = [await call.outcome() for call in calls]
            assert {outcome if isinstance(outcome, bytes) else outcome[1] for outcome in outcomes} == {
                GOOD_BODY,
                "reset",
                "closed",
            }
            assert sorted(int(body) for _, body in faulty.bodies) == list(range(60))
            await dropped(remote)

    run(main())


def test_errors_keep_their_cause() -> None:
    """The kernel's reason for a reset is chained to the error, for the log."""

    async def resets(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async def main() -> None:
        async with FaultyRemote(resets).listening() as faulty, calling(faulty.url) as remote:
            error = await post(remote).told
            assert isinstance(error, RemoteError)
            assert isinstance(error.__cause__, ConnectionResetError)

    run(main())
