"""A whole `App` without sockets for its clients: requests go to its handlers, and its clock is the test's. PyJWT is the judge."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jwt
from jwt.types import Options

from tests.configuring import KEY, load_text
from tests.http1.loopback import Answer, read_answers
from tests.service.faulty_remote import at_once
from tests.service.listener import Listener
from txtoken.clock import Clock
from txtoken.config.revocation_file import carried_by
from txtoken.errors import RemoteError
from txtoken.http1.messages import Head, Peer, Pending, Request, Response, render
from txtoken.http1.proxies import Proxies
from txtoken.service.app import App, ProcessContext
from txtoken.service.revocations import Revocations
from txtoken.service.throttle.table import Table
from txtoken.settings import Config

NOW: Final = 1_800_000_000
NOBODY: Final = "http://127.0.0.1:9/login"  # the discard port, where nobody listens
_UNTIMED: Final[Options] = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}


class Caller(Listener):
    """A client with an address."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self._peer = peer

    def peer(self) -> Peer:
        return self._peer


class Counter:
    """The service, and what it reports to its process. `clock.second` can be moved. Where `threads` is a list, what takes long
    waits in there until the test does it.
    """

    def __init__(self, folder: Path, text: str, remote: str = NOBODY) -> None:
        self._folder = folder
        self._remote = remote
        self.clock = Clock()
        self.clock.second = NOW
        self.failures: list[RemoteError] = []
        self.crashes: list[Exception] = []
        self.large_tokens: list[int] = []
        self.threads: list[Callable[[], None]] | None = None
        self.fails: Exception | None = None  # what work in threads ends with
        self._around = ProcessContext(
            clock=self.clock,
            in_turn=at_once,
            in_thread=self._in_thread,
            is_ready=lambda: True,
            forwarded_lines=lambda trusted: Proxies(trusted).forwarded_lines,
            client_behind=lambda trusted: Proxies(trusted).client_behind,
            throttle_table=Table(),
            asked_origin=lambda trusted: Proxies(trusted).asked_origin,
            on_remote_failure=self.failures.append,
            on_large_token=self.large_tokens.append,
            on_dropped_claims=lambda names: None,
            on_crash=self.crashes.append,
        )
        self.app = App.build(self._config(text), self._around)

    def _config(self, text: str) -> Config:
        key = "" if "encKey:" in text or "\nkeys:" in f"\n{text}" else f"encKey: {KEY}\n"
        return load_text(self._folder, f"listen: 127.0.0.1\nremote: {self._remote}\n{key}{text}")

    def _in_thread(self, work: Callable[[], bytes], on_end: Callable[[bytes | Exception], None]) -> None:
        if self.threads is None:
            asyncio.get_running_loop().call_soon(lambda: on_end(self.fails or work()))
        else:
            self.threads.append(lambda: on_end(work()))

    def reload(self, text: str) -> None:
        """Serve by another configuration."""
        app = App.build(self._config(text), self._around, self.app)
        app.replace(self.app)
        self.app = app

    def revoke(self, *lines: str) -> None:
        """Have a list of revocations of these lines. Its configuration names a file."""
        from_file = Revocations(carried_by(self.app.config))
        for line in lines:
            from_file.add(line)
        for _ in from_file.put_in_order():
            pass
        self.app.revoke(from_file)

    def head(
        self,
        path: str,
        fields: Mapping[str, str | bytes] | None = None,
        *,
        method: str = "POST",
        query: bytes = b"",
        length: int = 0,
    ) -> Head:
        """Make the head of a request."""
        given = {"host": "api.example", **(fields or {})}
        return Head(
            method.encode(),
            path.encode(),
            query,
            {name.encode(): text if isinstance(text, bytes) else text.encode() for name, text in given.items()},
            minor_version=1,
            keep_alive=True,
            content_length=length,
            expects_continue=False,
        )

    def begin(
        self,
        path: str,
        fields: Mapping[str, str | bytes] | None = None,
        body: bytes = b"",
        *,
        method: str = "POST",
        query: bytes = b"",
        peer: Peer | None = None,
    ) -> tuple[Caller, Pending | None]:
        """Ask, without waiting. A request is for http://api.example, unless its fields or its peer say otherwise."""
        head = self.head(path, fields, method=method, query=query, length=len(body))
        client = Caller(peer or Peer("198.51.100.7", "http"))
        pending = self.app.router.find(head).handle(Request(head, body), client)
        assert (pending is None) == bool(client.told)
        return client, pending

    async def ask(
        self, path: str, fields: Mapping[str, str | bytes] | None = None, body: bytes = b"", **more: Any
    ) -> Answer:
        """Ask, and return the answer as h11 reads it."""
        client, _ = self.begin(path, fields, body, **more)
        return read(await client.answer())

    async def log_in(self, fields: Mapping[str, str | bytes] | None = None) -> str:
        """Return the token of a login."""
        return token_of(await self.ask("/getToken", fields, b"{}"))

    async def refresh(self, token: str | bytes, fields: Mapping[str, str | bytes] | None = None) -> Answer:
        """Present a token in the header for the next one."""
        text = token.encode() if isinstance(token, str) else token
        return await self.ask("/refreshToken", {"authorization": b"Bearer " + text, **(fields or {})})


@contextlib.asynccontextmanager
async def counter(folder: Path, text: str = "refresh: {}\n", remote: str = NOBODY) -> AsyncIterator[Counter]:
    """Open a counter, and close its connections at the end. Nothing crashes at it."""
    opened = Counter(folder, text, remote)
    try:
        yield opened
    finally:
        await opened.app.close()
    assert opened.crashes == []


def read(response: Response) -> Answer:
    """Return a response as h11 reads it off the wire."""
    answers, interims, rest = read_answers(render(response, b""), ["POST"])
    assert (len(answers), interims, rest) == (1, [], b"")
    return answers[0]


def token_of(answer: Answer) -> str:
    """Return the token of an answer that has one."""
    assert answer.status == 200, answer.body
    body = json.loads(answer.body)
    assert list(body) == ["token"]
    return str(body["token"])


def claims_of(token: str, key: Any = KEY, algorithm: str = "HS256") -> dict[str, Any]:
    """Return the claims of a token, by PyJWT's judgement of its signature."""
    claims: dict[str, Any] = jwt.decode(token, key, [algorithm], options=_UNTIMED)
    return claims


def error_of(answer: Answer) -> tuple[int, str]:
    """Return status and text of a refusal."""
    return answer.status, json.loads(answer.body)["error"]
