"""Clients of the proxy: each request has a token of its own kind, and each answer is judged. Keys turn meanwhile.

A good token has to pass with its own nonce, whatever the client says in the header's place; any other is 401.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from bench.errors import BenchError
from bench.forward_auth.keyset import Keyset
from bench.forward_auth.stage import COOKIE, NONCE, Stage
from bench.forward_auth.upstream import SEEN, seen_in
from bench.load.stub_remote import LOOPBACK

CONNECTIONS: Final = 16
TURN_S: Final = 2.0  # after which the next key signs: longer than any request is on its way
KNOWN_S: Final = 10.0  # that a service may take to know its next keys
ANSWER_S: Final = 20.0
RECENT_MAX: Final = 64  # good tokens that are sent again
_POLL_S: Final = 0.02
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_SEEN: Final = re.compile(rb"(?i)\r\n%b: (.*)\r\n" % SEEN)
_CLOSES: Final = re.compile(rb"(?i)\r\nconnection: *close")
GOOD: Final = ("fresh", "again")
BAD: Final = ("none", "garbled", "another key", "expired", "retired key")
METHODS: Final = ("GET", "GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE")
BODY_BYTES: Final = (0, 1, 200, 4000)


@dataclass(slots=True)
class Findings:
    """Of one run."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    turns: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """One request: what is sent, and the nonce with which it has to pass, or None."""

    kind: str
    method: str
    target: str
    data: bytes
    body: str
    nonce: str | None


class Clients:
    """Sends `count` requests in all, over some connections at a time."""

    def __init__(self, stage: Stage, keyset: Keyset, count: int, seed: int) -> None:
        self._stage = stage
        self._keyset = keyset
        self._left = count
        self._random = random.Random(seed)  # noqa: S311 - it is to be the same each time
        self._number = 0
        self._recent: deque[tuple[str, str, str]] = deque(maxlen=RECENT_MAX)  # key, nonce, token
        self.findings = Findings()

    async def run(self) -> None:
        """Send them all, while keys turn.

        Raises:
            BenchError: the service does not take its next keys over.
        """
        begun = time.monotonic()
        try:
            async with asyncio.TaskGroup() as tasks:
                turning = tasks.create_task(self._turn_for_ever())
                await asyncio.wait([tasks.create_task(self._ask_on()) for _ in range(CONNECTIONS)])
                self.findings.seconds = time.monotonic() - begun
                turning.cancel()
        except* BenchError as failed:
            raise BenchError(str(failed.exceptions[0])) from None

    async def _turn_for_ever(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                await asyncio.sleep(TURN_S)
                known = self._keyset.next_known()
                self._stage.reconfigure(known, self.findings.turns)
                first, last = self._keyset.known[0].sign("first"), known[-1].sign("last")
                deadline = time.monotonic() + KNOWN_S
                while await self._check(session, last) != 200 or await self._check(session, first) != 401:
                    if time.monotonic() > deadline:
                        raise BenchError(f"the service did not load its next keys within {KNOWN_S:g} s")
                    await asyncio.sleep(_POLL_S)
                self._keyset.turn(known)
                self.findings.turns += 1

    async def _check(self, session: aiohttp.ClientSession, token: str) -> int:
        url = f"http://{LOOPBACK}:{self._stage.service_port}/checkToken"
        async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
            return response.status

    async def _ask_on(self) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while self._left > 0:
            self._left -= 1
            question = self._question()
            begun = time.perf_counter()
            for attempt in range(3):
                try:
                    if streams is None:
                        streams = await asyncio.open_connection(LOOPBACK, self._stage.port)
                    async with asyncio.timeout(ANSWER_S):
                        keeps = await self._ask(question, *streams)
                except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
                    # A kept connection may end as the request is sent. On a new one that is a fault.
                    was_new = attempt > 0 or isinstance(error, TimeoutError)
                    if was_new:
                        self.findings.faults[f"no answer: {type(error).__name__}"] += 1
                    keeps = False
                else:
                    was_new = True
                if not keeps and streams is not None:
                    streams[1].close()
                    with contextlib.suppress(ConnectionError):
                        await streams[1].wait_closed()
                    streams = None
                if was_new:
                    break
            self.findings.latencies_ms.append((time.perf_counter() - begun) * 1000)
        if streams is not None:
            streams[1].close()

    async def _ask(self, question: Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send a request, and judge its answer. Returns whether the connection is kept."""
        writer.write(question.data)
        head = await reader.readuntil(b"\r\n\r\n")
        found, length = _STATUS.match(head), _LENGTH.search(head)
        status = int(found[1]) if found else 0
        body = b""
        if question.method == "HEAD":
            seen = _SEEN.search(head)
            body = seen[1] if seen else b""
        elif length is not None:
            body = await reader.readexactly(int(length[1]))
        self.findings.counts[question.kind] += 1
        fault = _fault(question, status, body)
        if fault:
            self.findings.faults[f"{question.kind}: {fault}"] += 1
        return length is not None and not _CLOSES.search(head)

    def _question(self) -> Question:
        chance = self._random
        self._number += 1
        number, key = self._number, self._keyset.current
        nonce = f"n{number}-{chance.getrandbits(64):x}"
        kind = chance.choice(GOOD) if chance.random() < 0.6 else chance.choice(BAD)
        token, passes = "", kind in GOOD
        if kind == "again" and self._recent:
            kid, nonce, token = chance.choice(self._recent)
            if kid != key.kid:
                token = ""
        if kind in GOOD and not token:
            kind, token = "fresh", key.sign(nonce)
            self._recent.append((key.kid, nonce, token))
        elif kind == "garbled":
            token = key.sign(nonce)
            token = token[:-10] + "".join(reversed(token[-10:]))
        elif kind == "another key":
            token = type(key)(key.kid, "x" * 64).sign(nonce)
        elif kind == "expired":
            token = key.sign(nonce, -5)
        elif kind == "retired key":
            if not self._keyset.retired:
                kind = "none"
            else:
                token = chance.choice(self._keyset.retired).sign(nonce)
        method, size = chance.choice(METHODS), chance.choice(BODY_BYTES)
        target = f"/{number}?{kind.replace(' ', '-')}"
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: app.example",
            f"{NONCE}: spoof",
            f"{NONCE.replace('-', '_')}: spoof",
        ]
        if token:
            lines.append(
                f"Cookie: a=b; {COOKIE}={token}" if chance.random() < 0.3 else f"Authorization: Bearer {token}"
            )
        body = "x" * size if method in ("POST", "PUT") else ""
        if method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        data = "\r\n".join((*lines, "", body)).encode()
        return Question(kind, method, target, data, body, nonce if passes else None)


def _fault(question: Question, status: int, body: bytes) -> str:
    """Say what is wrong with an answer, or nothing."""
    if question.nonce is None:
        return "" if status == 401 else f"status {status} instead of 401"
    if status != 200:
        return f"status {status} instead of 200"
    seen = seen_in(body)
    alike = [value for name, value in seen.fields if name.replace("_", "-") == NONCE.lower()]
    if alike != [question.nonce]:
        return "the nonce of another request" if len(alike) == 1 else f"{len(alike)} nonces"
    whole = seen.target == question.target and seen.method == question.method and seen.body == question.body
    return "" if whole else "another request than was sent"
