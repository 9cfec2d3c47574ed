"""Health and metrics for operators (contract §3.4). Does not decide what is healthy."""

from __future__ import annotations

from collections.abc import Callable

from txtoken.http1.messages import Client, Handler, Request, UnloggedResponse, response_head
from txtoken.service.answers import NO_STORE, OK_HEAD


class Health(Handler):
    """`/livez`, `/readyz`, `/healthz`: 200 or 503, evaluated for each request."""

    __slots__ = ("_good", "_is_good", "_not_good")

    def __init__(self, is_good: Callable[[], bool]) -> None:
        self._is_good = is_good
        self._good = UnloggedResponse(200, OK_HEAD, b'{"status":"ok"}')
        self._not_good = UnloggedResponse(503, response_head(503, NO_STORE), b'{"status":"not ready"}')

    def handle(self, request: Request, client: Client) -> None:
        client.respond(self._good if self._is_good() else self._not_good)


class Metrics(Handler):
    """`/metrics`: text that is written for each request."""

    __slots__ = ("_head", "_render")

    def __init__(self, render: Callable[[], bytes], content_type: str) -> None:
        self._render = render
        self._head = response_head(200, NO_STORE, content_type=content_type.encode("ascii"))

    def handle(self, request: Request, client: Client) -> None:
        client.respond(UnloggedResponse(200, self._head, self._render()))
