"""Names into addresses: who shares a look-up, what hangs, and what becomes of an answer that comes late."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator

import pytest

from tests.running import run
from tests.service.faulty_remote import GOOD_BODY, FaultyRemote, calling, good, post, turning
from tests.service.upstream.name_server import HOST, UNKNOWN, NameServer
from txtoken.service.upstream import names
from txtoken.service.upstream.names import CACHE_S, RENEWAL, THREADS_MAX, Names

FOUND = ["192.0.2.1", "192.0.2.2"]


class Time:
    """The time, as the test says it is."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """What the system says of names."""
    server = NameServer(monkeypatch, FOUND)
    yield server
    server.release()


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The time that `Names` goes by."""
    time = Time()
    monkeypatch.setattr(names, "monotonic", time)
    return time


async def addresses(resolver: Names) -> list[str]:
    """Return what a name is found to be."""
    return [found.host for found in await resolver.resolve(HOST)]


async def asked(server: NameServer, count: int) -> None:
    """Wait until so many look-ups began."""
    await turning(lambda: server.count >= count)


def test_one_look_up_for_all(server: NameServer) -> None:
    """All who ask for a name while it is looked up share that look-up."""

    async def main() -> None:
        resolver = Names(2.0)
        server.hangs = True
        askers = [asyncio.ensure_future(addresses(resolver)) for _ in range(20)]
        await asked(server, 1)
        server.release()
        assert await asyncio.gather(*askers) == [FOUND] * 20
        assert server.count == 1

    run(main())


def test_the_cache(server: NameServer, time: Time) -> None:
    """Addresses are used for 10 s, beginning with another one each time, and then asked for again."""

    async def main() -> None:
        resolver = Names(2.0)
        assert await addresses(resolver) == FOUND
        time.now += CACHE_S - 0.001
        assert await addresses(resolver) == FOUND[::-1]
        assert await addresses(resolver) == FOUND
        assert server.count == 1
        time.now += 0.001
        server.answer_with(["192.0.2.3"])
        assert await addresses(resolver) == ["192.0.2.3"]
        assert server.count == 2

    run(main())


def test_a_name_that_is_unknown_is_not_remembered(server: NameServer) -> None:
    """That a name has no address is asked anew each time, and nobody waits for it twice."""

    async def main() -> None:
        resolver = Names(2.0)
        server.answer_with(UNKNOWN, UNKNOWN, [], FOUND)
        for _ in range(3):
            with pytest.raises(OSError, match=r"not known|no address"):
                await addresses(resolver)
        assert await addresses(resolver) == FOUND
        assert server.count == 4

    run(main())


def test_each_gets_an_exception_of_its_own(server: NameServer) -> None:
    """No exception is raised twice: it would keep the frames of all who raised it."""

    async def main() -> None:
        resolver = Names(2.0)
        server.answer_with(UNKNOWN)
        server.hangs = True
        askers = [asyncio.ensure_future(addresses(resolver)) for _ in range(3)]
        await asked(server, 1)
        server.release()
        errors = await asyncio.gather(*askers, return_exceptions=True)
        assert len({id(error) for error in errors}) == 3
        assert all(isinstance(error, OSError) for error in errors)

    run(main())


def test_a_look_up_that_hangs_holds_up_no_later_one(server: NameServer, time: Time) -> None:
    """A request after the name server is back does not wait for a look-up that hangs."""

    async def main() -> None:
        resolver = Names(2.0)
        server.hangs = True
        first = asyncio.ensure_future(addresses(resolver))
        await asked(server, 1)
        time.now += 2.0 * RENEWAL
        server.hangs = False
        assert await addresses(resolver) == FOUND
        # What one has found serves all.
        assert await first == FOUND
        assert server.count == 2

    run(main())


def test_who_waits_already_is_helped_too(server: NameServer) -> None:
    """While a look-up hangs, another one is begun beside it for those who wait: the query may have been lost."""

    async def main() -> None:
        resolver = Names(0.2)
        server.hangs = True
        asker = asyncio.ensure_future(addresses(resolver))
        await asked(server, 1)
        server.hangs = False
        assert await asker == FOUND
        assert server.count == 2

    run(main())


def test_an_answer_that_comes_late(server: NameServer, time: Time) -> None:
    """A look-up that nobody waits for any more fills the cache when it answers, and its failure is nobody's."""

    async def main() -> None:
        resolver = Names(2.0)
        server.hangs = True
        gone = asyncio.ensure_future(addresses(resolver))
        await asked(server, 1)
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        server.gates[0].set()
        await turning(lambda: HOST in resolver._found)
        assert await addresses(resolver) == FOUND[::-1]
        assert server.count == 1
        assert not resolver._running
        time.now += CACHE_S
        late = asyncio.ensure_future(addresses(resolver))
        await asked(server, 2)
        time.now += 1.0
        server.answer_with(UNKNOWN, FOUND)
        following = asyncio.ensure_future(addresses(resolver))
        await asked(server, 3)
        late.cancel()
        server.gates[1].set()  # which fails
        await turning(lambda: len(resolver._running[HOST]) == 1)
        assert not following.done()
        server.gates[2].set()
        assert await following == FOUND

    run(main())


def test_threads_are_few(server: NameServer, time: Time) -> None:
    """However long a name server is silent, look-ups that hang are no more than `THREADS_MAX`; when one ends there is room."""

    async def main() -> None:
        resolver = Names(2.0)
        server.hangs = True
        askers = []
        for count in range(1, THREADS_MAX + 5):
            askers.append(asyncio.ensure_future(addresses(resolver)))
            await asked(server, min(count, THREADS_MAX))
            time.now += 1.0
        assert server.count == THREADS_MAX
        with pytest.raises(OSError, match="thread"):
            await resolver.resolve("another.internal")
        server.gates[5].set()
        assert await asyncio.gather(*askers) == [FOUND] * len(askers)
        time.now += CACHE_S
        server.hangs = False
        assert await addresses(resolver) == FOUND
        assert server.count == THREADS_MAX + 1

    run(main())


def test_no_thread_can_be_had(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no thread to spare is a failure like any other, and not for ever."""

    async def main() -> None:
        resolver = Names(2.0)
        with monkeypatch.context() as patch:
            patch.setattr(
                "threading.Thread.start", lambda _: (_ for _ in ()).throw(RuntimeError("can't start new thread"))
            )
            with pytest.raises(OSError, match="thread"):
                await addresses(resolver)
        assert await addresses(resolver) == FOUND

    run(main())


def test_the_loop_is_gone(server: NameServer) -> None:
    """A look-up that answers after the end of the loop harms nobody."""

    async def main() -> None:
        server.hangs = True
        asker = asyncio.ensure_future(addresses(Names(2.0)))
        await asked(server, 1)
        asker.cancel()

    run(main())
    server.release()
    gc.collect()


@pytest.mark.parametrize("loop", ["service", "asyncio"])
def test_by_the_system(loop: str) -> None:
    """`localhost` is found as the system finds it."""

    async def main() -> None:
        found = await Names(2.0).resolve("localhost")
        assert {(address.host, address.family) for address in found} <= {
            ("127.0.0.1", socket.AF_INET),
            ("::1", socket.AF_INET6),
        }
        assert found

    run(main(), loop=loop)


def test_logins_while_the_name_server_is_silent(server: NameServer) -> None:
    """Logins fail as `dns` while the name server is silent, and the first one after it is back succeeds: the look-ups that hang
    are left behind.
    """

    async def main() -> None:
        async with FaultyRemote(good).listening() as faulty:
            server.hangs = True
            server.answer_with(["127.0.0.1"])
            url = faulty.url.replace("127.0.0.1", HOST)
            async with calling(url, connect_s=0.4) as remote:
                for _ in range(3):
                    calls = [post(remote) for _ in range(5)]
                    assert [await call.outcome() for call in calls] == [("RemoteUnreachable", "dns")] * 5
                server.hangs = False
                assert await post(remote).outcome() == GOOD_BODY
                assert all(not gate.is_set() for gate in server.gates)
                assert server.count <= 8

    run(main())
