"""What happened in the demo: the ring that processes share, and how a page waits for more."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from tests.running import run
from txtoken.demo.events import EVENT_BYTES_MAX, RING_BYTES, WAITING_MAX, Events, Ring
from txtoken.http1.messages import Client, Head, Peer, Pending, Request, Response


class Page(Client):
    """A client that keeps its answer."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def respond(self, response: Response) -> None:
        self.answered.set_result(response)

    def address(self) -> str:
        return "127.0.0.1"

    def peer(self) -> Peer:
        return Peer("127.0.0.1", "http")


def ask(events: Events, query: str = "") -> tuple[Page, Pending | None]:
    """Ask for events."""
    head = Head(
        b"GET",
        b"/demo/events",
        query.encode(),
        {},
        minor_version=1,
        keep_alive=True,
        content_length=0,
        expects_continue=False,
    )
    page = Page()
    return page, events.handle(Request(head, b""), page)


def answer_of(page: Page) -> dict[str, object]:
    """Return what a page was answered."""
    found: dict[str, object] = json.loads(page.answered.result().body)
    return found


def numbers(lines: list[bytes]) -> list[int]:
    """Return the numbers of events."""
    return [json.loads(line)["n"] for line in lines]


def test_what_was_added_is_read() -> None:
    """Events are read in order, from the start or from where the last answer ended."""
    ring = Ring()
    assert ring.read(0) == (0, [])
    ring.add({"n": 0})
    end, lines = ring.read(0)
    assert (end, numbers(lines)) == (ring.end, [0])
    ring.add({"n": 1, "text": "a\nb\u2028"})
    assert numbers(ring.read(end)[1]) == [1]
    assert numbers(ring.read(0)[1]) == [0, 1]


@pytest.mark.parametrize("after", [0, 1, 77, 10**17])
def test_old_events_make_room(after: int) -> None:
    """The ring keeps its size. From any place, even one that never was, whole events are read, the last ones without a gap."""
    ring = Ring()
    for number in range(10_000):
        ring.add({"n": number, "line": "x" * (number % 199)})
    end, lines = ring.read(after)
    found = numbers(lines)
    assert end == ring.end > RING_BYTES
    assert sum(len(line) + 1 for line in lines) <= RING_BYTES
    assert found == [*range(found[0], 10_000)]
    assert len(found) > 1000


def test_an_event_that_is_overwritten_while_it_is_read() -> None:
    """Its rest is not taken for an event, the very first one's neither."""
    ring = Ring()
    for number in range(3):
        ring.add({"n": number})
    ring._marks[0] = RING_BYTES + 3  # as another process does before it writes
    assert numbers(ring.read(0)[1]) == [1, 2]


def test_an_event_that_is_too_large() -> None:
    """It is replaced by a word that it was."""
    ring = Ring()
    ring.add({"text": "x" * EVENT_BYTES_MAX})
    assert [json.loads(line)["kind"] for line in ring.read(0)[1]] == ["too large"]


def test_processes_share_it() -> None:
    """What one process adds, another reads, while it is written over again and again: only whole events, in order."""
    ring = Ring()
    pid = os.fork()
    if pid == 0:
        for number in range(20_000):
            ring.add({"n": number, "line": "x" * 100})
        os._exit(0)
    after, last = 0, -1
    while last < 19_999:
        after, lines = ring.read(after)
        for number in numbers(lines):
            assert number > last
            last = number
    assert os.waitpid(pid, 0)[1] == 0


def test_a_page_waits() -> None:
    """A page that knows all is answered when something happens, and at once when something has. Who leaves is forgotten."""

    async def main() -> None:
        ring = Ring()
        events = Events(ring, "a run")
        ring.add({"n": 1})
        first, pending = ask(events)
        assert pending is None
        assert answer_of(first) == {"run": "a run", "next": ring.end, "events": [{"n": 1}]}
        second, pending = ask(events, f"after={ring.end}")
        left, leaves = ask(events, f"after={ring.end}")
        assert pending is not None
        assert leaves is not None
        leaves.cancel()
        ring.add({"n": 2})
        await second.answered
        assert answer_of(second) == {"run": "a run", "next": ring.end, "events": [{"n": 2}]}
        assert not left.answered.done()
        assert not second.answered.result().is_logged

    run(main())


def test_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that has waited long enough is answered that nothing happened."""
    monkeypatch.setattr("txtoken.demo.events.WAIT_S", 0.1)

    async def main() -> None:
        page, _ = ask(Events(Ring(), ""), "after=0")
        await page.answered
        assert answer_of(page) == {"run": "", "next": 0, "events": []}

    run(main())


def test_many_pages_wait() -> None:
    """Only so many wait; who comes then is answered at once."""

    async def main() -> None:
        events = Events(Ring(), "")
        waiting = [ask(events, "after=0") for _ in range(WAITING_MAX)]
        page, pending = ask(events, "after=0")
        assert pending is None
        assert answer_of(page)["events"] == []
        for _, each in waiting:
            assert each is not None
            each.cancel()

    run(main())


@pytest.mark.parametrize("query", ["", "after=", "after=-1", "after=x", "after=1&b", "after=" + "9" * 50])
def test_a_query_that_is_none(query: str) -> None:
    """It counts as none at all: the page gets what there is."""

    async def main() -> None:
        ring = Ring()
        ring.add({"n": 1})
        page, _ = ask(Events(ring, ""), query)
        assert answer_of(page)["events"] == [{"n": 1}]

    run(main())
