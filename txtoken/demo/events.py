"""What happened in the demo, for its page: a ring in memory that all processes share, and the route by which the page waits for
more. Knows nothing of what an event is.

One process adds, any may read. Old events make room for new ones, so a reader that is slow misses some.
"""

from __future__ import annotations

import asyncio
import mmap
import re
from typing import Any, Final

import orjson

from txtoken.http1.messages import Client, Handler, Head, Pending, Request, UnloggedResponse, response_head

EVENTS_PATH: Final = "/demo/events"
RING_BYTES: Final = 256 * 1024
EVENT_BYTES_MAX: Final = 32 * 1024
WAIT_S: Final = 10.0  # for something to happen, before an answer says that nothing did
LOOK_S: Final = 0.05  # between two looks at the ring, while a page waits
WAITING_MAX: Final = 64  # pages that wait, of one process; more are answered at once
_MARKS_BYTES: Final = 16
_AFTER: Final = re.compile(rb"after=(\d{1,18})")


class Ring:
    """The last events. Make it before processes are forked that share it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _MARKS_BYTES + RING_BYTES)
        # How far an event is being written, and how far events are complete, in bytes since the start.
        self._marks = memoryview(self._memory)[:_MARKS_BYTES].cast("Q")

    @property
    def end(self) -> int:
        """Where the last event ends. Beyond it is what will happen."""
        return self._marks[1]

    def add(self, event: dict[str, Any]) -> None:
        """Add an event. One that is too large is replaced by a word that it was."""
        line = orjson.dumps(event) + b"\n"
        if len(line) > EVENT_BYTES_MAX:
            line = orjson.dumps({"kind": "too large", "bytes": len(line)}) + b"\n"
        start = self._marks[1]
        self._marks[0] = start + len(line)
        place = start % RING_BYTES
        first = line[: RING_BYTES - place]
        self._memory[_MARKS_BYTES + place : _MARKS_BYTES + place + len(first)] = first
        rest = line[len(first) :]
        self._memory[_MARKS_BYTES : _MARKS_BYTES + len(rest)] = rest
        self._marks[1] = start + len(line)

    def read(self, after: int) -> tuple[int, list[bytes]]:
        """Return where the events end, and those after a place that was returned before, as JSON. 0: all that are kept."""
        end = self._marks[1]
        start = after if max(0, end - RING_BYTES) <= after <= end else max(0, end - RING_BYTES)
        place = start % RING_BYTES
        data = self._memory[_MARKS_BYTES + place : _MARKS_BYTES + min(RING_BYTES, place + end - start)]
        data += self._memory[_MARKS_BYTES : _MARKS_BYTES + end - start - len(data)]
        overwritten = self._marks[0] - RING_BYTES  # meanwhile
        if start != after or overwritten > start:
            data = data[max(0, overwritten - start) :]
            if start or overwritten > 0:
                data = data[data.find(b"\n") + 1 :]  # what begins before is no whole event
        return end, data.splitlines()


class Events(Handler):
    """Answers with what happened after the place that the query names, or waits for it. `run` names this run of the demo."""

    __slots__ = ("_head", "_ring", "_run", "_timer", "_waiting")

    def __init__(self, ring: Ring, run: str, *lines: bytes) -> None:
        self._ring = ring
        self._run = orjson.dumps(run)
        self._head = response_head(200, *lines)
        self._waiting: dict[_Waiting, float] = {}  # until when
        self._timer: asyncio.TimerHandle | None = None

    def waits(self, head: Head) -> bool:
        return True

    def is_for_pages(self) -> bool:
        return False

    def handle(self, request: Request, client: Client) -> Pending | None:
        found = _AFTER.fullmatch(request.head.query)
        after = 0 if found is None else int(found[1])
        if after != self._ring.end or len(self._waiting) >= WAITING_MAX:
            self._answer(client, after)
            return None
        loop = asyncio.get_running_loop()
        waiting = _Waiting(self._waiting, client, after)
        self._waiting[waiting] = loop.time() + WAIT_S
        if self._timer is None:
            self._timer = loop.call_later(LOOK_S, self._look, loop)
        return waiting

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now, end = loop.time(), self._ring.end
        for waiting, until in [*self._waiting.items()]:
            if waiting.after != end or now >= until:
                del self._waiting[waiting]
                self._answer(waiting.client, waiting.after)
        self._timer = loop.call_later(LOOK_S, self._look, loop) if self._waiting else None

    def _answer(self, client: Client, after: int) -> None:
        end, events = self._ring.read(after)
        body = b'{"run":%b,"next":%d,"events":[%b]}' % (self._run, end, b",".join(events))
        client.respond(UnloggedResponse(200, self._head, body))


class _Waiting(Pending):
    """A page that waits for events after a place."""

    __slots__ = ("_others", "after", "client")

    def __init__(self, others: dict[_Waiting, float], client: Client, after: int) -> None:
        self._others = others
        self.client = client
        self.after = after

    def cancel(self) -> None:
        self._others.pop(self, None)
