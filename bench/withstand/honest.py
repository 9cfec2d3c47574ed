"""The honest client: logs in and has tokens checked, on kept and on fresh connections, and measures what it gets.

A process of its own. Commands come on stdin, one a line: `go LANE,…` and `pause`; a pause is answered with a line of JSON.
Each lane sends at a fixed rate and does not wait, so that a stall counts for every request that is due meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import uvloop

from bench.withstand.measures import Honest
from bench.withstand.nonces import NONCE_PREFIX, good_token, wrong_check, wrong_login

LOOPBACK: Final = "127.0.0.1"
INTERVAL_S: Final = 0.02
ANSWER_S: Final = 7.0  # longer than the service waits for its remote
NONCE_BYTES: Final = 9
HEAD_BYTES_MAX: Final = 64 * 1024
LANES: Final = ("login-kept", "login-fresh", "check-kept", "check-fresh")
BROKEN: Final = "connection broken"
# What the service says of a login that was written to a connection which the remote was about to close.
LOST: Final = ("(the connection to the remote was reset)", "(the remote closed the connection without an answer)")


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Notes:
    """What happened since the last `go`."""

    latencies_ms: list[float] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)  # why, and the nonce

    def to_json(self) -> str:
        """Write them as one line."""
        return json.dumps({"latencies_ms": self.latencies_ms, "failures": self.failures})


def summary(text: str, excused: frozenset[str], *, may_break: bool, may_lose: int = 0) -> Honest:
    """Read one line of `Notes`. What failed with an excused nonce, and connections that may break, are no failures, nor are so
    many logins whose connection to the remote ended.
    """
    notes = json.loads(text)
    latencies = sorted(notes["latencies_ms"])
    reasons: Counter[str] = Counter()
    excuses = 0
    for reason, nonce in notes["failures"]:
        if nonce in excused or (may_break and reason.endswith(BROKEN)):
            excuses += 1
        elif may_lose and reason.endswith(LOST):
            may_lose -= 1
            excuses += 1
        else:
            reasons[reason] += 1
    return Honest(
        requests=len(latencies) + len(notes["failures"]),
        latencies_ms=latencies,
        reasons=dict(reasons),
        excused=excuses,
    )


class Lane:
    """One kind of request on one kind of connection.

    Each request begins when it is due, whether or not those before it were answered: they are of different users.
    """

    def __init__(self, name: str, port: int, key: bytes) -> None:
        self.name = name
        self.notes = Notes()
        self._what, _, how = name.partition("-")
        self._keeps = how == "kept"
        self._port = port
        self._key = key
        self._kept: list[Streams] = []  # idle connections
        self._asking: set[asyncio.Task[None]] = set()
        self.going = asyncio.Event()
        self.resting = asyncio.Event()  # no request is on its way

    async def run(self) -> None:
        """Ask until it is cancelled, as long as `going` is set."""
        while True:
            self.resting.set()
            await self.going.wait()
            self.resting.clear()
            due = time.perf_counter()
            while self.going.is_set():
                await asyncio.sleep(due - time.perf_counter())
                task = asyncio.create_task(self._once())
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
                due = max(due + INTERVAL_S, time.perf_counter())  # a late wake-up is this client's own
            if self._asking:
                await asyncio.wait(self._asking)
            for _, writer in self._kept:
                writer.close()
            self._kept.clear()

    async def _once(self) -> None:
        began = time.perf_counter()
        nonce = NONCE_PREFIX + secrets.token_hex(NONCE_BYTES)
        try:
            async with asyncio.timeout(ANSWER_S), self._connection() as streams:
                status, body = await self._ask(streams, self._request(nonce))
        except TimeoutError:
            self._fail(f"{self._what}: no answer in {ANSWER_S:g} s", nonce)
            return
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError, IndexError):
            self._fail(f"{self._what}: {BROKEN}", nonce)
            return
        wrong = (
            wrong_login(status, body, nonce, self._key) if self._what == "login" else wrong_check(status, body, nonce)
        )
        if wrong:
            self._fail(wrong, nonce)
        else:
            self.notes.latencies_ms.append((time.perf_counter() - began) * 1000)

    def _fail(self, reason: str, nonce: str) -> None:
        self.notes.failures.append((reason, nonce))

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Streams]:
        streams = None
        while self._kept and streams is None:
            reader, writer = self._kept.pop()
            if reader.at_eof():
                writer.close()  # that the service closed it between two requests is no failure (RFC 9112 §9.3.1)
            else:
                streams = reader, writer
        if streams is None:
            streams = await asyncio.open_connection(LOOPBACK, self._port, limit=HEAD_BYTES_MAX)
        is_good = False
        try:
            yield streams
            is_good = True
        finally:
            if is_good and self._keeps:
                self._kept.append(streams)
            else:
                streams[1].close()

    def _request(self, nonce: str) -> bytes:
        tail = "" if self._keeps else "Connection: close\r\n"
        if self._what == "login":
            body = json.dumps({"honest": nonce}, separators=(",", ":"))
            return (
                f"POST /getToken HTTP/1.1\r\nHost: honest\r\n{tail}Content-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        return (
            f"GET /checkToken HTTP/1.1\r\nHost: honest\r\n{tail}Authorization: Bearer {good_token(self._key, nonce)}\r\n\r\n"
        ).encode()

    async def _ask(self, streams: Streams, request: bytes) -> tuple[int, bytes]:
        reader, writer = streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"\r\ncontent-length: ", 1)[1].split(b"\r\n", 1)[0])
        return int(head[9:12]), await reader.readexactly(length)


async def serve(port: int, key: bytes) -> None:
    """Obey stdin until it ends."""
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    lanes = {name: Lane(name, port, key) for name in LANES}
    tasks = [asyncio.create_task(lane.run()) for lane in lanes.values()]
    while line := (await commands.readline()).decode().split():
        if line[0] == "go":
            for name in line[1].split(","):
                lanes[name].going.set()
            continue
        for lane in lanes.values():
            lane.going.clear()
        notes = Notes()
        for lane in lanes.values():
            await lane.resting.wait()
            notes.latencies_ms += lane.notes.latencies_ms
            notes.failures += lane.notes.failures
            lane.notes = Notes()
        print(notes.to_json(), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.withstand.honest", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True, help="of this run alone")
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.key.encode()))


if __name__ == "__main__":
    main()
