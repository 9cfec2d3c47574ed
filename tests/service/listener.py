"""A client of a handler that keeps its answers."""

from __future__ import annotations

import asyncio

from txtoken.http1.messages import Client, Response


class Listener(Client):
    """Keeps the answers: there has to be one."""

    def __init__(self) -> None:
        self.told: list[Response] = []
        self._is_told = asyncio.Event()

    def respond(self, response: Response) -> None:
        """Take the answer. A second one is a fault of the handler's."""
        assert not self.told, "a request is answered once"
        self.told.append(response)
        self._is_told.set()

    async def answer(self) -> Response:
        """Wait for the answer."""
        await self._is_told.wait()
        return self.told[0]
