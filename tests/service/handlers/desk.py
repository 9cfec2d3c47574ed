"""Requests for handlers, and a `Login` with everything that it reports."""

from __future__ import annotations

import json
from typing import Any, Final

import jwt

from tests.running import KEY, run
from tests.service.faulty_remote import FaultyRemote, Script, calling
from tests.service.listener import Listener
from txtoken.clock import Clock
from txtoken.errors import RemoteError
from txtoken.http1.messages import Head, Request, Response
from txtoken.service.failures import Failures
from txtoken.service.handlers.login import Login
from txtoken.service.keys.hmac import HmacKey
from txtoken.service.keys.ring import KeyRing
from txtoken.service.throttle.counts import LoginCounts
from txtoken.service.throttle.guard import Guard
from txtoken.service.tokens.issue import TokenIssuer
from txtoken.service.upstream.remote import Remote
from txtoken.settings import IssueSettings, LoginSettings

TTL_S: Final = 3600


SETTINGS: Final = LoginSettings("/getToken")


def request(
    body: bytes = b"{}", *, method: bytes = b"POST", query: bytes = b"", fields: dict[bytes, bytes] | None = None
) -> Request:
    """Make a request."""
    head = Head(
        method,
        b"/route",
        query,
        fields or {},
        minor_version=1,
        keep_alive=True,
        content_length=len(body),
        expects_continue=False,
    )
    return Request(head, body)


class Desk:
    """A `Login` and what it reports: answers once each, failures and crashes for the log."""

    def __init__(
        self,
        remote: Remote,
        settings: LoginSettings = SETTINGS,
        *,
        issuer: TokenIssuer | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.clock = Clock()
        self.failures: list[RemoteError] = []
        self.crashes: list[Exception] = []
        self.large_tokens: list[int] = []
        self.counts = LoginCounts()
        self.handler = Login(
            remote,
            issuer or TokenIssuer(KeyRing([HmacKey(KEY.encode())]), IssueSettings(TTL_S)),
            failures or Failures("original", passes_bodies=False),
            self.clock,
            settings,
            forwarded_lines=None,
            guard=Guard(self.counts),
            token_bytes_max=32_768,
            in_thread=lambda work, on_end: on_end(work()),
            on_failure=self.failures.append,
            on_large_token=self.large_tokens.append,
            on_crash=self.crashes.append,
        )

    async def ask(self, asked: Request) -> Response:
        """Wait for the answer, which comes once."""
        client = Listener()
        pending = self.handler.handle(asked, client)
        assert (pending is None) == bool(client.told)
        return await client.answer()


def get_token(script: Script, body: bytes = b"{}", **settings: Any) -> tuple[Response, Desk]:
    """Ask for a token once."""

    async def main() -> tuple[Response, Desk]:
        async with FaultyRemote(script).listening() as faulty, calling(faulty.url, **settings) as remote:
            desk = Desk(remote)
            response = await desk.ask(request(body))
            assert [sent for _, sent in faulty.bodies] == ([body] if response.status != 400 else [])
            return response, desk

    return run(main())


def lines(response: Response) -> list[bytes]:
    """Take a response's head apart."""
    assert response.head.endswith(b"\r\n")
    return response.head.split(b"\r\n")[:-1]


def data_of(response: Response) -> bytes:
    """Return the `data` claim as it was signed, byte for byte."""
    token = json.loads(response.body)["token"]
    payload: bytes = jwt.api_jws.decode_complete(token, KEY, ["HS256"])["payload"]
    start, end = payload.index(b'{"data":') + 8, payload.rindex(b',"exp":')
    return payload[start:end]
