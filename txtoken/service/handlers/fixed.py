"""One answer for every request. Knows no route."""

from __future__ import annotations

from txtoken.http1.messages import Client, Handler, Request, Response


class Fixed(Handler):
    """Always the same answer."""

    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response

    def handle(self, request: Request, client: Client) -> None:
        client.respond(self._response)
